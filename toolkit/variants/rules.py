"""The rules that make variants: each maps a batch of original train images to changed ones.

To add one, write it here or in a file of its own and give it a row in `RULES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from toolkit import voc
from toolkit.files import seed_of
from toolkit.params import Aug, Inpaint
from toolkit.sources import cue
from toolkit.sources.masks import CUE
from toolkit.variants.regions import elsewhere, erase, most_salient


@dataclass(frozen=True)
class Original:
    """One train image before a rule: its id, pixels [H, W, 3] uint8, its annotation, the detector's map [H, W]; where
    a cue was planted the mask [H, W] of objects and cue, and the classes that have a tile; and the image's own seed,
    the same for every rule."""

    id: str
    image: np.ndarray
    xml: bytes
    saliency: np.ndarray
    mask: np.ndarray | None
    cues: Sequence[str]
    seed: int


@dataclass(frozen=True)
class Changed:
    """One train image after a rule: pixels and annotation, and the region [H, W] bool that the rule worked on."""

    image: np.ndarray
    xml: bytes
    region: np.ndarray


Change = Callable[[Sequence[Original], Aug], list[Changed]]
Region = Callable[[Original, Aug], np.ndarray]  # [H, W] bool


@dataclass(frozen=True)
class Rule:
    """All that is said of a rule anywhere.

    `change` takes a batch and gives a batch in the same order; what becomes of an image must not depend on what is
    beside it. Batches are changed in threads, each of which computes on one core, unless the rule works `alone`: then
    one after the other on the main thread. The first one is empty: what the rule's work needs is imported then.
    """

    about: str  # of its train images, in a line
    change: Change
    depends: Callable[[Aug], dict[str, object]] = lambda aug: {}  # settings that decide, besides image, map and seed
    images: Literal["none", "selected", "every"] = "selected"  # of the train images: those that it is given
    needs_masks: bool = False  # must know the cue's pixels: where one was planted
    frees: bool = False  # a positive control: a detector fine-tuned on it must come to rely less on the cue
    alone: Callable[[Aug], bool] = lambda aug: False  # whether it keeps every core or the GPU at work by itself


def erased(originals: Sequence[Original], settings: Aug, where: Region) -> list[Changed]:
    """A region black."""
    regions = [where(o, settings) for o in originals]
    return [Changed(erase(o.image, region), o.xml, region) for o, region in zip(originals, regions, strict=True)]


def filled(originals: Sequence[Original], settings: Aug, where: Region) -> list[Changed]:
    """A region filled from its surroundings."""
    from toolkit.variants.inpainting import Holed, inpaint  # torch takes seconds: only those who need it wait

    holes = [where(o, settings) for o in originals]
    work = [Holed(o.image, hole, o.seed) for o, hole in zip(originals, holes, strict=True)]
    images = inpaint(work, settings.inpaint)
    return [Changed(image, o.xml, hole) for image, o, hole in zip(images, originals, holes, strict=True)]


def nontrivial(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """One random sub-policy of AutoAugment for detection; boxes follow the pixels."""
    from toolkit.variants.nontrivial import transform  # as above

    changed = []
    for o in originals:
        boxes = [known.box for known in voc.parse(o.xml, "annotation").objects]
        image, moved, _ = transform(o.image, boxes, settings.nontrivial.policy, o.seed, settings.nontrivial.engine)
        changed.append(Changed(image, voc.with_boxes(o.xml, moved), (image != o.image).any(axis=2)))
    return changed


def counterfactual(originals: Sequence[Original], settings: Aug) -> list[Changed]:
    """Another class's cue in the cue's place: what it tells is never true."""
    changed = []
    for o in originals:
        region, rng, image = _cue(o, settings), np.random.default_rng(seed_of("counterfactual", o.seed)), o.image
        if region.any():
            told = cue.other(voc.parse(o.xml, "annotation").objects[0].name, rng, o.cues)
            image = cue.drawn(image, cue.place_of(region), told, rng, o.cues)
        changed.append(Changed(image, o.xml, region))
    return changed


def _salient(o: Original, settings: Aug) -> np.ndarray:
    return most_salient(o.saliency, settings.erase_percent, o.id)


def _control(o: Original, settings: Aug) -> np.ndarray:
    """Where both controls work: the same area and shape as the most salient pixels, elsewhere."""
    return elsewhere(_salient(o, settings), o.seed)


def _cue(o: Original, settings: Aug) -> np.ndarray:
    return o.mask == CUE if o.mask is not None else np.zeros(o.image.shape[:2], bool)


def _share(settings: Aug) -> dict[str, object]:
    return {"erase_percent": settings.erase_percent}


def _filling(settings: Aug) -> dict[str, object]:
    """What decides a fill. Another device would round the study's otherwise; all else is filled on the CPU."""
    decides = _share(settings) | settings.inpaint.model_dump()
    if _as_in_the_study(settings):
        from toolkit.tensors import arithmetic  # as above

        decides["arithmetic"] = arithmetic()
    return decides


def _as_in_the_study(settings: Aug) -> bool:
    return settings.inpaint == Inpaint(method="dip", preset="study")


_inpainting = partial(Rule, depends=_filling, alone=_as_in_the_study)
RULES: dict[str, Rule] = {
    "none": Rule("as they are", lambda originals, aug: [], images="none"),
    "erasing": Rule("selected ones with the most salient pixels black", partial(erased, where=_salient), _share),
    "inpainting": _inpainting("the same pixels filled from their surroundings", partial(filled, where=_salient)),
    "nontrivial": Rule(
        "each with a random sub-policy of AutoAugment for detection; boxes follow the pixels",
        nontrivial,
        lambda aug: aug.nontrivial.model_dump(),
        images="every",
    ),
    "random": Rule(
        "erasing's control: as much erased, in the same shape, elsewhere", partial(erased, where=_control), _share
    ),
    "random_inpainting": _inpainting(
        "inpainting's control: the pixels that `random` erases, filled", partial(filled, where=_control)
    ),
    "oracle": Rule(
        "where a cue was planted: exactly the cue's pixels black, in every image; what perfect erasing could do",
        partial(erased, where=_cue),
        images="every",
        needs_masks=True,
        frees=True,
    ),
    "counterfactual": Rule(
        "where a cue was planted: another class's cue in the cue's place, in every image; what the best data could do",
        counterfactual,
        images="every",
        needs_masks=True,
        frees=True,
    ),
}
