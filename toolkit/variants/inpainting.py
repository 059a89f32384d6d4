"""Fill a hole in an image from what surrounds it: with Deep Image Prior, as the study did, or OpenCV's Telea."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
import torch

from toolkit.params import Inpaint
from toolkit.variants import deep_image_prior, study_prior
from toolkit.workers import mapped

RADIUS = 3  # pixels that Telea looks around
AT_ONCE = 128  # images that a GPU fills side by side


class Holed(NamedTuple):
    """An image [H, W, 3] uint8 RGB, its hole [H, W] bool, True where to fill, and the seed of what fills it."""

    image: np.ndarray
    hole: np.ndarray
    seed: int


def inpaint(work: Iterable[Holed], settings: Inpaint, device: str = "cpu") -> Iterator[np.ndarray]:
    """Each image with its hole filled, in order; every pixel outside it stays as it was.

    Images may be of any sizes, and are taken as they are needed. On a CPU a result depends on its own image, hole and
    seed alone, to the last bit: not on the other images, their order or (but for the preset `study`) the number of
    threads. Raises ValueError where a hole leaves nothing to fill it from.
    """

    def alone(one: Holed) -> np.ndarray:
        return _filled([one], settings, device)[0]

    if settings.engine == "dip" and settings.preset == "study":
        yield from map(alone, work)  # so large a network keeps every core at work by itself
    elif settings.engine == "telea" or device == "cpu":
        yield from mapped(lambda: alone, work)
    else:
        rest = iter(work)
        while some := list(islice(rest, AT_ONCE)):
            with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
                filled = _filled(some, settings, device)
            yield from filled


def _filled(work: Sequence[Holed], settings: Inpaint, device: str) -> list[np.ndarray]:
    """The images with their holes, of which some may be empty, filled side by side."""
    for image, hole, _ in work:
        if hole.shape != image.shape[:2]:
            raise ValueError(f"the hole is {hole.shape}, its image {image.shape[:2]}")
        if hole.all():
            raise ValueError("the hole covers the whole image")
    holed = [one for one in work if one.hole.any()]
    if settings.engine == "telea":
        filled = [telea(image, hole) for image, hole, _ in holed]
    elif settings.preset == "study":
        filled = [study_prior.fill(*one, device=device) for one in holed]
    else:
        columns = ([one.image for one in holed], [one.hole for one in holed], [one.seed for one in holed])
        filled = deep_image_prior.fill(*columns, device=device)
    rest = iter(filled)
    return [next(rest) if one.hole.any() else one.image for one in work]


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004): the image [H, W, 3] uint8 with the hole filled."""
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
