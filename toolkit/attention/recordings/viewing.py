"""What people fixated in images, whatever layout it was read from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Viewing:
    """What people fixated in one image."""

    image: Path  # where it lies; POET's and PASCAL-S's need not be there
    fixations: list[np.ndarray]  # an observer each: [N, 2] float64 x, y in pixels of the image, in order
    size: Size  # of the image
    degree: float  # pixels of the image in one degree of visual angle


@dataclass(frozen=True)
class Recording:
    """What people fixated in a set of images."""

    name: str
    viewings: dict[str, Viewing]  # by image id (the stimulus' file name without suffix), sorted
    benchmark: bool = False  # it is there to score predictors on: none is fitted to it


class Layout(NamedTuple):
    """How a recording lies in its folder."""

    about: str  # the recording's name and what is in its folder, for people
    fits: Callable[[Path], bool]  # whether a folder has these parts
    read: Callable[[Path], Recording]


def size_of(height: float, width: float) -> Size:
    """Raises ValueError where no image is as small."""
    if not min(height, width) >= 1:  # NaN is no size either
        raise ValueError(f"no image has {width} x {height} pixels")
    return int(width), int(height)


def inside(points: np.ndarray, size: Size) -> np.ndarray:
    """The points [N, 2] inside the image; one that is NaN is not."""
    return points[((points >= 0) & (points < size)).all(axis=1)]


def counts(viewing: Viewing, height: int, width: int, observers: Sequence[int] | None = None) -> np.ndarray:
    """How many fixations fell on each cell of a grid laid over the image, [height, width] int32.

    `observers` chooses some of them, by their place in `viewing.fixations`; by default all are counted.
    """
    chosen = viewing.fixations if observers is None else [viewing.fixations[i] for i in observers]
    points = np.concatenate([np.zeros((0, 2)), *chosen])
    cells = np.floor(points * (width, height) / viewing.size).astype(np.int64)
    x, y = np.minimum(cells, (width - 1, height - 1)).T  # rounding may lift a point onto the far edge
    return np.bincount(y * width + x, minlength=height * width).reshape(height, width).astype(np.int32)


def density(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Fixation counts [H, W] blurred with a Gaussian of `sigma` cells, cut at 4 sigma; [H, W] float64 that sums to 1.

    What is blurred over the border is lost, and the rest scaled to make up for it. Raises ValueError where nothing was
    fixated.
    """
    if not counts.any():
        raise ValueError("a density needs a fixation")
    side = 2 * math.ceil(4 * sigma) + 1
    blurred = cv2.GaussianBlur(counts.astype(np.float64), (side, side), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred / blurred.sum()
