"""What people do around the pipeline: set it up, take its results elsewhere, clean up."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from commands.checks import known, settings
from commands.stages import Arm
from toolkit import places
from toolkit.errors import BadInput, Problem
from toolkit.places import needs

PANEL = "Around the pipeline"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def stamp(
    file: Annotated[Path, typer.Argument(help="The copy, an HTML file.", show_default=False, dir_okay=False)],
) -> None:
    """Copy the report's page, and say in it which commit and which machine it comes from: to send to somebody.

    Example: `salvoc stamp ~/erasing.html`
    """
    from training.stamp import build

    build(file)
    typer.echo(f"{file} is one file that opens anywhere, without a network")


@app.command(rich_help_panel=PANEL)
def layers(
    methods: Annotated[str, typer.Option(help="Methods of explanation, with commas between them.")] = "eigencam,odam",
    modules: Annotated[
        str,
        typer.Option(
            "--layers", help="Modules of the detector, with commas (+ joins several, `default`: the method's own)."
        ),
    ] = "",
    images: Annotated[int, typer.Option(min=1, help="How many images of the test split, at most.")] = 50,
) -> None:
    """Rank the detector's layers and methods of explanation by whether their maps are true.

    The table has what is left of the score as pixels go in the map's order (deletion, over the shares of
    `faithfulness`), its difference to random blobs inside the object's box, what these pixels alone bring back, and
    what the map costs in passes of the detector.

    Examples: `salvoc layers --images 100`, `salvoc layers --methods eigencam,odam,gradcam,drise --layers default`
    """
    from toolkit import detectors, saliency
    from toolkit.errors import require_known
    from toolkit.faithfulness.layers import ranking, ways
    from toolkit.voc import Tree

    needs(places.SOURCE, places.BASE_WEIGHTS)
    params = settings().with_weights(places.BASE_WEIGHTS)
    named = [name.strip().lower() for name in methods.split(",")]
    for name in named:
        require_known("--methods", "method", name, saliency.methods())
    chosen = [module.strip() for module in modules.split(",") if module.strip()]
    explaining = ways(detectors.find(params.detector.name), params.saliency, named, chosen)
    if not explaining:
        raise BadInput(Problem("--layers", "are joined, which EigenCAM cannot explain", "add odam to --methods"))
    fewer = params.faithfulness.model_copy(update={"images": images})
    table = ranking(Tree(places.SOURCE), params.detector, explaining, fewer, params.data.classes)
    if table.empty:
        raise BadInput(Problem("detector", f"finds no object in {images} test images", "train it first"))
    typer.echo(table.to_markdown())


@app.command(rich_help_panel=PANEL)
def sweep(
    grid: Annotated[
        list[str], typer.Argument(help="NAME=VALUE,VALUE,... of params.yaml, one or more.", metavar="GRID")
    ],
    arms: Annotated[str | None, typer.Option(help="Rows of `arms`, with commas; all of them by default.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for sweep.md, sweep.csv and sweep.png.")] = places.SWEEP,
) -> None:
    """Run every combination of some params as a DVC experiment -> reports/sweep: one table, one plot.

    What a combination does not change is made once; a killed sweep goes on where it stopped; `dvc exp show` has them
    all. An arm that no combination changes has one row, `any`.

    Examples: `salvoc sweep aug.threshold=0.05,0.1,0.2,0.3,1 aug.erase_percent=2.5,10`, `salvoc sweep train.steps=50,100
    --arms none,oracle`
    """
    from training.sweep import build

    params = settings()
    named = list(params.arms) if arms is None else [name.strip() for name in arms.split(",")]
    for name in named:
        known(name, params.arms)
    typer.echo(build(params, grid, named, out))
    typer.echo(f"\n{out / 'sweep.png'} shows it; sweep.csv has every score")


@app.command(rich_help_panel=PANEL)
def preset(
    name: Annotated[str, typer.Argument(help="A file of presets/, without .yaml.")],
    path: Annotated[str | None, typer.Option(help="Your VOC tree or COCO folder (data.path).")] = None,
    human: Annotated[str | None, typer.Option(help="People's attention to its images (attention.human).")] = None,
) -> None:
    """Write params.yaml anew from a preset; the old one is kept as params.yaml.bak.

    Presets: sample, sample-full, folder, photographs, voc2012, study, poet, poet-planted.
    Examples: `salvoc preset sample`, `salvoc preset folder --path ~/my-voc --human ~/my-masks`
    """
    from toolkit import files, presets

    known(name, presets.names(places.PRESETS))
    if path is not None and not Path(path).expanduser().is_dir():
        raise BadInput(
            Problem(path, "is not a folder", "give the folder that holds your images and what is annotated in them")
        )
    if human is not None and not Path(human).expanduser().is_dir():
        raise BadInput(Problem(human, "is not a folder", "give a folder of masks or an eye-tracking recording"))
    text = presets.text(places.PRESETS, name, path, human)
    if places.PARAMS.exists():
        shutil.copyfile(places.PARAMS, places.PARAMS.with_suffix(".yaml.bak"))
    files.write(places.PARAMS, text)
    settings()
    typer.echo(f"params.yaml is now the preset {name!r}; `dvc repro` runs it")


@app.command(rich_help_panel=PANEL)
def download(
    name: Annotated[str, typer.Argument(help="mit1003 | osie | pascal-s | voc2012", show_default=False)],
) -> None:
    """Fetch a public data set from its authors -> .salvoc/downloads: people's gaze with its images, or VOC 2012.

    What is there is not fetched again; a broken download goes on where it stopped.

    Example: `salvoc download osie`
    """
    from toolkit.files import repository
    from toolkit.sources import DOWNLOADS, gaze_sets, voc2012

    asked = name.replace("-", "_")
    known(asked, ["voc2012", *gaze_sets.GAZE_SETS])
    cache = repository() / DOWNLOADS
    if asked == "voc2012":
        typer.echo(f"The VOC tree is in {voc2012.fetch(cache).root}")
    else:
        images, recording = gaze_sets.fetch(asked, cache)
        typer.echo(f"The images are in {images}, people's gaze (for attention.human) is in {recording}")


@app.command(rich_help_panel=PANEL)
def export(
    arm: Arm,
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    layout: Annotated[str, typer.Option("--format", help="voc | coco | yolo")] = "voc",
) -> None:
    """Copy an arm's variant out of the repository, for other tools.

    Example: `salvoc export erasing ~/voc-erased --format yolo`
    """
    from toolkit.export import export
    from toolkit.voc import Tree

    params = settings()
    if not (places.VARIANTS / arm).exists():
        known(arm, params.arms)
    export(Tree(places.VARIANTS / arm, beneath=Tree(places.SOURCE)), folder, layout, params.data.classes)
    typer.echo(f"{arm} as {layout} is in {folder}; what the rule changed is PNG data under the images' own .jpg names")


@app.command(rich_help_panel=PANEL)
def convert(
    model: Annotated[Path, typer.Argument(help="What torch.save wrote, of somebody you trust.")],
    out: Annotated[Path, typer.Argument(help="A .safetensors file that does not exist yet.")],
    classes: Annotated[str, typer.Option(help="The classes in the order of its rows, with commas.")] = "",
) -> None:
    """Turn a pickled model into tensors, which can be loaded without running anything.

    **This runs the code that the file holds**: convert what you trust alone. The classes are those that the model names
    itself, or yours (--classes).

    Example: `salvoc convert runs/train/weights/best.pt mine/best.safetensors`
    """
    from toolkit.detectors.convert import convert

    known = convert(model, out, [name.strip() for name in classes.split(",") if name.strip()])
    told = f"of {', '.join(known)}" if known else "and names no classes: --classes would, or a model.yaml beside it"
    typer.echo(f"{out} has the weights, {told}")


@app.command("score-coco", rich_help_panel=PANEL)
def score_coco(
    results: Annotated[Path, typer.Argument(help="COCO results: a list of image_id, category_id, bbox, score.")],
    labels: Annotated[Path, typer.Option(help="The COCO labels that its ids are of.")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
) -> None:
    """Score somebody else's detections of the test split as an arm's are scored.

    `salvoc export none ~/voc --format coco` writes images and labels that another detector can be run on.

    Example: `salvoc score-coco results.json --labels ~/voc/test/labels.json --out reports/theirs`
    """
    from training.coco_results import build

    needs(places.SOURCE)
    typer.echo(build(results, labels, places.SOURCE, settings(), out))


@app.command(rich_help_panel=PANEL)
def store(
    prune: Annotated[bool, typer.Option("--prune", help="Remove what no commit, branch or experiment uses.")] = False,
    days: Annotated[float, typer.Option(min=0, help="Keep what is younger: it may be unfinished work.")] = 7,
) -> None:
    """What lies in `.salvoc`, where finished work is kept, and how much of it nothing uses any more.

    Pruning costs no result: at worst a stage makes its work again. While a stage runs, leave it its `--days`.

    Example: `salvoc store --prune --days 30`
    """
    from toolkit import pruning

    needs(Path("dvc.lock"))
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


@app.command(rich_help_panel=PANEL)
def doctor() -> None:
    """What is installed, which database and device there are, what is missing and how to mend it."""
    from commands.doctor import findings

    missing = 0
    for finding in findings():
        missing += not finding.fine
        mark = typer.style("ok  " if finding.fine else "MEND", fg="green" if finding.fine else "red")
        typer.echo(f"{mark}  {finding.what}: {finding.found}" + ("" if finding.fine else f"\n      -> {finding.mend}"))
    raise typer.Exit(1 if missing else 0)
