"""What an arm's detectors find in the untouched test split, and where they look: kept for whatever is scored of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from toolkit.detectors.batches import through, together

from toolkit import detectors, saliency, voc
from toolkit.files import link, sha256
from toolkit.params import Params
from toolkit.sources.masks import TEST_SPLITS
from toolkit.store import Store, make_missing
from toolkit.tensors import arithmetic
from toolkit.voc import Annotation, Tree
from training.detections import Detections, listed


def build(arm: str, weights: Path, source: Tree, params: Params, out: Path, heatmaps: Path) -> None:
    """Write `seed-S/ID.png` into `heatmaps`, and into `out` two tables, of every seed and test split.

    `detections.parquet`: a row a box that was found, with its `label`, `score` and corners in pixels.
    `objects.parquet`: a row an annotated object, with its `label` and `log_odds`: how sure the detector is of the
    object's class in the best of its raw candidates that overlap the object by half, before any threshold; -inf where
    none does. Both have columns `split`, `seed`, `id`.
    """
    splits = {split: source.ids(split) for split in TEST_SPLITS if source.split(split).exists()}
    known = {i: voc.read(source.annotation(i)) for ids in splits.values() for i in ids}
    found, objects = [], []
    for seed in params.train_of(arm).seeds:
        paths = predicted(weights / f"seed-{seed}.safetensors", source, known, params, f"{arm}, seed {seed}")
        for split, ids in splits.items():
            for image_id in ids:
                link(paths[image_id].with_suffix(".png"), heatmaps / f"seed-{seed}" / f"{image_id}.png")
                with np.load(paths[image_id]) as stored:
                    detections = Detections(stored["boxes"], stored["classes"], stored["scores"])
                    log_odds = stored["log_odds"]
                found.append(listed(image_id, detections, params.data.classes).assign(split=split, seed=seed))
                labels = [known_object.name for known_object in known[image_id].objects]
                columns = {"id": image_id, "label": labels, "log_odds": log_odds}
                objects.append(pd.DataFrame(columns).assign(split=split, seed=seed))
    pd.concat(found, ignore_index=True).to_parquet(out / "detections.parquet")
    pd.concat(objects, ignore_index=True).to_parquet(out / "objects.parquet")


def predicted(
    weights: Path, source: Tree, known: Mapping[str, Annotation], params: Params, title: str
) -> dict[str, Path]:
    """Where what one detector sees in each image is stored, made now where it was not: `.npz`, and the map as `.png`."""
    classes = params.data.classes
    detector = params.detector.model_copy(update={"weights": "checkpoint", "checkpoint": str(weights)})
    layer = saliency.layer_of(detector, params.saliency)
    store, ids = Store("predictions", __name__), list(known)
    made_of = (
        detectors.fingerprint(detector, classes),
        params.saliency.method,
        layer,
        params.saliency.sign,
        arithmetic(),
    )
    images = {image_id: sha256(source.image(image_id)) for image_id in ids}
    paths = {
        i: store.path(made_of, images[i], known[i].objects, [images[other] for other in batch], suffix=".npz")
        for i, batch in together(source, ids, detector.at_once).items()
    }

    def make(missing: Sequence[str]):
        adapter = detectors.load(detector, classes)
        look = partial(examine, known=known, params=params, layer=layer)
        yield from through(adapter, look, source, missing, ids, detector.at_once)

    make_missing(paths, make, title)
    return paths
