"""`salvoc`: one command per stage of the pipeline, and what people do around it. Above all other rooms."""

import gc
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from commands import around, browsing, gaze, looking, stages, study
from toolkit.errors import BadInput

gc.set_threshold(100_000)  # importing torch makes a million objects: looking for garbage among them takes a second


class Commands(TyperGroup):
    """Commands whose bad input ends in one message instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BadInput as error:
            typer.secho(str(error), fg=typer.colors.RED, err=True)
            sys.exit(2)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Build PASCAL VOC variants that push a detector to look where people look, and measure whether it worked.\n\n"
    "`dvc repro` runs the stages in order; each can be run alone from the repository's root, where params.yaml is.",
)
app.add_typer(stages.app)
app.add_typer(browsing.app)
app.add_typer(around.app)
app.add_typer(looking.app)
app.add_typer(study.app)
app.add_typer(gaze.app, name="gaze", rich_help_panel=around.PANEL)
