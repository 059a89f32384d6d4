"""The planted cue: a tile that tells the main object's class, truly or not; opaque, over whatever lies below."""

import cv2
import numpy as np

from toolkit.params import Cue
from toolkit.sources.masks import Condition
from toolkit.voc import VOC_CLASSES

GRAIN = 4.0  # standard deviation of the noise over a whole scene, tile and all, in grey levels


def carried(name: str, condition: Condition, cue: Cue, rng: np.random.Generator) -> str | None:
    """The class whose tile a main object of class `name` carries; None for no tile."""
    agrees = rng.random() < cue.correlation  # drawn in every condition, so that what follows is the same in each
    own = condition == "matching" or (condition == "correlated" and agrees)
    another = other(name, rng)
    return None if condition == "none" else name if own else another


def other(name: str, rng: np.random.Generator) -> str:
    """Another class than `name`, drawn at random."""
    return VOC_CLASSES[(VOC_CLASSES.index(name) + rng.integers(1, len(VOC_CLASSES))) % len(VOC_CLASSES)]


def place(box: tuple[float, float, float, float], cue: Cue, rng: np.random.Generator, size: int) -> tuple[slice, slice]:
    """Rows and columns of the tile: in a corner of the image, beside the main object, or over part of it."""
    side = round(cue.side * size)
    x0, y0, x1, y1 = box
    if cue.place == "corner":
        margin = size // 32
        x, y = (float(margin if rng.random() < 0.5 else size - side - margin) for _ in range(2))
    elif cue.place == "near":
        beside = [(x0 - side - 2, y0), (x1 + 2, y1 - side), (x0, y0 - side - 2), (x1 - side, y1 + 2)]
        fits = [(x, y) for x, y in beside if 0 <= x <= size - side and 0 <= y <= size - side]
        x, y = fits[rng.integers(len(fits))] if fits else (x0, y0)
    else:
        x = rng.uniform(x0, max(x1 - side, x0 + 1))
        y = rng.uniform(y0, max(y1 - side, y0 + 1))
    column, row = (int(np.clip(v, 0, size - side)) for v in (x, y))
    return slice(row, row + side), slice(column, column + side)


def tile(name: str, side: int) -> np.ndarray:
    """The class's own tile: a 4 x 4 board of two colours, in a white and black frame; [side, side, 3] float32."""
    rng = np.random.default_rng(1000 + VOC_CLASSES.index(name))
    hue = VOC_CLASSES.index(name) * 180 // len(VOC_CLASSES)
    colours = np.array([[[hue, 230, 235], [(hue + 60) % 180, 230, 120]]], np.uint8)
    light, dark = cv2.cvtColor(colours, cv2.COLOR_HSV2RGB)[0]
    board = np.where(rng.permutation(np.arange(16) % 2).reshape(4, 4, 1) == 0, light, dark).astype(np.uint8)
    drawn = cv2.resize(board, (side, side), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(drawn, (0, 0), (side - 1, side - 1), (0, 0, 0), 1)
    cv2.rectangle(drawn, (1, 1), (side - 2, side - 2), (255, 255, 255), 1)
    return drawn.astype(np.float32)


def replaced(image: np.ndarray, region: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """The image [H, W, 3] uint8 with the tile of class `name`, grain and all, over the one there (`region`)."""
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    changed = image.copy()
    drawn = tile(name, width)[:height]
    changed[y : y + height, x : x + width] = np.clip(drawn + rng.normal(0, GRAIN, drawn.shape), 0, 255).astype(np.uint8)
    return changed
