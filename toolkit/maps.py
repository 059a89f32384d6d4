"""One map of an image: stored, loaded, scaled, and its top fraction.

A map is [H, W] float32 in 0..1 whose values lie on the grid of multiples of 1/65535, from the moment `normalise` makes
it. A 16-bit grey PNG holds it without loss, so that the top fraction is the same pixels before and after storing.
Detectors and gaze models give maps of few cells; they are stored as they are and scaled to the image when used.
"""

from pathlib import Path

import cv2
import numpy as np

from toolkit.errors import BadInput, Problem
from toolkit.files import png

LEVELS = 65535


def normalise(values: np.ndarray) -> np.ndarray:
    """Shift and scale finite values [H, W] to 0..1, on the 16-bit grid; a constant becomes all zeros.

    Raises ValueError where a value is NaN or infinite: a map with holes has no meaning.
    """
    if not np.isfinite(values).all():
        raise ValueError("a map must be finite")
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.float32)
    grid = np.rint((values.astype(np.float64) - low) / (high - low) * LEVELS)
    return (grid / LEVELS).astype(np.float32)


def scale(map: np.ndarray, height: int, width: int) -> np.ndarray:
    """The map at another size (bilinear), normalised again."""
    if map.shape == (height, width):
        return map
    return normalise(cv2.resize(map, (width, height), interpolation=cv2.INTER_LINEAR))


def top(map: np.ndarray, fraction: float) -> np.ndarray:
    """The map's highest pixels, [H, W] bool: round(fraction * H * W) of them, ties in reading order.

    Pixels at the map's minimum never count, so a map with few values above it has fewer, and a constant map none.
    """
    flat = map.ravel()
    count = min(round(fraction * flat.size), int((flat > flat.min()).sum()))
    chosen = np.zeros(flat.size, bool)
    if count:
        cut = np.partition(flat, flat.size - count)[flat.size - count]
        chosen[flat > cut] = True
        ties = np.flatnonzero(flat == cut)
        chosen[ties[: count - int(chosen.sum())]] = True
    return chosen.reshape(map.shape)


def encode(map: np.ndarray) -> bytes:
    """The map as 16-bit grey PNG, without loss."""
    return png(np.rint(map.astype(np.float64) * LEVELS).astype(np.uint16))


def load(path: Path) -> np.ndarray:
    """Read a stored map, or anybody's grey image as one (8 or 16 bit); [H, W] float32 in 0..1."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise BadInput(
            Problem(str(path), "is not a grey image of 8 or 16 bits", "store the map as a single-channel PNG")
        )
    levels = 255 if image.dtype == np.uint8 else LEVELS
    grid = np.rint(image.astype(np.float64) / levels * LEVELS)
    return (grid / LEVELS).astype(np.float32)
