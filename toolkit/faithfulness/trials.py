"""The test of one image after another, each kept by what it was made of, so that a killed run goes on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from torch import Tensor

from toolkit import detectors, maps, saliency, voc
from toolkit.detectors.adapter import Adapter
from toolkit.faithfulness.cases import FILLS, Case, case, curves, rank, score
from toolkit.files import digest, read_image, seed_of, sha256
from toolkit.params import Detector, Faithfulness, Saliency
from toolkit.spread import here
from toolkit.store import Files, Store, make_missing
from toolkit.tensors import arithmetic, device, to_tensor
from toolkit.voc import Tree
from toolkit.workers import batches, mapped

SPLIT = "test"  # no detector was trained on it
Trial = dict[str, Any]  # what came of one image: its `id`, and whatever was measured, as JSON keeps it
Measure = Callable[[Case], Trial]


def drawn(ids: Sequence[str], count: int) -> list[str]:
    """So many of the ids, drawn by the ids themselves."""
    return sorted(ids, key=lambda image_id: seed_of("faithfulness", image_id))[:count]


def trials(
    source: Tree, known: Mapping[str, object], detector: Detector, classes: Sequence[str], made_of: object,
    prepare: Callable[[Adapter], Measure], title: str, maker: str,
) -> list[Trial]:  # fmt: skip
    """What `prepare(detector)` measures on each image in which the detector finds an object; the others are left out.

    `known` has the images' ids, each with what else its trial hangs on; `made_of` is what all of them hang on besides
    the detector and the code of the module `maker`, which has `prepare`. That is called once by each thread, with a
    detector of its own.
    """
    store = Store("faithfulness", maker)
    shared = made_of, detectors.fingerprint(detector, classes), arithmetic()
    paths = {}
    for image_id, also in known.items():
        annotated = voc.read(source.annotation(image_id)).objects
        own = image_id, sha256(source.image(image_id)), digest(annotated), also
        paths[image_id] = store.path(shared, own, suffix=".json")

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        adapter = detectors.load(detector, classes)

        def begin() -> Callable[[str], tuple[str, Files]]:
            own = deepcopy(adapter)
            measure = prepare(own)

            def one(image_id: str) -> tuple[str, Files]:
                found = read(own, source, image_id, classes)
                return image_id, {".json": json.dumps(measure(found) if found else None).encode()}

            return one

        yield from mapped(begin, missing)

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        return make_missing({image_id: paths[image_id] for image_id in ids}, make)

    stored = (json.loads(path.read_text()) for _, path in here(lambda: work, list(known), title))
    return [trial for trial in stored if trial is not None]


def read(adapter: Adapter, source: Tree, image_id: str, classes: Sequence[str]) -> Case | None:
    """The case that an image of the source makes, if the detector finds one of its objects."""
    image = to_tensor(read_image(source.image(image_id))).to(device())
    return case(adapter, image_id, image, voc.read(source.annotation(image_id)), classes)


def probed(
    adapter: Adapter, one: Case, orders: Mapping[str, np.ndarray], settings: Faithfulness, at_once: int
) -> Trial:
    """The object's score as it is and (`gone`) where all is filled, and its `curves` by order, fill and direction.

    `orders` are maps [H, W]: the pixels where one is highest go first.
    """

    def look(images: Sequence[Tensor]) -> list[float]:
        # one by one on a CPU, as everywhere: what is computed beside an image changes its last bits
        parts = batches(images, at_once if device().type == "cuda" else 1)
        return [float(s) for part in parts for s in score(adapter, part, one.box[None], one.label[None])[:, 0]]

    filled = {fill: FILLS[fill](one.image) for fill in settings.fills}
    ranks = {name: rank(heatmap, one.id) for name, heatmap in orders.items()}
    return {
        "id": one.id,
        "score": one.score,
        "gone": {fill: look([image])[0] for fill, image in filled.items()},
        "curves": {
            name: {fill: curves(look, one.image, image, order, settings.shares) for fill, image in filled.items()}
            for name, order in ranks.items()
        },
    }


def costed(adapter: Adapter, one: Case, settings: Saliency) -> tuple[np.ndarray, float]:
    """`explained`, and what it costs in passes of the detector over the image (on a CPU; on a GPU it means nothing)."""
    begin = thread_time()
    heatmap = explained(adapter, one, settings)
    middle = thread_time()
    score(adapter, [one.image], one.box[None], one.label[None])
    return heatmap, (middle - begin) / (thread_time() - middle)


def explained(adapter: Adapter, one: Case, settings: Saliency) -> np.ndarray:
    """The map of the case's object [H, W], or the image's where the method knows no objects."""
    asked = [(one.box[None], one.label[None])]
    (heatmap,) = saliency.explain(adapter, [one.image], settings, asked=asked)
    return maps.scale(heatmap, *one.image.shape[-2:])
