"""`salvoc compare`: two arms, or the same arms in two experiments, as Markdown, a table and a sheet of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from toolkit import pictures, places
from toolkit.boxes import SHOWN
from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder, read_image, write
from toolkit.voc import Tree
from training.detections import CORNERS
from training.experiments import WORKSPACE, Experiment, Results
from training.paired import by_image, changed_most, differed, told

PICTURED = 6  # images on the sheet


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    experiment: Experiment
    arm: str
    name: str  # as a person reads it
    results: Results


def build(a: str, b: str, arms: Sequence[str] | None, out: Path | None) -> str:
    """Compare two arms of the workspace, or experiments; returns Markdown.

    `a` and `b` are arms where both are rows of params.yaml and no `arms` are named, else experiments (see
    `experiments.Experiment`), whose `arms` are compared, by default all that both have. The folder `out` gets the same
    as `compare.md`, the scores as `compare.csv`, and of each pair a sheet of pictures where its maps can be read.
    """
    if out is not None and out.exists():
        raise BadInput(Problem(str(out), "exists already", "name a folder that does not: nothing is overwritten"))
    pairs = _pairs(a, b, arms)
    parts = ["# " + f"`{a}` and `{b}`"]
    for one, two in pairs:
        title = [f"# The arm `{one.arm}`"] if len(pairs) > 1 else []
        parts += [*title, *told(one.results, two.results, (one.name, two.name), one.experiment.params.score)]
    text = "\n\n".join(parts) + "\n"
    if out is not None:
        with new_folder(out) as folder:
            table = pd.concat([_table(*pair) for pair in pairs], ignore_index=True)
            table.to_csv(folder / "compare.csv", index=False, float_format="%.6g")
            for one, two in pairs:
                sheet(one, two, folder / (f"images_{one.arm}.png" if len(pairs) > 1 else "images.png"))
            write(folder / "compare.md", text)
    return text


def sheet(one: Side, two: Side, path: Path) -> None:
    """The images that changed most: with their objects, and each side's map with what it found, of the first seed.

    Nothing where maps, detections or images cannot be read.
    """
    chosen = changed_most(by_image(one.results, two.results)).head(PICTURED)
    if chosen.empty:
        return
    source = Tree(places.SOURCE)
    rows: list[dict[str, np.ndarray]] = []
    try:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            found = {side.name: side.experiment.detections(side.arm) for side in (one, two)}
            for image_id in map(str, chosen.index):
                for stored in (source.image(image_id), source.annotation(image_id)):
                    write(folder / stored.name, one.experiment.read(stored))
                image = read_image(folder / source.image(image_id).name)
                row = {"image": pictures.boxed(image, folder / source.annotation(image_id).name)}
                for side in (one, two):
                    seed = side.experiment.params.train_of(side.arm).seeds[0]
                    heatmap = side.experiment.heatmap(side.arm, seed, image_id)
                    boxes = _shown(found[side.name], image_id, seed)
                    row[side.name] = pictures.framed(pictures.overlay(image, heatmap), boxes)
                rows.append(row)
    except BadInput:
        return
    labels = [
        f"{image_id}\n{row['verdict']}\nIoU {row['iou_a']:.2f} → {row['iou_b']:.2f}"
        for image_id, row in chosen.iterrows()
    ]
    pictures.sheet(rows, path, labels)


def _shown(found: pd.DataFrame, image_id: str, seed: int) -> list[list[float]]:
    own = found[(found["id"] == image_id) & (found["seed"] == seed) & (found["score"] >= SHOWN)]
    boxes: list[list[float]] = own[CORNERS].to_numpy().tolist()
    return boxes


def _pairs(a: str, b: str, arms: Sequence[str] | None) -> list[tuple[Side, Side]]:
    """What is compared with what, each pair of seeds that both have."""
    workspace = Experiment(WORKSPACE)
    if arms is None and {a, b} <= set(workspace.params.arms):
        return [_paired((workspace, a, a), (workspace, b, b))]
    if arms is None and {a, b} & set(workspace.params.arms):
        (other,) = {a, b} - set(workspace.params.arms)
        mend = f"choose one of: {', '.join(workspace.params.arms)}; of two experiments name the --arm"
        raise BadInput(Problem("command line", f"knows no arm {other!r}", mend))
    one, two = Experiment(a), Experiment(b)
    shared = [arm for arm in one.params.arms if arm in two.params.arms]
    named = shared if arms is None else arms
    if not named:
        raise BadInput(Problem("command line", f"{a} and {b} have no arm in common", "name two that have one"))
    return [_paired((one, arm, f"{arm} of {a}"), (two, arm, f"{arm} of {b}")) for arm in named]


def _paired(a: tuple[Experiment, str, str], b: tuple[Experiment, str, str]) -> tuple[Side, Side]:
    """Both sides with the seeds that they share; raises `BadInput` where nothing can be paired."""
    (one, first, _), (two, second, _) = a, b
    left, right = one.results(first), two.results(second)
    _require_same_images(one, two, left, right)
    if one.params.score != two.params.score:
        fault = "drew other resamples of the test images (`score` in params.yaml)"
        raise BadInput(Problem(f"{one.name} and {two.name}", fault, "score one of them anew with the other's `score`"))
    seeds = [seed for seed in left.seeds if seed in right.seeds]
    fixed = [not e.params.train_of(arm).steps for e, arm in ((one, first), (two, second))]
    if any(fixed):  # an arm that is not trained stands beside each seed of the other
        seeds = list(right.seeds if fixed[0] else left.seeds)
    if not seeds:
        fault = f"share no seed: {left.seeds} and {right.seeds}"
        raise BadInput(Problem(f"{one.name} and {two.name}", fault, "train both with one that is the same"))
    return Side(*a, left.of(seeds)), Side(*b, right.of(seeds))


def _require_same_images(one: Experiment, two: Experiment, left: Results, right: Results) -> None:
    a, b = (set(each.images.loc[each.images["split"] == "test", "id"]) for each in (left, right))
    apart = len(a ^ b)
    if not apart and one is not two:
        ids = sorted(a)
        known = one.tested(ids), two.tested(ids)
        apart = sum(known[0][i] != known[1][i] for i in ids)
    if apart:
        fault = f"were scored on other test images ({apart} differ)"
        mend = (
            "compare experiments of the same test split: that differs by `data`, `sample.seed` or `sample.test_scenes`"
        )
        raise BadInput(Problem(f"{one.name} and {two.name}", fault, mend))


def _table(one: Side, two: Side) -> pd.DataFrame:
    """The rows of compare.csv."""
    own = differed(one.results, two.results).rename(columns={"value": "difference"}).reset_index()
    seeds = len(one.results.seeds)
    sides = pd.DataFrame({"A": one.name, "B": two.name}, index=own.index)
    return sides.join(own).assign(seeds=seeds, covers="images and seeds" if seeds > 1 else "images")
