"""What an arm's detectors find in the untouched test split, and where they look: kept for whatever is scored of it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from toolkit import detectors, maps, saliency, voc
from toolkit.detectors.adapter import Adapter, Found
from toolkit.detectors.batches import through
from toolkit.detectors.candidates import Candidates, best_log_odds
from toolkit.files import link
from toolkit.params import Detector, Params, Saliency
from toolkit.sources.masks import TEST_SPLITS
from toolkit.store import Files, Store, make_missing
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
        detector = params.with_weights(weights / f"seed-{seed}.safetensors").detector
        paths = predicted(detector, source, known, params.saliency, params.data.classes, f"{arm}, seed {seed}")
        for split, ids in splits.items():
            for image_id in ids:
                link(paths[image_id].with_suffix(".png"), heatmaps / f"seed-{seed}" / f"{image_id}.png")
                detections, log_odds = unpacked(paths[image_id])
                found.append(listed(image_id, detections, params.data.classes).assign(split=split, seed=seed))
                labels = [o.name for o in known[image_id].objects]
                objects.append(
                    pd.DataFrame({"label": labels, "log_odds": log_odds}).assign(id=image_id, split=split, seed=seed)
                )
    pd.concat(found, ignore_index=True).to_parquet(out / "detections.parquet")
    pd.concat(objects, ignore_index=True).to_parquet(out / "objects.parquet")


def predicted(
    detector: Detector, source: Tree, known: Mapping[str, Annotation], explaining: Saliency, classes: Sequence[str],
    title: str,
) -> dict[str, Path]:  # fmt: skip
    """The stored `.npz` of what a detector sees in each image, its map beside it as `.png`; made where missing."""
    asked = {image_id: annotation.objects for image_id, annotation in known.items()}
    store = Store("predictions", __name__)
    paths = saliency.seen_at(store, source, asked, detector, explaining, classes, suffix=".npz")

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        look = partial(examine, settings=explaining)
        adapter = detectors.load(detector, classes)
        saliency.require_layer(adapter, explaining)
        looking = through(adapter, look, source, missing, list(known), detector.at_once)
        for image_id, (found, candidates, heatmap) in looking:
            yield (
                image_id,
                {
                    ".png": maps.encode(heatmap),
                    ".npz": packed(found, candidates, known[image_id], classes),
                },
            )

    make_missing(paths, make, title)
    return paths


def examine(
    adapter: Adapter, images: Sequence[Tensor], settings: Saliency
) -> list[tuple[Found, Candidates, np.ndarray]]:
    """What the detector finds in images [3, H, W] in 0..1 of one size, what it considered, and where it looks."""
    # where several layers are joined they are looked at apart: any of them will do here
    seen = adapter.look(images, saliency.layer_of(adapter, settings).split("+")[0])
    return list(zip(seen.found, seen.candidates, saliency.explain(adapter, images, settings, seen), strict=True))


def packed(found: Found, candidates: Candidates, known: Annotation, classes: Sequence[str]) -> bytes:
    """One image's detections, and the log-odds of its objects, as arrays in an `.npz`."""
    where = candidates.boxes.device
    boxes = torch.tensor([o.box for o in known.objects], dtype=torch.float32, device=where).reshape(-1, 4)
    labels = torch.tensor([classes.index(o.name) for o in known.objects], dtype=torch.int64, device=where)
    stored = BytesIO()
    np.savez(
        stored,
        boxes=found["boxes"].cpu().numpy(),
        classes=found["labels"].cpu().numpy() - 1,
        scores=found["scores"].cpu().numpy(),
        log_odds=best_log_odds(candidates, boxes, labels).cpu().numpy(),
    )
    return stored.getvalue()


def unpacked(path: Path) -> tuple[Detections, np.ndarray]:
    """What `packed` stored: the detections, and the log-odds of the objects [G]."""
    with np.load(path) as stored:
        return Detections(stored["boxes"], stored["classes"], stored["scores"]), stored["log_odds"]
