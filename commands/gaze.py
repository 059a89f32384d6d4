"""`salvoc gaze`: gaze predictors against people's fixations."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit import places

Recordings = Annotated[
    list[Path], typer.Argument(help="Folders laid out as OSIE, Scene, MIT1003, POET or PASCAL-S, with their images.")
]
app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Gaze predictors against people's fixations.")


@app.command()
def train(
    folders: Recordings,
    out: Annotated[Path | None, typer.Option(help="The weights' file; by default the package's own.")] = None,
) -> None:
    """Fit the embedded gaze predictor to eye-tracking recordings.

    Example: `salvoc gaze train ~/osie ~/scene`
    """
    from toolkit.attention.readout import WEIGHTS
    from training.gaze.fit import train

    train(folders, out or WEIGHTS)
    typer.echo(f"The readout's weights are in {out or WEIGHTS}")


@app.command()
def evaluate(
    folders: Recordings,
    out: Annotated[Path, typer.Option(help="Where tables and a row an image go.")] = places.GAZE,
) -> None:
    """Score every gaze predictor on eye-tracking recordings, beside chance, the centre bias and people.

    On recordings that the embedded predictor was fitted to it is fitted anew without what it is scored on, which takes
    minutes the first time.

    Example: `salvoc gaze evaluate ~/osie ~/scene`
    """
    from training.gaze.scores import evaluate

    typer.echo(evaluate(folders, out))
