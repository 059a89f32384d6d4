"""The rules that make variants: each maps some original train images to changed ones.

To add one, write it here, name it in `RULES` and say in `DEPENDS` which settings its result depends on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit import voc
from toolkit.params import Aug
from toolkit.sources.scenes import CUE
from toolkit.variants.regions import elsewhere, erase, most_salient


@dataclass(frozen=True)
class Original:
    """One train image before a rule: pixels [H, W, 3] uint8, its annotation, the detector's map [H, W], the sample's
    mask [H, W] of objects and cue where there is one, and the image's own seed."""

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


Rule = Callable[[Sequence[Original], Aug], list[Changed]]


def erasing(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """The most salient pixels black."""
    regions = [most_salient(o.saliency, settings.erase_percent) for o in originals]
    return [Changed(erase(o.image, r), o.xml, r) for o, r in zip(originals, regions, strict=True)]


def inpainting(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """The most salient pixels filled from their surroundings."""
    from toolkit.variants.inpainting import inpaint  # torch takes seconds to import: only those who need it wait

    regions = [most_salient(o.saliency, settings.erase_percent) for o in originals]
    images, seeds = [o.image for o in originals], [o.seed for o in originals]
    filled = inpaint(images, regions, seeds, settings.inpaint.engine, settings.inpaint.iterations)
    return [Changed(image, o.xml, r) for image, o, r in zip(filled, originals, regions, strict=True)]


def random(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """The control: as much erased, in the same shape, elsewhere."""
    regions = [elsewhere(most_salient(o.saliency, settings.erase_percent), o.seed) for o in originals]
    return [Changed(erase(o.image, r), o.xml, r) for o, r in zip(originals, regions, strict=True)]


def oracle(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """The upper bound, on the sample: exactly the cue's pixels black."""
    regions = [o.mask == CUE if o.mask is not None else np.zeros(o.image.shape[:2], bool) for o in originals]
    return [Changed(erase(o.image, r), o.xml, r) for o, r in zip(originals, regions, strict=True)]


def nontrivial(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """One random sub-policy of AutoAugment for detection; boxes follow the pixels."""
    from toolkit.variants.nontrivial import transform  # as above

    changed = []
    for o in originals:
        boxes = [known.box for known in voc.parse(o.xml, "annotation").objects]
        image, moved, _ = transform(o.image, boxes, settings.policy, o.seed, settings.engine)
        changed.append(Changed(image, voc.with_boxes(o.xml, moved), (image != o.image).any(axis=2)))
    return changed


RULES: dict[str, Rule] = {
    "erasing": erasing,
    "inpainting": inpainting,
    "random": random,
    "oracle": oracle,
    "nontrivial": nontrivial,
}
# What a rule's result depends on, besides the image, its map and its seed.
DEPENDS: dict[str, Callable[[Aug], dict[str, object]]] = {
    "erasing": lambda aug: {"erase_percent": aug.erase_percent},
    "inpainting": lambda aug: {"erase_percent": aug.erase_percent} | aug.inpaint.model_dump(),
    "random": lambda aug: {"erase_percent": aug.erase_percent},
    "oracle": lambda aug: {},
    "nontrivial": lambda aug: {"policy": aug.policy, "engine": aug.engine},
}
