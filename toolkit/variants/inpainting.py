"""Fill a hole in an image from what surrounds it: with Deep Image Prior, as the study did, or OpenCV's Telea."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.params import Inpaint
from toolkit.variants import deep_image_prior, study_prior

RADIUS = 3  # pixels that Telea looks around


class Holed(NamedTuple):
    """An image [H, W, 3] uint8 RGB, its hole [H, W] bool, True where to fill, and the seed of what fills it."""

    image: np.ndarray
    hole: np.ndarray
    seed: int


def inpaint(work: Sequence[Holed], settings: Inpaint) -> list[np.ndarray]:
    """Each image, of any size, with its hole filled, in order; every pixel outside it stays as it was.

    A result depends on its own image, hole and seed alone, to the last bit; Deep Image Prior's also on how many threads
    torch computes with, and the preset `study`'s, which is fitted on the GPU where there is one, on that. Raises
    ValueError where a hole leaves nothing to fill it from.
    """
    return [_filled(*holed, settings) for holed in work]


def _filled(image: np.ndarray, hole: np.ndarray, seed: int, settings: Inpaint) -> np.ndarray:
    if hole.shape != image.shape[:2]:
        raise ValueError(f"the hole is {hole.shape}, its image {image.shape[:2]}")
    if hole.all():
        raise ValueError("the hole covers the whole image")
    if not hole.any():
        return image
    if settings.method == "telea":
        return telea(image, hole)
    prior = study_prior if settings.preset == "study" else deep_image_prior
    return prior.fill(image, hole, seed)


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004): the image [H, W, 3] uint8 with the hole filled."""
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
