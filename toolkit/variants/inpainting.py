"""Fill a hole in an image from what surrounds it: with Deep Image Prior, as the study did, or OpenCV's Telea."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.params import Inpaint
from toolkit.variants import deep_image_prior, study_prior
from toolkit.workers import mapped

RADIUS = 3  # pixels that Telea looks around


class Holed(NamedTuple):
    """An image [H, W, 3] uint8 RGB, its hole [H, W] bool, True where to fill, and the seed of what fills it."""

    image: np.ndarray
    hole: np.ndarray
    seed: int


def inpaint(work: Iterable[Holed], settings: Inpaint) -> Iterator[np.ndarray]:
    """Each image with its hole filled, in order; every pixel outside it stays as it was.

    Images may be of any sizes, and are taken as they are needed; each thread of the CPU fills one at a time. A result
    depends on its own image, hole and seed alone, to the last bit: not on the other images, their order or the number
    of threads. The preset `study` fills one image after the other, on the GPU where there is one: its results depend on
    that, and on a CPU on the number of threads. Raises ValueError where a hole leaves nothing to fill it from.
    """
    fill = partial(_filled, settings=settings)
    if settings.engine == "dip" and settings.preset == "study":
        return map(fill, work)  # so large a network keeps every core, or a GPU, at work by itself
    return mapped(lambda: fill, work)


def _filled(one: Holed, settings: Inpaint) -> np.ndarray:
    image, hole, seed = one
    if hole.shape != image.shape[:2]:
        raise ValueError(f"the hole is {hole.shape}, its image {image.shape[:2]}")
    if hole.all():
        raise ValueError("the hole covers the whole image")
    if not hole.any():
        return image
    if settings.engine == "telea":
        return telea(image, hole)
    prior = study_prior if settings.preset == "study" else deep_image_prior
    return prior.fill(image, hole, seed)


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004): the image [H, W, 3] uint8 with the hole filled."""
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
