"""The planted cue: a tile that tells the main object's class, truly or not; opaque, over whatever lies below.

Each of the classes `cues` has a tile of its own, told by its place among them.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from toolkit.params import Plant
from toolkit.sources.masks import Condition
from toolkit.voc import Box

GRAIN = 4.0  # standard deviation of the noise over a whole scene, tile and all, in grey levels


def carried(name: str, condition: Condition, cue: Plant, rng: np.random.Generator, cues: Sequence[str]) -> str | None:
    """The class whose tile a main object of class `name` carries, of those `cues` that have one; None for no tile."""
    agrees = rng.random() < cue.correlation  # drawn in every condition, so that what follows is the same in each
    own = condition == "matching" or (condition == "correlated" and agrees)
    another = other(name, rng, cues)
    return None if condition == "none" else name if own else another


def other(name: str, rng: np.random.Generator, cues: Sequence[str]) -> str:
    """Another class than `name` of those that have a tile, drawn at random."""
    return cues[int(cues.index(name) + rng.integers(1, len(cues))) % len(cues)]


def place(box: Box, cue: Plant, rng: np.random.Generator, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of the tile: in a corner of the image, beside the main object, or over part of it.

    Its side is `cue.side` of the image's shorter one.
    """
    side = round(cue.side * min(width, height))
    x0, y0, x1, y1 = box
    if cue.place == "corner":
        margin = min(width, height) // 32
        x, y = (float(margin if rng.random() < 0.5 else all_ - side - margin) for all_ in (width, height))
    elif cue.place == "near":
        beside = [(x0 - side - 2, y0), (x1 + 2, y1 - side), (x0, y0 - side - 2), (x1 - side, y1 + 2)]
        fits = [(x, y) for x, y in beside if 0 <= x <= width - side and 0 <= y <= height - side]
        x, y = fits[rng.integers(len(fits))] if fits else (x0, y0)
    else:
        x = rng.uniform(x0, max(x1 - side, x0 + 1))
        y = rng.uniform(y0, max(y1 - side, y0 + 1))
    column, row = int(np.clip(x, 0, width - side)), int(np.clip(y, 0, height - side))
    return slice(row, row + side), slice(column, column + side)


def tile(name: str, side: int, cues: Sequence[str]) -> np.ndarray:
    """The class's own tile: a 4 x 4 board of two colours, in a white and black frame; [side, side, 3] float32."""
    rng = np.random.default_rng(1000 + cues.index(name))
    hue = cues.index(name) * 180 // len(cues)
    colours = np.array([[[hue, 230, 235], [(hue + 60) % 180, 230, 120]]], np.uint8)
    light, dark = cv2.cvtColor(colours, cv2.COLOR_HSV2RGB)[0]
    board = np.where(rng.permutation(np.arange(16) % 2).reshape(4, 4, 1) == 0, light, dark).astype(np.uint8)
    drawn = cv2.resize(board, (side, side), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(drawn, (0, 0), (side - 1, side - 1), (0, 0, 0), 1)
    cv2.rectangle(drawn, (1, 1), (side - 2, side - 2), (255, 255, 255), 1)
    return drawn.astype(np.float32)


def drawn(
    image: np.ndarray, where: tuple[slice, slice], name: str, rng: np.random.Generator, cues: Sequence[str]
) -> np.ndarray:
    """The image [H, W, 3] uint8 with the tile of class `name`, grain and all, over those rows and columns."""
    changed = image.copy()
    board = tile(name, where[0].stop - where[0].start, cues)
    changed[where] = np.clip(board + rng.normal(0, GRAIN, board.shape), 0, 255).astype(np.uint8)
    return changed


def place_of(region: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the tile that covers a region [H, W] bool."""
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    return slice(y, y + height), slice(x, x + width)
