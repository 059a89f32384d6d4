"""What an arm's detectors find in the untouched test split, and where they look: kept for whatever is scored of it.

`torchrun --nproc-per-node N -m training.predict ARM` has N processes look, each at its share: the stage finds it.
"""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from io import BytesIO
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from toolkit import maps, processes, saliency, voc
from toolkit.detectors.adapter import Adapter, Found
from toolkit.detectors.batches import through
from toolkit.detectors.candidates import Candidates, best_log_odds
from toolkit.params import Detector, Params, Saliency
from toolkit.sources.masks import TEST_SPLITS
from toolkit.spread import CHUNK, Spread, Work, here
from toolkit.store import Files, Store, filling, make_missing
from toolkit.voc import Annotation, Tree
from toolkit.workers import batches
from training.detections import Detections, listed


def build(
    arm: str, weights: Path, source: Tree, params: Params, out: Path, heatmaps: Path, spread: Spread = here
) -> None:
    """Write `seed-S/ID.png` into `heatmaps`, and into `out` two tables, of every seed and test split.

    `detections.parquet`: a row a box that was found, with its `label`, `score` and corners in pixels.
    `objects.parquet`: a row an annotated object, with its `label` and `log_odds`: how sure the detector is of the
    object's class in the best of its raw candidates that overlap the object by half, before any threshold; -inf where
    none does. Both have columns `split`, `seed`, `id`.
    """
    split_of, classes = tested(source), params.data.classes
    found: list[pd.DataFrame] = []
    objects: list[pd.DataFrame] = []
    for seed in params.train_of(arm).seeds:
        detector = params.with_weights(weights / f"seed-{seed}.safetensors").detector
        title = f"{arm}, seed {seed}"
        paths = predicted(detector, source, list(split_of), params.saliency, classes, title, spread)
        with filling(heatmaps / f"seed-{seed}", len(split_of)) as put:
            while chunk := list(islice(paths, CHUNK)):  # a table of an image weighs far more than its rows
                boxes, asked = [], []
                for image_id, path in chunk:
                    put(f"{image_id}.png", path.with_suffix(".png"))
                    detections, log_odds = unpacked(path)
                    boxes.append(listed(image_id, detections, classes))
                    labels = [o.name for o in voc.read(source.annotation(image_id)).objects]
                    asked.append(pd.DataFrame({"label": labels, "log_odds": log_odds}).assign(id=image_id))
                for parts, tables in ((boxes, found), (asked, objects)):
                    table = pd.concat(parts, ignore_index=True)
                    tables.append(table.assign(split=table["id"].map(split_of), seed=seed))
    pd.concat(found, ignore_index=True).to_parquet(out / "detections.parquet")
    pd.concat(objects, ignore_index=True).to_parquet(out / "objects.parquet")


def tested(source: Tree) -> dict[str, str]:
    """The test images in their order, each with its split."""
    splits = [split for split in TEST_SPLITS if source.split(split).exists()]
    return {image_id: split for split in splits for image_id in source.ids(split)}


def keep(arm: str, weights: Path, source: Tree, params: Params) -> None:
    """Keep in the store what an arm's detectors see in this process's chunks of the test images."""
    chunks = batches(list(tested(source)), CHUNK)[processes.rank() :: processes.count()]
    ids, which = list(chain.from_iterable(chunks)), f"process {processes.rank() + 1} of {processes.count()}"
    for seed in params.train_of(arm).seeds:
        detector = params.with_weights(weights / f"seed-{seed}.safetensors").detector
        for _ in predicted(detector, source, ids, params.saliency, params.data.classes, f"{arm}, seed {seed}, {which}"):
            pass


def predicted(
    detector: Detector, source: Tree, ids: Sequence[str], explaining: Saliency, classes: Sequence[str], title: str,
    spread: Spread = here,
) -> Iterator[tuple[str, Path]]:  # fmt: skip
    """The stored `.npz` of what a detector sees in each image, its map beside it as `.png`; made where missing."""
    return spread(lambda: _predicting(detector, source, explaining, classes), ids, title)


def _predicting(detector: Detector, source: Tree, explaining: Saliency, classes: Sequence[str]) -> Work[Path]:
    """The work of a process."""
    place = saliency.places(Store("predictions", __name__), source, detector, explaining, classes, suffix=".npz")
    adapter = cache(lambda: saliency.ready(detector, explaining, classes))

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        known = {image_id: voc.read(source.annotation(image_id)) for image_id in ids}

        def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
            look = partial(examine, settings=explaining)
            for image_id, seen in through(adapter(), look, source, missing, ids, detector.at_once):
                found, candidates, heatmap = seen
                files = {".png": maps.encode(heatmap), ".npz": packed(found, candidates, known[image_id], classes)}
                yield image_id, files

        return make_missing(place({image_id: about.objects for image_id, about in known.items()}), make)

    return work


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
    with np.load(BytesIO(path.read_bytes())) as stored:
        return Detections(stored["boxes"], stored["classes"], stored["scores"]), stored["log_odds"]


if __name__ == "__main__":  # as torchrun starts it; the store knows the module by its own name
    import sys

    from toolkit import places
    from toolkit.errors import require_known
    from toolkit.params import load
    from training import predict

    def main(arm: str) -> None:
        params = load(places.PARAMS)
        require_known("command line", "arm", arm, params.arms)
        places.needs(places.SOURCE, places.ARMS / arm)
        predict.keep(arm, places.ARMS / arm, Tree(places.SOURCE), params)

    processes.run(lambda: main(" ".join(sys.argv[1:])))
