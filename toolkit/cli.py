"""`salvoc`: one command per stage of the pipeline, and what people do around it."""

import contextlib
import gc
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from toolkit.errors import BadInput, Problem

if TYPE_CHECKING:
    from toolkit.params import Params

gc.set_threshold(100_000)  # importing torch makes a million objects: looking for garbage among them takes a second
DATASETS, REPORTS, PRESETS = Path("datasets"), Path("reports"), Path("presets")
SOURCE, ATTENTION, SALIENCY = DATASETS / "source", DATASETS / "attention", DATASETS / "saliency"
PARAMS, FIFTYONE, HUMAN = Path("params.yaml"), DATASETS / "fiftyone", DATASETS / "human"
AGREEMENT, SELECTION = DATASETS / "agreement.parquet", DATASETS / "selection.parquet"


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
STAGES, AROUND = "Stages, in the order of dvc.yaml", "Around the pipeline"
gaze = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Gaze predictors against people's fixations."
)
app.add_typer(gaze, name="gaze", rich_help_panel=AROUND)
Recordings = Annotated[list[Path], typer.Argument(help="Folders laid out as OSIE, Scene or MIT1003.")]
Name = Annotated[
    str, typer.Argument(help="none, erasing, inpainting, nontrivial, random, random_inpainting or oracle.")
]


@app.command(rich_help_panel=STAGES)
def source() -> None:
    """Make, link or download the VOC tree that `data.source` names -> datasets/source."""
    from toolkit import sources
    from toolkit.files import new_folder

    params = _params()
    with new_folder(SOURCE) as out:
        about = sources.build(params, out)
    left = f", {len(skipped)} left out (why: source.json)" if (skipped := about["skipped"]) else ""
    typer.echo(f"{about['images']} images from {about['source']!r}{left}")


@app.command(rich_help_panel=STAGES)
def base() -> None:
    """Train the sample's base detector -> datasets/base.safetensors (which is committed: rarely needed)."""
    from training.base import build

    build(_params(), DATASETS / "base.safetensors")


@app.command(rich_help_panel=STAGES)
def attention() -> None:
    """Where people look in every image -> datasets/attention/{human,gaze}."""
    from toolkit.attention import build, is_empty
    from toolkit.files import new_folder
    from toolkit.voc import Tree

    _needs(SOURCE)
    params = _params()
    human = Path(params.attention.human).expanduser()
    if human == HUMAN and not is_empty(human):
        # It is empty in an experiment's own checkout, and DVC would take that for nothing known.
        mend = f"put it into a folder of its own, such as {HUMAN / 'masks'}, and name that in attention.human"
        raise BadInput(Problem(str(human), "holds people's attention itself", mend))
    with new_folder(ATTENTION) as out:
        build(Tree(SOURCE), params.attention.predictor, human, out)


@app.command(rich_help_panel=STAGES)
def saliency() -> None:
    """Where the base detector looks in every image -> datasets/saliency."""
    from toolkit.files import new_folder
    from toolkit.saliency import build
    from toolkit.voc import Tree

    _needs(SOURCE)
    params = _params()
    with new_folder(SALIENCY) as out:
        build(Tree(SOURCE), params.detector, params.saliency, params.data.classes, out)


@app.command(rich_help_panel=STAGES)
def agreement() -> None:
    """How the two compare, image by image -> datasets/agreement.parquet."""
    from toolkit.agreement import build
    from toolkit.files import replacing
    from toolkit.voc import Tree

    _needs(SOURCE, SALIENCY, ATTENTION)
    table = build(Tree(SOURCE), SALIENCY, ATTENTION)
    with replacing(AGREEMENT) as partial:
        table.to_parquet(partial)


@app.command(rich_help_panel=STAGES)
def select() -> None:
    """The train images whose agreement is below aug.threshold -> datasets/selection.parquet.

    Example: `dvc exp run -S aug.threshold=0.05`
    """
    import pandas as pd

    from toolkit.files import replacing
    from toolkit.selection import select

    _needs(AGREEMENT)
    aug = _params().aug
    table = select(pd.read_parquet(AGREEMENT), aug.threshold, aug.against)
    with replacing(SELECTION) as partial:
        table.to_parquet(partial)
    typer.echo(f"{int(table['selected'].sum())} of {len(table)} train images selected")


@app.command(rich_help_panel=STAGES)
def variant(name: Name) -> None:
    """A complete VOC dataset made by one rule -> datasets/variants/NAME.

    Example: `salvoc variant inpainting`
    """
    import pandas as pd

    from toolkit import variants
    from toolkit.files import new_folder
    from toolkit.params import VARIANTS
    from toolkit.voc import Tree

    _known(name, VARIANTS)
    _needs(SOURCE, SALIENCY, SELECTION)
    with new_folder(DATASETS / "variants" / name) as out:
        about = variants.build(name, Tree(SOURCE), SALIENCY, pd.read_parquet(SELECTION), _params().aug, out)
    typer.echo(f"{name}: {about['changed']} of {about['train']} train images changed")


@app.command(rich_help_panel=STAGES)
def finetune(name: Name) -> None:
    """The base detector fine-tuned on one variant -> datasets/arms/NAME."""
    from toolkit.files import new_folder
    from toolkit.params import VARIANTS
    from toolkit.voc import Tree
    from training.finetune import build

    _known(name, VARIANTS)
    _needs(DATASETS / "variants" / name)
    with new_folder(DATASETS / "arms" / name) as out, new_folder(REPORTS / "training" / name) as logs:
        build(Tree(DATASETS / "variants" / name), _params(), out, logs)


@app.command(rich_help_panel=STAGES)
def evaluate(name: Name) -> None:
    """Score an arm on the untouched test split -> reports/metrics/NAME.json, reports/arms/NAME.

    `base` is the detector before fine-tuning. Example: `salvoc evaluate base`
    """
    from toolkit.files import new_folder
    from toolkit.params import VARIANTS
    from toolkit.voc import Tree
    from training.evaluate import build

    _known(name, ("base", *VARIANTS))
    _needs(SOURCE, ATTENTION, *([] if name == "base" else [DATASETS / "arms" / name]))
    with new_folder(REPORTS / "arms" / name) as out:
        build(name, Tree(SOURCE), ATTENTION, DATASETS / "arms", _params(), REPORTS / "metrics" / f"{name}.json", out)


@app.command(rich_help_panel=STAGES)
def report() -> None:
    """All arms side by side: tables, intervals, pictures -> reports/study."""
    from toolkit.files import new_folder
    from training.report import build

    params = _params()
    _needs(SOURCE, ATTENTION, SALIENCY, SELECTION, *(REPORTS / "arms" / name for name in ["base", *params.variants]))
    with new_folder(REPORTS / "study") as out:
        build(DATASETS, REPORTS, params, out)
    typer.echo(f"{REPORTS / 'study' / 'results.md'}, and with pictures report.html beside it")


@app.command(rich_help_panel=STAGES)
def browse() -> None:
    """Everything as one FiftyOne dataset -> datasets/fiftyone."""
    import pandas as pd

    from toolkit.browse import build
    from toolkit.files import new_folder
    from toolkit.voc import Tree

    names = _params().variants
    arms = {name: REPORTS / "arms" / name / "predictions.parquet" for name in ["base", *names]}
    _needs(SOURCE, ATTENTION, SALIENCY, AGREEMENT, SELECTION, *arms.values())
    with new_folder(FIFTYONE) as out:
        build(
            Tree(SOURCE), ATTENTION, SALIENCY, pd.read_parquet(AGREEMENT), pd.read_parquet(SELECTION),
            {name: pd.read_parquet(path) for name, path in arms.items()},
            {name: Tree(DATASETS / "variants" / name) for name in names if name != "none"},
            out, place=FIFTYONE,
        )  # fmt: skip


@app.command("app", rich_help_panel=AROUND)
def open_app(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Where the App listens, on 127.0.0.1 only.")] = 5151,
) -> None:
    """Browse images, maps, scores and predictions in the FiftyOne App.

    Example: `salvoc app --port 5152`
    """
    from toolkit import browse

    _needs(FIFTYONE)
    address, server = browse.open_app(browse.load(FIFTYONE, "salvoc"), port)
    typer.echo(f"The App is at {address} (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        server.wait()


@app.command(rich_help_panel=AROUND)
def preset(
    name: Annotated[str, typer.Argument(help="A file of presets/, without .yaml.")],
    path: Annotated[str | None, typer.Option(help="The folder source's VOC tree (data.path).")] = None,
) -> None:
    """Write params.yaml anew from a preset; the old one is kept as params.yaml.bak.

    Examples: `salvoc preset sample`, `salvoc preset folder --path ~/my-voc`
    """
    from toolkit import files, params

    _known(name, sorted(p.stem for p in PRESETS.glob("*.yaml")))
    text = (PRESETS / f"{name}.yaml").read_text()
    if path is not None:
        if not Path(path).expanduser().is_dir():
            raise BadInput(Problem(path, "is not a folder", "give the folder that holds JPEGImages/ and Annotations/"))
        text = params.with_path(text, path)
    if PARAMS.exists():
        shutil.copyfile(PARAMS, PARAMS.with_suffix(".yaml.bak"))
    files.write(PARAMS, text)
    params.load(PARAMS)
    typer.echo(f"params.yaml is now the preset {name!r}; `dvc repro` runs it")


@app.command(rich_help_panel=AROUND)
def export(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    layout: Annotated[str, typer.Option("--format", help="voc | coco | yolo")] = "voc",
) -> None:
    """Copy a variant out of the repository, for other tools.

    Example: `salvoc export erasing ~/voc-erased --format yolo`
    """
    from toolkit.export import export

    export(DATASETS / "variants" / name, folder, layout, _params().data.classes)
    typer.echo(f"{name} as {layout} is in {folder}; what the rule changed is PNG data under the images' own .jpg names")


@app.command(rich_help_panel=AROUND)
def store(
    prune: Annotated[bool, typer.Option("--prune", help="Remove what no commit, branch or experiment uses.")] = False,
    days: Annotated[float, typer.Option(min=0, help="Keep what is younger: it may be unfinished work.")] = 7,
) -> None:
    """What lies in `.salvoc`, where finished work is kept, and how much of it nothing uses any more.

    Pruning costs no result: at worst a stage makes its work again. While a stage runs, leave it its `--days`.

    Example: `salvoc store --prune --days 30`
    """
    from toolkit import pruning

    _needs(Path("dvc.lock"))
    found = pruning.look(days)
    for name, kind in found.kinds.items():
        typer.echo(
            f"{name:28}{kind.files:9,} files {kind.size / 1e6:11,.1f} MB, of which unused {len(kind.unused):9,} files"
        )
    if found.unknown:
        typer.echo(f"{found.unknown} outputs of commits were not made here: what only they use counts as unused")
    unused = sum(len(kind.unused) for kind in found.kinds.values())
    if prune:
        pruning.prune(found)
    typer.echo(f"{unused:,} files {'removed' if prune else f'are older than {days:g} days and in no commit'}")


@gaze.command("train")
def train_gaze(
    folders: Recordings,
    out: Annotated[Path | None, typer.Option(help="The weights' file; by default the package's own.")] = None,
) -> None:
    """Fit the embedded gaze predictor to eye-tracking recordings.

    Example: `salvoc gaze train ~/osie ~/scene`
    """
    from toolkit.attention.readout import WEIGHTS
    from training.gaze import train

    train(folders, out or WEIGHTS)
    typer.echo(f"The readout's weights are in {out or WEIGHTS}")


@gaze.command("evaluate")
def evaluate_gaze(
    folders: Recordings,
    out: Annotated[Path, typer.Option(help="Where tables and a row an image go.")] = REPORTS / "gaze",
) -> None:
    """Score every gaze predictor on eye-tracking recordings, beside chance, the centre bias and people.

    On recordings that the embedded predictor was fitted to it is fitted anew without what it is scored on, which takes
    minutes the first time.

    Example: `salvoc gaze evaluate ~/osie ~/scene`
    """
    from training.gaze_scores import evaluate

    typer.echo(evaluate(folders, out))


@app.command(rich_help_panel=AROUND)
def doctor() -> None:
    """What is installed, which database and device there are, what is missing and how to mend it."""
    from toolkit.doctor import findings

    missing = 0
    for finding in findings():
        missing += not finding.fine
        mark = typer.style("ok  " if finding.fine else "MEND", fg="green" if finding.fine else "red")
        typer.echo(f"{mark}  {finding.what}: {finding.found}" + ("" if finding.fine else f"\n      -> {finding.mend}"))
    raise typer.Exit(1 if missing else 0)


def _params() -> "Params":
    from toolkit import params

    return params.load(PARAMS)


def _needs(*paths: Path) -> None:
    """What earlier stages leave."""
    mend = "`dvc repro` makes it, `dvc pull` fetches it"
    missing = [Problem(str(path), "does not exist yet", mend) for path in paths if not path.exists()]
    if missing:
        raise BadInput(missing)


def _known(name: str, names: Collection[str]) -> None:
    if name not in names:
        raise BadInput(Problem("command line", f"does not know {name!r}", f"choose one of: {', '.join(names)}"))
