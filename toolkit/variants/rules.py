"""The rules that make variants: each maps some original train images to changed ones.

To add one, write it here, name it in `RULES` and say in `DEPENDS` which settings its result depends on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np

from toolkit import voc
from toolkit.params import Aug
from toolkit.sources.masks import CUE
from toolkit.variants.regions import elsewhere, erase, most_salient


@dataclass(frozen=True)
class Original:
    """One train image before a rule: its id, pixels [H, W, 3] uint8, its annotation, the detector's map [H, W], the
    sample's mask [H, W] of objects and cue where there is one, and the image's own seed, the same for every rule."""

    id: str
    image: np.ndarray
    xml: bytes
    saliency: np.ndarray
    mask: np.ndarray | None
    seed: int


@dataclass(frozen=True)
class Changed:
    """One train image after a rule: pixels and annotation, and the region [H, W] bool that the rule worked on."""

    image: np.ndarray
    xml: bytes
    region: np.ndarray


Rule = Callable[
    [Iterable[Original], Aug], Iterator[Changed]
]  # one by one: memory stays small, and what is done is kept


def erasing(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """The most salient pixels black."""
    for o in originals:
        region = most_salient(o.saliency, settings.erase_percent, o.id)
        yield Changed(erase(o.image, region), o.xml, region)


def inpainting(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """The most salient pixels filled from their surroundings."""
    return _filled(originals, settings, lambda o: most_salient(o.saliency, settings.erase_percent, o.id))


def random(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """Erasing's control: as much erased, in the same shape, elsewhere."""
    for o in originals:
        region = _control(o, settings)
        yield Changed(erase(o.image, region), o.xml, region)


def random_inpainting(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """Inpainting's control: the pixels that `random` erases filled from their surroundings."""
    return _filled(originals, settings, lambda o: _control(o, settings))


def oracle(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """The upper bound, on the sample: exactly the cue's pixels black."""
    for o in originals:
        region = o.mask == CUE if o.mask is not None else np.zeros(o.image.shape[:2], bool)
        yield Changed(erase(o.image, region), o.xml, region)


def nontrivial(originals: Iterable[Original], settings: Aug) -> Iterator[Changed]:
    """One random sub-policy of AutoAugment for detection; boxes follow the pixels."""
    from toolkit.variants.nontrivial import transform  # as above

    for o in originals:
        boxes = [known.box for known in voc.parse(o.xml, "annotation").objects]
        image, moved, _ = transform(o.image, boxes, settings.policy, o.seed, settings.engine)
        yield Changed(image, voc.with_boxes(o.xml, moved), (image != o.image).any(axis=2))


def _control(o: Original, settings: Aug) -> np.ndarray:
    """Where both controls work: the same area and shape as the most salient pixels, elsewhere."""
    return elsewhere(most_salient(o.saliency, settings.erase_percent, o.id), o.seed)


def _filled(
    originals: Iterable[Original], settings: Aug, region: Callable[[Original], np.ndarray]
) -> Iterator[Changed]:
    from toolkit.variants.inpainting import Holed, inpaint  # torch takes seconds: only those who need it wait

    originals, ahead = tee(originals)
    work, kept = tee(Holed(o.image, region(o), o.seed) for o in ahead)
    filled = inpaint(work, settings.inpaint)
    for image, o, one in zip(filled, originals, kept, strict=True):
        yield Changed(image, o.xml, one.hole)


def _filling(settings: Aug) -> dict[str, object]:
    """What decides a fill. Another device would round the study's otherwise; all else is filled on the CPU."""
    decides = {"erase_percent": settings.erase_percent} | settings.inpaint.model_dump()
    if settings.inpaint.engine == "dip" and settings.inpaint.preset == "study":
        from toolkit.tensors import arithmetic  # as above

        decides["arithmetic"] = arithmetic()
    return decides


RULES: dict[str, Rule] = {
    "erasing": erasing,
    "inpainting": inpainting,
    "random": random,
    "random_inpainting": random_inpainting,
    "oracle": oracle,
    "nontrivial": nontrivial,
}
# What a rule's result depends on, besides the image, its map and its seed.
DEPENDS: dict[str, Callable[[Aug], dict[str, object]]] = {
    "erasing": lambda aug: {"erase_percent": aug.erase_percent},
    "inpainting": _filling,
    "random": lambda aug: {"erase_percent": aug.erase_percent},
    "random_inpainting": _filling,
    "oracle": lambda aug: {},
    "nontrivial": lambda aug: {"policy": aug.policy, "engine": aug.engine},
}
