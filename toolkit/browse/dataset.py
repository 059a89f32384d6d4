"""A run as one dataset, exported as files.

DVC tracks them: the same input gives the same bytes, and paths are relative to the repository's root, so that a clone
opens the dataset wherever it lies. A field's maps lie in `fields/FIELD/`, because only then does FiftyOne's importer
mend their paths as well as the images'.
"""

import filecmp
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from toolkit.agreement import TRUTHS
from toolkit.browse.database import connect
from toolkit.browse.samples import heatmap, predicted, voc_sample
from toolkit.browse.settled import settle
from toolkit.browse.views import SOURCE, arrange, declare
from toolkit.metrics import METRICS
from toolkit.voc import Tree

if TYPE_CHECKING:
    import fiftyone

SHOWN = 0.3  # predictions below this score are not shown


def build(
    source: Tree,
    attention: Path,
    saliency: Path,
    agreement: pd.DataFrame,
    selection: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame],
    variants: Mapping[str, Tree],
    out: Path,
    *,
    place: Path | None = None,
    root: Path = Path(),
) -> None:
    """Export everything as a FiftyOne dataset into the empty folder `out`.

    `predictions` are each arm's detections, of one seed, `variants` each arm's train images. `place` is where `out`
    will lie in the end, where it is a temporary name; `root` is the repository's root. An image without a map, a score
    or a prediction is shown without it; it is `selected` where it is for any arm.
    """
    fo = connect()
    place = (place or out).absolute()
    stored = {"human_attention": attention / "human", "gaze_attention": attention / "gaze", "saliency": saliency}
    for field in stored:
        (out / "fields" / field).mkdir(parents=True)
    chosen = selection.groupby("id").agg({"selected": "any", "reason": _each_once})
    rows = agreement.merge(chosen, how="left", on="id").sort_values("id")
    changed = [
        (name, tree, image_id)
        for name, tree in variants.items()
        for image_id in rows["id"]
        if _differs(tree.image(image_id), source.image(image_id))
    ]
    scores = [f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS if f"{truth}_{metric}" in agreement]
    shown = {f"prediction_{arm}": found[found["score"] >= SHOWN] for arm, found in predictions.items()}
    found = {field: (frame, frame.groupby("id").indices) for field, frame in shown.items()}

    def samples() -> "Iterator[fiftyone.Sample]":
        for row in rows.to_dict("records"):
            sample = voc_sample(fo, source, row["id"], SOURCE)
            tested = row["split"] not in ("train", "base")
            sample.tags = [row["split"], *(["selected"] if row["selected"] is True else [])]
            for name in (*scores, "selected", "reason"):
                sample[name] = None if pd.isna(row.get(name)) else row[name]
            for field, folder in stored.items():
                sample[field] = heatmap(fo, sample, folder / f"{row['id']}.png", out, place / "fields" / field)
            for field, (frame, indices) in found.items():
                if tested:
                    sample[field] = predicted(fo, sample, frame.iloc[indices.get(row["id"], [])])
            yield sample
        for name, tree, image_id in changed:
            sample = voc_sample(fo, tree, image_id, name)
            sample.tags = [f"variant:{name}"]
            yield sample

    dataset = fo.Dataset()
    try:
        declare(fo, dataset, [*stored], [*found], scores)
        dataset.add_samples(samples(), dynamic=True, num_samples=len(rows) + len(changed), progress=True)
        arrange(fo, dataset, list(dict.fromkeys(name for name, _, _ in changed)))
        exporter = fo.utils.data.FiftyOneDatasetExporter(str(out), export_media=False, rel_dir=str(root.absolute()))
        dataset.export(dataset_exporter=exporter, progress=False)
    finally:
        dataset.delete()
    settle(out)


def _each_once(reasons: pd.Series) -> str:
    """The reasons of all arms, of which most have the same."""
    return "; ".join(reasons.unique())


def _differs(variant: Path, source: Path) -> bool:
    """Whether a variant has its own version of an image; most are links to the source's, which need no reading."""
    return variant.exists() and not variant.samefile(source) and not filecmp.cmp(variant, source, shallow=False)
