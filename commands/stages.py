"""The stages of dvc.yaml: each gives a `build` its paths and its part of params.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from commands.checks import known, settings
from toolkit import places
from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder, replacing
from toolkit.params import Workers
from toolkit.places import needs
from toolkit.spread import Spread, here
from toolkit.voc import Tree

PANEL = "Stages, in the order of dvc.yaml"
Arm = Annotated[str, typer.Argument(help="A row of `arms` in params.yaml.", show_default=False)]
app = typer.Typer()


def over(workers: Workers) -> Spread:
    """What the images of a stage are spread over."""
    if workers.engine == "local":
        return here
    from toolkit.cluster import joined

    return joined(workers.address)


@app.command(rich_help_panel=PANEL)
def source() -> None:
    """Make, link or download the VOC tree that `data.source` names -> datasets/source."""
    from toolkit import sources

    params = settings()
    with new_folder(places.SOURCE) as out:
        about = sources.build(params, out)
    left = f", {len(skipped)} left out (why: source.json)" if (skipped := about["skipped"]) else ""
    typer.echo(f"{about['images']} images from {about['source']!r}{left}")


@app.command("sample_base", rich_help_panel=PANEL)
def sample_base() -> None:
    """Train the sample's own base detector -> datasets/base.safetensors (which is committed: rarely needed)."""
    from training.sample_base import build

    build(settings(), places.SAMPLE_BASE)


@app.command(rich_help_panel=PANEL)
def base() -> None:
    """The detector that all starts from, fine-tuned on the base split if base.steps says so -> datasets/base."""
    from toolkit import processes
    from training.base import build, stored

    params = settings()
    needs(places.SOURCE)
    source = Tree(places.SOURCE)
    if params.base_processes > 1 and not stored(source, params)[0].exists():
        processes.launch(params.base_processes, "training.base")
    with new_folder(places.BASE) as out:
        build(source, params, out / places.BASE_WEIGHTS.name)


@app.command(rich_help_panel=PANEL)
def attention() -> None:
    """Where people look in every image -> datasets/attention/{human,gaze}."""
    from toolkit.attention import build, is_empty

    needs(places.SOURCE)
    params = settings()
    chosen = params.attention
    human = Path(chosen.human).expanduser()
    if human == places.HUMAN and not is_empty(human):
        # It is empty in an experiment's own checkout, and DVC would take that for nothing known.
        mend = f"put it into a folder of its own, such as {human / 'masks'}, and name that in attention.human"
        raise BadInput(Problem(str(human), "holds people's attention itself", mend))
    with new_folder(places.ATTENTION) as out:
        build(Tree(places.SOURCE), chosen.predictor, human, out, over(params.workers))


@app.command(rich_help_panel=PANEL)
def saliency() -> None:
    """Where the base detector looks in every image -> datasets/saliency."""
    from toolkit.saliency import build

    needs(places.SOURCE, places.BASE_WEIGHTS)
    params = settings().with_weights(places.BASE_WEIGHTS)
    with new_folder(places.SALIENCY) as out:
        spread = over(params.workers)
        build(Tree(places.SOURCE), params.detector, params.saliency, params.data.classes, out, spread)


@app.command(rich_help_panel=PANEL)
def faithfulness() -> None:
    """Whether that map shows what the detector uses: a verdict, curves, pictures -> reports/faithfulness."""
    from toolkit.faithfulness.stage import build

    needs(places.SOURCE, places.ATTENTION, places.BASE_WEIGHTS)
    params = settings().with_weights(places.BASE_WEIGHTS)
    with new_folder(places.FAITHFULNESS) as out:
        verdict = build(
            Tree(places.SOURCE), places.ATTENTION, params.detector, params.saliency, params.faithfulness,
            params.data.classes, out,
        )  # fmt: skip
    typer.echo(verdict)


@app.command(rich_help_panel=PANEL)
def agreement() -> None:
    """How the two compare, image by image -> datasets/agreement.parquet."""
    from toolkit.agreement import build

    needs(places.SOURCE, places.SALIENCY, places.ATTENTION)
    table = build(Tree(places.SOURCE), places.SALIENCY, places.ATTENTION, over(settings().workers))
    with replacing(places.AGREEMENT) as partial:
        table.to_parquet(partial)


@app.command(rich_help_panel=PANEL)
def select() -> None:
    """For each arm the train images whose agreement is below aug.threshold -> datasets/selection.parquet.

    Example: `dvc exp run -S aug.threshold=0.05`
    """
    import pandas as pd

    from toolkit.selection import build, told

    needs(places.AGREEMENT)
    params = settings()
    table = build(pd.read_parquet(places.AGREEMENT), {arm: params.aug_of(arm) for arm in params.arms})
    with replacing(places.SELECTION) as partial:
        table.to_parquet(partial)
    typer.echo("\n".join(told(table)))


@app.command(rich_help_panel=PANEL)
def variant(arm: Arm) -> None:
    """The complete VOC dataset that an arm is fine-tuned on, made by its rule -> datasets/variants/ARM.

    Example: `salvoc variant inpainting`
    """
    import pandas as pd

    from toolkit import variants

    params = settings()
    known(arm, params.arms)
    needs(places.SOURCE, places.SALIENCY, places.SELECTION)
    selection = pd.read_parquet(places.SELECTION, filters=[("arm", "==", arm)])
    if selection.empty:
        raise BadInput(
            Problem(str(places.SELECTION), f"has no rows of the arm {arm!r}", "`dvc repro select` adds them")
        )
    with new_folder(places.VARIANTS / arm) as out:
        about = variants.build(
            arm, params.arms[arm].variant, Tree(places.SOURCE), places.SALIENCY, selection, params.aug_of(arm), out,
            over(params.workers),
        )  # fmt: skip
    typer.echo(f"{arm}: {about['changed']} of {about['train']} train images changed")


@app.command(rich_help_panel=PANEL)
def finetune(arm: Arm) -> None:
    """The base detector fine-tuned on an arm's variant, once a seed -> datasets/arms/ARM."""
    from toolkit import processes
    from training.finetune import build, stored

    params = settings().with_weights(places.BASE_WEIGHTS)
    known(arm, params.arms)
    needs(places.VARIANTS / arm, places.BASE_WEIGHTS)
    variant = Tree(places.VARIANTS / arm, beneath=Tree(places.SOURCE))
    count = params.train_of(arm).processes
    if count > 1 and not all(weights.exists() for weights, _ in stored(arm, variant, params).values()):
        processes.launch(count, "training.finetune", arm)
    with new_folder(places.ARMS / arm) as out, new_folder(places.CURVES / arm) as curves:
        build(arm, variant, params, out, curves)


@app.command(rich_help_panel=PANEL)
def predict(arm: Arm) -> None:
    """What an arm's detectors find in the test split, and where they look -> datasets/predictions/ARM, heatmaps/ARM."""
    from toolkit import processes
    from training.predict import build

    params = settings()
    known(arm, params.arms)
    needs(places.SOURCE, places.ARMS / arm)
    if params.train.processes > 1:
        processes.launch(params.train.processes, "training.predict", arm)
    with new_folder(places.PREDICTIONS / arm) as out, new_folder(places.HEATMAPS / arm) as heatmaps:
        build(arm, places.ARMS / arm, Tree(places.SOURCE), params, out, heatmaps, over(params.workers))


@app.command(rich_help_panel=PANEL)
def score(arm: Arm) -> None:
    """Score an arm's predictions -> reports/metrics/ARM.json, reports/scores/ARM.

    Example: `salvoc score base`
    """
    from training.score import Predictions, build

    params = settings()
    known(arm, params.arms)
    found, heatmaps = places.PREDICTIONS / arm, places.HEATMAPS / arm
    needs(places.SOURCE, places.ATTENTION, found, heatmaps)
    seeds = params.train_of(arm).seeds
    predictions = Predictions(found / "detections.parquet", heatmaps, seeds, objects=found / "objects.parquet")
    with new_folder(places.SCORES / arm) as out:
        metrics = places.METRICS / f"{arm}.json"
        build(predictions, Tree(places.SOURCE), places.ATTENTION, params.data.classes, params.score, metrics, out)


@app.command(rich_help_panel=PANEL)
def report() -> None:
    """All arms side by side: tables, intervals, pictures -> reports/study."""
    from training.report import build

    params = settings()
    needs(places.SOURCE, places.ATTENTION, places.SALIENCY, places.AGREEMENT, places.SELECTION)
    needs(*(places.SCORES / arm for arm in params.arms))
    with new_folder(places.STUDY) as out:
        build(params, out)
    typer.echo(f"{places.STUDY / 'results.md'}, and with pictures report.html beside it")


@app.command(rich_help_panel=PANEL)
def browse() -> None:
    """Everything as one FiftyOne dataset -> datasets/fiftyone."""
    import pandas as pd

    from toolkit.browse import Arm, Run, build

    params = settings()
    needs(places.SOURCE, places.ATTENTION, places.SALIENCY, places.AGREEMENT, places.SELECTION)
    needs(*(places.SCORES / arm for arm in params.arms))

    def first(arm: str) -> Arm:
        """Of an arm's seeds the first."""
        seed = params.train_of(arm).seeds[0]
        found, scores = places.PREDICTIONS / arm / "detections.parquet", places.SCORES / arm / "images.parquet"
        return Arm(
            Tree(places.VARIANTS / arm, beneath=Tree(places.SOURCE)),
            places.HEATMAPS / arm / f"seed-{seed}",
            pd.read_parquet(found, filters=[("seed", "==", seed)]),
            pd.read_parquet(scores, filters=[("run", "==", 0)]),
        )

    run = Run(
        Tree(places.SOURCE), places.ATTENTION, places.SALIENCY,
        pd.read_parquet(places.AGREEMENT), pd.read_parquet(places.SELECTION), {arm: first(arm) for arm in params.arms},
    )  # fmt: skip
    with new_folder(places.FIFTYONE) as out:
        build(run, out, place=places.FIFTYONE)
