"""What people look at results with: two of them compared, and any photograph seen through a detector."""

from pathlib import Path
from typing import Annotated

import typer

from commands.around import PANEL

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def compare(
    a: Annotated[str, typer.Argument(help="An arm, or an experiment: a git revision, its DVC name, or `workspace`.")],
    b: Annotated[str, typer.Argument(help="The other.")],
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Of experiments: the arm that is compared, again for more; else all of both."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder that does not exist yet, for compare.md, compare.csv and pictures.")
    ] = None,
) -> None:
    """Compare two arms, or the same arms in two experiments, in pairs of the same test images and seeds.

    It tells which scores differ and how surely, which images changed most, whose main objects were found or lost, which
    failures came and went, and the groups of images that fared worst. Experiments are read out of DVC's cache: the
    working tree stays as it is.

    Examples: `salvoc compare none erasing`, `salvoc compare none erasing --out reports/none-erasing`, `salvoc compare
    HEAD~1 workspace`, `salvoc compare exp-a exp-b --arm erasing`
    """
    from training.compare import build

    typer.echo(build(a, b, arm, out))
    if out is not None:
        typer.echo(f"{out} has the same as compare.md, compare.csv and pictures")
