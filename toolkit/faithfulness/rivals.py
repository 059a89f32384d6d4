"""What a map must beat: orders of an image's pixels that know nothing of the detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from toolkit.attention.bottom_up import centre_bias
from toolkit.files import seed_of
from toolkit.maps import normalise

if TYPE_CHECKING:
    from toolkit.faithfulness.cases import Case  # with torch, which the report does without

BLOBS = 1 / 16  # of the image's longer side: the Gaussian that makes blobs of noise
MAP = "map"  # the order that is judged
INSIDE = "inside"  # the rival that decides


class Rival(NamedTuple):
    """A map that takes no look at what the detector computes, and what it is in a line."""

    about: str
    heatmap: Callable[[Case], np.ndarray]  # [H, W], larger where pixels go first


def blobs(case: Case) -> np.ndarray:
    """Random blobs, [H, W] in 0..1, drawn by the image's id."""
    height, width = case.image.shape[-2:]
    noise = np.random.default_rng(seed_of("blobs", case.id)).standard_normal((height, width)).astype(np.float32)
    return normalise(cv2.GaussianBlur(noise, (0, 0), BLOBS * max(height, width)))


def blobs_inside(case: Case) -> np.ndarray:
    """Random blobs, first those inside the object's box."""
    x0, y0, x1, y1 = (round(side) for side in case.box.tolist())
    heatmap = blobs(case)
    heatmap[y0:y1, x0:x1] += 1
    return heatmap


def box_centre(case: Case) -> np.ndarray:
    """From the middle of the object's box outwards, in the box's proportions."""
    height, width = case.image.shape[-2:]
    x0, y0, x1, y1 = case.box.tolist()
    y, x = np.mgrid[0:height, 0:width] + 0.5
    away = ((x - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((y - (y0 + y1) / 2) / (y1 - y0)) ** 2
    return -away


RIVALS = {
    INSIDE: Rival("random blobs, first those inside the object's box", blobs_inside),
    "box centre": Rival("from the middle of the object's box outwards", box_centre),
    "centre": Rival("from the middle of the image outwards", lambda case: centre_bias(*case.image.shape[-2:])),
    "random": Rival("random blobs anywhere", blobs),
}
