"""Where the detector looks: a map of every image, stored by content, made only where it is not there yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import Tensor

from toolkit import detectors, maps
from toolkit.detectors.adapter import Adapter, Found, Look
from toolkit.detectors.batches import through, together
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import sha256
from toolkit.params import Detector, Saliency
from toolkit.saliency.drise import drise
from toolkit.saliency.eigencam import eigencam
from toolkit.saliency.odam import odam
from toolkit.spread import Spread, Work, here
from toolkit.store import Files, Store, filling, make_missing
from toolkit.tensors import arithmetic
from toolkit.voc import Tree

Objects = tuple[Tensor, Tensor]  # boxes [N, 4] in pixels, classes [N] from 0
OWN = {"odam": odam, "drise": drise}  # methods of salvoc's own that explain objects, not the whole image
CONFIDENT = 0.3  # the score from which a detection is explained


def build(
    source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str], out: Path, spread: Spread = here
) -> None:
    """Write `ID.png`, the base detector's map of every image of the source."""
    ids = source.all_ids()
    with filling(out, len(ids)) as put:
        for image_id, path in spread(lambda: _looking(source, detector, settings, classes), ids, "saliency"):
            put(f"{image_id}.png", path)


def _looking(source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str]) -> Work[Path]:
    """The work of a process: the place of each image's map, made where it is not there yet."""
    place = places(Store("saliency", __name__), source, detector, settings, classes)
    adapter = cache(lambda: ready(detector, settings, classes))

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
            looking = through(adapter(), partial(explain, settings=settings), source, missing, ids, detector.at_once)
            yield from ((image_id, {".png": maps.encode(heatmap)}) for image_id, heatmap in looking)

        return make_missing(place(dict.fromkeys(ids)), make)

    return work


def places(
    store: Store, source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str], suffix: str = ".png"
) -> Callable[[Mapping[str, object]], dict[str, Path]]:
    """Where a store keeps what a detector sees in each image of a chunk, and how it is explained.

    The chunk is given by the images' ids, each with what is asked of that image alone.
    """
    layer = layer_of(detectors.find(detector.name), settings)
    made_of = (detectors.fingerprint(detector, classes), settings.method, layer, settings.sign, arithmetic())

    def place(known: Mapping[str, object]) -> dict[str, Path]:
        images = {image_id: sha256(source.image(image_id)) for image_id in known}
        return {
            i: store.path(made_of, images[i], known[i], [images[other] for other in beside], suffix=suffix)
            for i, beside in together(source, list(known), detector.at_once).items()
        }

    return place


def ready(detector: Detector, settings: Saliency, classes: Sequence[str]) -> Adapter:
    """The detector, where it can be explained as the settings say; else `BadInput`."""
    adapter = detectors.load(detector, classes)
    require_layer(adapter, settings)
    return adapter


def layer_of(detector: Adapter | type[Adapter], settings: Saliency) -> str:
    """The explained layer, or several joined by `+`: params' own, or the detector's for that method."""
    if settings.layer != "default":
        return settings.layer
    return detector.joined if settings.method == "odam" and detector.joined else detector.layer


def require_layer(adapter: Adapter, settings: Saliency) -> None:
    """Raise `BadInput` where there is no such method or layer, or the method cannot join several."""
    if settings.method not in ("eigencam", *OWN):
        require_known("saliency.method", "method", settings.method, methods())
    layer = layer_of(adapter, settings)
    if not adapter.layers().issuperset(layer.split("+")):
        known = f", such as {', '.join(adapter.stages)}" if adapter.stages else ""
        mend = f"use `default`, a module that gives a grid of cells{known}, or several joined by +"
        raise BadInput(Problem("saliency.layer", f"the detector cannot be explained at {layer!r}", mend))
    if "+" in layer and settings.method == "eigencam":
        fault = f"EigenCAM explains one layer, not {layer!r}"
        raise BadInput(Problem("saliency.layer", fault, "name one of them, or set saliency.method to odam"))


def explain(
    adapter: Adapter, images: Sequence[Tensor], settings: Saliency, seen: Look | None = None,
    asked: Sequence[Objects] | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Where the detector looks in each image: maps [h, w] (see `toolkit.maps`), which cover the image exactly.

    `images`: [3, H, W] in 0..1, all of one size. `seen` is the detector's look at them at `layer_of`, by those who have
    one already. EigenCAM's map is of the whole image. All other methods explain objects: those that are `asked` for, by
    default what the detector finds itself. pytorch-grad-cam makes the maps of all methods that are not salvoc's own,
    and EigenCAM's where its solver's sign is wanted.
    """
    layer, method = layer_of(adapter, settings), settings.method
    if method == "eigencam" and settings.sign == "objectness":
        seen = seen or adapter.look(images, layer, detections=False)
        return eigencam(seen.activations, seen.evidence, seen.covered)
    if asked is None:  # each image is looked at alone: what it is asked of must not hang on what was beside it
        first = layer.split("+")[0]
        alone = seen.found if seen and len(images) == 1 else [adapter.look([i], first).found[0] for i in images]
        asked = [confident(found) for found in alone]
    if method in OWN:
        make = OWN[method]
    else:
        from toolkit.saliency.library import library_cam  # pytorch-grad-cam brings scikit-learn: seconds to import

        make = partial(library_cam, method=method)
    pairs = zip(images, asked, strict=True)
    return [make(adapter, image, layer.split("+"), boxes=boxes, classes=classes) for image, (boxes, classes) in pairs]


def confident(found: Found) -> Objects:
    """What a detector finds with some confidence, or else the one thing that it is surest of."""
    scores = found["scores"]
    keep = scores >= CONFIDENT
    if len(scores) and not keep.any():
        keep = scores == scores.max()
    return found["boxes"][keep], found["labels"][keep] - 1


def methods() -> list[str]:
    """The names of all methods."""
    from toolkit.saliency.library import METHODS  # as above

    return sorted({*OWN, *METHODS})
