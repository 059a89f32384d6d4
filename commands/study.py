"""`salvoc study` and `salvoc detectors`: any detectors compared with people, on any images (study/dvc.yaml)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from commands.checks import known, settings
from toolkit import places
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import new_folder
from toolkit.params import Params
from toolkit.places import needs

PANEL = "Detectors compared with people"
Dataset = Annotated[str, typer.Argument(help="A row of `study.datasets` in params.yaml.", show_default=False)]
Row = Annotated[str, typer.Argument(help="A row of `study.detectors` in params.yaml.", show_default=False)]
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def study(
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Also test which maps one may believe: minutes a detector.")
    ] = False,
) -> None:
    """Compare the saliency of all detectors of `study` with people and the gaze predictor -> reports/detectors.

    A detector that cannot run is named with the mend, and the others go on; a killed run goes on where it stopped. The
    same by DVC: `dvc repro --keep-going study/dvc.yaml`.

    Examples: `salvoc study`, `salvoc study --faithfulness`
    """
    from toolkit import saliency
    from training.study.report import build

    params = settings()
    for key in ("methods", "tested_methods"):
        for name in getattr(params.study, key):
            require_known(f"study.{key}", "method", name, saliency.methods())
    absent: dict[str, str] = {}
    missing: dict[str, str] = {}
    looked = False
    for dataset in params.study.datasets:
        with _left_out(absent, dataset):
            study_images(dataset)
    for name in params.study.detectors:
        with _left_out(missing, name):
            for dataset in params.study.datasets:
                if dataset not in absent:
                    study_look(dataset, name)
                    looked = True
                    if faithfulness:
                        study_faithfulness(dataset, name)
    if not looked:  # an older report stays
        raise BadInput(Problem(name, why, "nothing was compared") for name, why in (absent | missing).items())
    with new_folder(places.DETECTORS) as out:
        build(params, absent | missing, out)
    typer.echo(f"{places.DETECTORS / 'results.md'}, and with pictures report.html beside it")


@contextmanager
def _left_out(refused: dict[str, str], name: str) -> Iterator[None]:
    """Note under its name why something cannot be done, and go on."""
    try:
        yield
    except BadInput as error:
        own = [p.fault if p.file.startswith("detector.") else f"{p.file}: {p.fault}" for p in error.problems]
        refused[name] = "; ".join(f"{told} -- {p.mend}" for told, p in zip(own, error.problems, strict=True))
        typer.secho(f"{name} is left out: {refused[name]}", fg=typer.colors.YELLOW, err=True)


@app.command("study-images", rich_help_panel=PANEL)
def study_images(dataset: Dataset) -> None:
    """A data set's images, and where people look in them -> datasets/study/DATASET/{source,attention}."""
    from training.study.images import build

    params = settings()
    known(dataset, params.study.datasets)
    images = params.study.datasets[dataset]
    if images.path == str(places.SOURCE):
        needs(places.SOURCE)  # the pipeline's own
    folder = places.COMPARED / dataset
    with new_folder(folder / "source") as out, new_folder(folder / "attention") as attention:
        build(images, params, out, attention)


@app.command("study-look", rich_help_panel=PANEL)
def study_look(dataset: Dataset, detector: Row) -> None:
    """What one detector finds there, and where it looks -> datasets/study/DATASET/looks/DETECTOR."""
    from training.study import detector_of, explaining
    from training.study.looks import build

    params, folder = _pair(dataset, detector)
    methods = explaining(params, params.study.methods)
    with new_folder(folder / "looks" / detector) as out:
        build(folder, detector, detector_of(params, detector), methods, params.study.images, params.data.classes, out)


@app.command("study-faithfulness", rich_help_panel=PANEL)
def study_faithfulness(dataset: Dataset, detector: Row) -> None:
    """Which of its maps one may believe -> datasets/study/DATASET/tested/DETECTOR.csv."""
    from training.study import detector_of, explaining
    from training.study.believed import build

    params, folder = _pair(dataset, detector)
    methods = explaining(params, params.study.tested_methods)
    tested = params.faithfulness.model_copy(update={"images": params.study.tested})
    out = folder / "tested" / f"{detector}.csv"
    build(folder, detector_of(params, detector), methods, tested, params.data.classes, out)


def _pair(dataset: str, detector: str) -> tuple[Params, Path]:
    """The params, and the data set's folder, once both rows are known and its images are there."""
    params, folder = settings(), places.COMPARED / dataset
    known(dataset, params.study.datasets)
    known(detector, params.study.detectors)
    needs(folder / "source", folder / "attention")
    return params, folder


@app.command("study-tables", rich_help_panel=PANEL)
def study_tables() -> None:
    """Tables and pictures of all that has been looked at -> reports/detectors."""
    from training.study.report import build

    params = settings()
    with new_folder(places.DETECTORS) as out:
        build(params, {}, out)


@app.command(rich_help_panel=PANEL)
def detectors() -> None:
    """The detectors there are: explained layer, size, parameters, licence, and whether their weights are here."""
    from training.study.known import table

    typer.echo(table().to_markdown())
