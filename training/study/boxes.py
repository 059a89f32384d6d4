"""Agreement inside and around the box that people looked at: a dog on a sofa is not judged on the sofa."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from toolkit import agreement, detectors, maps, saliency
from toolkit.agreement import Fixations
from toolkit.detectors.adapter import Adapter
from toolkit.files import read_image
from toolkit.params import Detector, Saliency
from toolkit.saliency import CONFIDENT
from toolkit.shards import exists
from toolkit.spread import here
from toolkit.store import Files, Store, make_missing
from toolkit.tensors import device, to_tensor
from toolkit.voc import Annotation, Box, Tree
from toolkit.workers import mapped
from training.detections import Detections

HALF = 0.5  # of people's attention, that the box holds which they looked at
MARGIN = 0.5  # of a box's width and height, that is read around it on each side


def watched_maps(
    source: Tree, attention: Path, known: Mapping[str, Annotation], found: Mapping[str, Detections], detector: Detector,
    method: Saliency, classes: Sequence[str], title: str,
) -> dict[str, tuple[Box, Path]]:  # fmt: skip
    """By image the detected box that people looked at (see `watched`), and the file of the map of it alone.

    EigenCAM's map is of the whole image: it has none.
    """
    if method.method == "eigencam":
        return {}
    asked: dict[str, tuple[Box, int]] = {}
    for image_id, own in found.items():
        with_people = attention / "human" / f"{image_id}.png"
        path = with_people if exists(with_people) else attention / "gaze" / f"{image_id}.png"
        chosen = watched(own, maps.scale(maps.load(path), known[image_id].height, known[image_id].width))
        if chosen is not None:
            x0, y0, x1, y1 = map(float, own.boxes[chosen])
            asked[image_id] = (x0, y0, x1, y1), int(own.classes[chosen])
    place = saliency.places(Store("boxes", __name__), source, detector, method, classes)
    adapter = cache(lambda: detectors.load(detector, classes))

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        loaded = adapter()
        return mapped(lambda: partial(_explained, deepcopy(loaded), source, asked, method), missing)

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        return make_missing(place({image_id: asked[image_id] for image_id in ids}), make)

    return {image_id: (asked[image_id][0], path) for image_id, path in here(lambda: work, list(asked), title)}


def watched(found: Detections, attention: np.ndarray) -> int | None:
    """Which detection people looked at, of those of score `CONFIDENT` or more; None without one.

    `attention` [H, W] is as large as the image. It is the smallest box that holds half of it, or else the one that
    holds the most.
    """
    sure = np.flatnonzero(found.scores >= CONFIDENT)
    if not sure.size:
        return None
    held, sizes = [], []
    for x0, y0, x1, y1 in np.rint(found.boxes[sure]).astype(int).clip(0):
        held.append(attention[y0:y1, x0:x1].sum())
        sizes.append((x1 - x0) * (y1 - y0))
    enough = np.array(held) >= HALF * attention.sum()
    return int(sure[np.where(enough, sizes, np.inf).argmin() if enough.any() else np.argmax(held)])


def around(
    heatmap: np.ndarray, attention: Path, image_id: str, known: Annotation, box: Box, fixations: Fixations
) -> dict[str, float]:
    """A map's agreement `box_*` inside a box and around it, as far again as half of it on each side."""
    row: dict[str, float] = {}
    for name, size, truth in agreement.truths(attention, image_id, fixations):
        part = window(box, known.width, known.height, size)
        own = maps.normalise(maps.scale(heatmap, *size)[part])
        cut = {of: maps.normalise(cells[part]) if of == "map" else cells[part] for of, cells in truth.items()}
        row |= {f"box_{name}_{metric}": score for metric, score in agreement.compare(own, cut).items()}
    return row


def window(box: Box, width: int, height: int, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns that show a box and its surroundings, of a grid over an image of `width` x `height`."""
    x0, y0, x1, y1 = box
    across, down = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    rows = slice(*_ends((y0 - down) / height, (y1 + down) / height, size[0]))
    return rows, slice(*_ends((x0 - across) / width, (x1 + across) / width, size[1]))


def _ends(start: float, end: float, cells: int) -> tuple[int, int]:
    first = min(max(int(start * cells), 0), cells - 1)
    return first, max(min(round(end * cells), cells), first + 1)


def _explained(
    adapter: Adapter, source: Tree, asked: Mapping[str, tuple[Box, int]], method: Saliency, image_id: str
) -> tuple[str, Files]:
    """The map of one image's chosen detection."""
    image, (box, label) = to_tensor(read_image(source.image(image_id))).to(device()), asked[image_id]
    objects = torch.tensor([box], device=image.device), torch.tensor([label], device=image.device)
    (heatmap,) = saliency.explain(adapter, [image], method, asked=[objects])
    return image_id, {".png": maps.encode(heatmap)}
