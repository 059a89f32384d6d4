"""Where the detector looks: a map of every image, stored by content, made only where it is not there yet."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from toolkit import detectors, maps
from toolkit.detectors.adapter import Adapter, Look
from toolkit.detectors.batches import through, together
from toolkit.errors import BadInput, Problem
from toolkit.files import link, sha256
from toolkit.params import Detector, Saliency
from toolkit.saliency.eigencam import eigencam
from toolkit.store import Files, Store, make_missing
from toolkit.tensors import arithmetic
from toolkit.voc import Tree


def build(source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str], out: Path) -> None:
    """Write `ID.png`, the base detector's map of every image of the source."""
    layer, ids = layer_of(detectors.find(detector.name), settings), source.all_ids()
    paths = seen_at(Store("saliency", __name__), source, dict.fromkeys(ids), detector, settings, classes)

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        adapter = detectors.load(detector, classes)
        if layer not in adapter.layers():
            mend = "use `default`, or a module of the detector that gives a grid of cells"
            raise BadInput(Problem("saliency.layer", f"{detector.name} cannot be explained at {layer!r}", mend))
        looking = through(adapter, partial(explain, settings=settings), source, missing, ids, detector.at_once)
        yield from ((image_id, {".png": maps.encode(heatmap)}) for image_id, heatmap in looking)

    make_missing(paths, make, "saliency")
    out.mkdir(parents=True, exist_ok=True)
    for image_id, path in paths.items():
        link(path, out / f"{image_id}.png")


def seen_at(
    store: Store, source: Tree, known: Mapping[str, object], detector: Detector, settings: Saliency,
    classes: Sequence[str], suffix: str = ".png",
) -> dict[str, Path]:  # fmt: skip
    """Where a store keeps what a detector sees in each image, and how it is explained.

    `known` has the images' ids, each with what is asked of that image alone.
    """
    layer = layer_of(detectors.find(detector.name), settings)
    made_of = (detectors.fingerprint(detector, classes), settings.method, layer, settings.sign, arithmetic())
    images = {image_id: sha256(source.image(image_id)) for image_id in known}
    return {
        i: store.path(made_of, images[i], known[i], [images[other] for other in beside], suffix=suffix)
        for i, beside in together(source, list(known), detector.at_once).items()
    }


def layer_of(detector: Adapter | type[Adapter], settings: Saliency) -> str:
    """The explained layer: params' own, or the detector's."""
    return detector.layer if settings.layer == "default" else settings.layer


def explain(
    adapter: Adapter, images: Sequence[Tensor], settings: Saliency, seen: Look | None = None
) -> list[np.ndarray]:
    """Where the detector looks in each image: maps [h, w] (see `toolkit.maps`), which cover the image exactly.

    `images`: [3, H, W] in 0..1, all of one size. `seen` is the detector's look at them at `layer_of`, by those who have
    one already. pytorch-grad-cam makes the maps of all methods but EigenCAM, and EigenCAM's too where its solver's sign
    is wanted.
    """
    layer = layer_of(adapter, settings)
    if settings.method != "eigencam" or settings.sign == "raw":
        from toolkit.saliency.library import library_cam  # pytorch-grad-cam brings scikit-learn: seconds to import

        return [library_cam(adapter, image, layer, settings.method) for image in images]
    seen = seen or adapter.look(images, layer, detections=False)
    return eigencam(seen.activations, seen.evidence, seen.covered)
