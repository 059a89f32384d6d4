"""A run as one dataset of groups, exported as files.

DVC tracks them: the same input gives the same bytes, and paths are relative to the repository's root, so that a clone
opens the dataset wherever it lies. A field's maps lie in `fields/FIELD/`, because only then does FiftyOne's importer
mend their paths as well as the images'.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from toolkit.agreement import TRUTHS
from toolkit.boxes import SHOWN
from toolkit.browse import fields
from toolkit.browse.database import connect
from toolkit.browse.evaluated import evaluate
from toolkit.browse.looks import arrange
from toolkit.browse.run import CONDITIONS, REFERENCE, SOURCE, Run
from toolkit.browse.samples import Fields, made_id, predicted, voc_sample
from toolkit.browse.settled import settle
from toolkit.browse.views import save_views
from toolkit.metrics import METRICS
from toolkit.shards import read
from toolkit.store import Put, filling
from toolkit.workers import mapped

if TYPE_CHECKING:
    import fiftyone

OF_ARMS = ("mae", "iou", "cc")  # the metrics that each arm has a field of; the base detector has all
DECISION = ("selected", "reason")
FIELDS = "fields"  # the export's folder of maps and masks
Made = tuple[list["fiftyone.Sample"], Fields]  # of a group: its samples, and the files that they need


def build(run: Run, out: Path, *, place: Path | None = None, root: Path = Path()) -> None:
    """Export the run as a FiftyOne dataset into the empty folder `out`.

    `place` is where `out` will lie in the end, where it is a temporary name; `root` is the repository's root. Images
    are made side by side and kept in the database, so that memory does not grow with their number.
    """
    fo = connect()
    groups = list(run.groups())
    dataset = fo.Dataset()
    try:
        dataset.add_group_field("group", default=SOURCE)
        made = mapped(_maker(run, (place or out).absolute() / FIELDS), groups)
        shown = tqdm(made, desc="browse", total=len(groups), unit="image", mininterval=1)
        with ExitStack() as filled:
            put = cache(lambda folder: filled.enter_context(filling(out / FIELDS / folder, len(run.agreement))))
            dataset.add_samples(_kept(shown, put), dynamic=True, progress=False)
        for arm in run.arms:
            evaluate(dataset, arm)
        arrange(dataset, list(run.arms))
        save_views(dataset, list(run.arms))
        exporter = fo.utils.data.FiftyOneDatasetExporter(str(out), export_media=False, rel_dir=str(root.absolute()))
        dataset.export(dataset_exporter=exporter, progress=False)
    finally:
        dataset.delete()
    settle(out)


def _kept(made: Iterable[Made], put: Callable[[str], Put]) -> Iterator["fiftyone.Sample"]:
    """The samples, as soon as their maps and masks are written: by `put(folder)(name, file)`."""
    for samples, written in made:
        for path, file in written.files.items():
            folder, _, name = path.rpartition("/")
            put(folder)(name, file)
        yield from samples


def _maker(run: Run, place: Path) -> Callable[[], Callable[[dict[str, str]], Made]]:
    """What `mapped` wants: the function from a group's ids by slice to its samples, with fields in `place`."""
    fo = connect()
    cued = len(set(CONDITIONS) & set(run.agreement["split"])) > 1
    about = {row["id"]: _about(row, cued) for row in _rows(run.agreement)}
    decided = {(row["id"], row["arm"]): {name: row[name] for name in DECISION} for row in _rows(run.selection)}
    for image_id, rows in run.selection.groupby("id"):
        reasons = "; ".join(rows["reason"].unique())  # most arms have the same
        about[image_id] |= {"selected": bool(rows["selected"].any()), "reason": reasons}
    for arm, scores in _scores(run).items():
        for row in _rows(scores):
            about[row.pop("id")] |= {fields.of(name, arm): value for name, value in row.items() if pd.notna(value)}
    found = {arm: own.detections[own.detections["score"] >= SHOWN] for arm, own in run.arms.items()}
    boxes = {arm: rows.groupby("id").indices for arm, rows in found.items()}

    def source(image_id: str, written: Fields) -> "fiftyone.Sample":
        sample = voc_sample(fo, run.source, image_id)
        size = sample.metadata.width, sample.metadata.height
        values: dict[str, Any] = {"variant": SOURCE, **about[image_id]}
        for truth in TRUTHS:
            field = fields.attention(truth)
            values[field] = written.heatmap(fo, field, run.attention / truth / f"{image_id}.png", size)
        values["saliency"] = written.heatmap(fo, "saliency", run.saliency / f"{image_id}.png", size)
        values["parts"] = written.parts(fo, "parts", run.source, image_id)
        if values["split"] in CONDITIONS:
            for arm, own in run.arms.items():
                field = fields.of("saliency", arm)
                values[field] = written.heatmap(fo, field, own.heatmaps / f"{image_id}.png", size)
                field = fields.of("prediction", arm)
                values[field] = predicted(fo, field, sample, found[arm].iloc[boxes[arm].get(image_id, [])])
        return _filled(sample, values)

    def variant(arm: str, image_id: str, written: Fields) -> "fiftyone.Sample | None":
        tree = run.arms[arm].variant
        if not _differs(tree.image(image_id), run.source.image(image_id)):
            return None
        values = {
            "variant": arm,
            "split": "train",
            **decided[image_id, arm],
            "changed": written.changed(fo, "changed", tree.image(image_id), run.source.image(image_id)),
        }
        return _filled(voc_sample(fo, tree, image_id), values)

    def make(slices: dict[str, str]) -> Made:
        image_id, written = slices[SOURCE], Fields(place)
        samples = {name: source(own, written) for name, own in slices.items()}
        if about[image_id]["split"] == "train":
            samples |= {arm: sample for arm in run.arms if (sample := variant(arm, image_id, written)) is not None}
        group = fo.Group(id=made_id("group", image_id))
        for name, sample in samples.items():
            sample["group"] = group.element(name)
            sample["image"] = image_id
        return list(samples.values()), written

    return lambda: make


def _about(row: dict[str, Any], cued: bool) -> dict[str, Any]:
    """What the table of agreement says of an image: its split and scores, and its condition where a cue was planted."""
    scores = [f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS]
    about = {"split": row["split"], "condition": CONDITIONS.get(row["split"]) if cued else None}
    return about | {name: row[name] for name in scores if name in row and pd.notna(row[name])}


def _scores(run: Run) -> dict[str, pd.DataFrame]:
    """Of each arm a row a test image: agreement, what it gained over the reference, whether it looked at the object."""
    names = [f"{truth}_{metric}" for truth in TRUTHS for metric in OF_ARMS] + ["pointed", "cue_looked_at"]
    tables = {arm: own.images[["id", *(name for name in names if name in own.images)]] for arm, own in run.arms.items()}
    if REFERENCE not in tables:
        return tables
    reference = tables[REFERENCE].set_index("id")
    for arm, table in tables.items():
        for truth in TRUTHS:
            iou = f"{truth}_iou"
            if arm != REFERENCE and iou in table and iou in reference:
                gain = table[iou].to_numpy() - reference[iou].reindex(table["id"]).to_numpy()
                table = table.assign(**{f"{truth}_gain": gain})
        tables[arm] = table
    return tables


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows by column, as Python's own values."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _filled(sample: "fiftyone.Sample", values: dict[str, Any]) -> "fiftyone.Sample":
    """The sample with the values that there are: what no image has is no field of the dataset."""
    for name, value in values.items():
        if value is not None:
            sample[name] = value
    return sample


def _differs(variant: Path, source: Path) -> bool:
    """Whether a variant has its own version of an image; most are links to the source's, which need no reading."""
    return not (variant.exists() and variant.samefile(source)) and read(variant) != read(source)
