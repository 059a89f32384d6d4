"""What people look at results with: two of them compared, and any photograph seen through a detector."""

from pathlib import Path
from typing import Annotated

import typer

from commands.around import PANEL
from commands.checks import known, settings
from toolkit import places
from toolkit.errors import BadInput, Problem
from toolkit.params import Params

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def compare(
    a: Annotated[str, typer.Argument(help="An arm, or an experiment: a git revision, its DVC name, or `workspace`.")],
    b: Annotated[str, typer.Argument(help="The other.")],
    arm: Annotated[str | None, typer.Option(help="Of experiments: which arms, with commas; else all of both.")] = None,
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

    named = None if arm is None else [name.strip() for name in arm.split(",")]
    typer.echo(build(a, b, named, out))
    if out is not None:
        typer.echo(f"{out} has the same as compare.md, compare.csv and pictures")


@app.command(rich_help_panel=PANEL)
def look(
    photos: Annotated[list[str], typer.Argument(help="Pictures, folders of them, or patterns.", metavar="PHOTO...")],
    arm: Annotated[str | None, typer.Option(help="A row of `arms` whose detector looks.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Or a checkpoint of `detector.name`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Which of the arm's detectors; its first by default.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for the pictures; none there is overwritten.")] = Path("looks"),
) -> None:
    """Look at any pictures through a detector: what it finds, where it looks, and where people are guessed to look.

    It takes no `dvc repro`: without --arm and --weights the base detector looks, or where there is none yet the one
    that params.yaml names. The numbers compare its saliency with the gaze predictor's attention, beside what the
    centre bias would score.

    Examples: `salvoc look cat.jpg dog.png`, `salvoc look ~/photos "shots/*.png" --arm erasing --out looks/erasing`
    """
    from tqdm import tqdm

    from toolkit.look import build
    from toolkit.look import photos as found_at

    params = _looking(arm, weights, seed)
    typer.echo(_who(params))
    for told in build(found_at(photos), params, out):
        tqdm.write(told)  # above the progress bar
    typer.echo(f"The pictures are in {out}")


def _who(params: Params) -> str:
    """Which detector looks, and what it knows of photographs."""
    weights = params.detector.checkpoint if params.detector.weights == "checkpoint" else params.detector.weights
    sample = " It has seen the sample's drawings alone: photographs are foreign to it." * (
        params.data.source == "sample"
    )
    return f"The detector is {params.detector.name} with {weights}.{sample}"


def _looking(arm: str | None, weights: Path | None, seed: int | None) -> Params:
    """The params, their detector the one that is asked for."""
    params = settings()
    if arm is not None and weights is not None:
        raise BadInput(Problem("command line", "has --arm and --weights", "name one of the two"))
    if arm is not None:
        known(arm, params.arms)
        seeds = params.train_of(arm).seeds
        weights = places.ARMS / arm / f"seed-{seeds[0] if seed is None else seed}.safetensors"
    elif seed is not None:
        raise BadInput(Problem("command line", "has a --seed of no arm", "name the arm, too"))
    elif weights is None and places.BASE_WEIGHTS.exists():
        weights = places.BASE_WEIGHTS
    if weights is None:
        return params
    if not weights.exists():
        mend = "name a file of weights" if arm is None else "`dvc repro` makes it, `dvc pull` fetches it"
        raise BadInput(Problem(str(weights), "does not exist", mend))
    return params.with_weights(weights)
