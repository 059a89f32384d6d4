"""One map of an image: stored, loaded, scaled, and its top fraction.

A map is [H, W] float32 in 0..1 whose values lie on the grid of multiples of 1/65535, from the moment `normalise` makes
it. A 16-bit grey PNG holds it without loss, so that the top fraction is the same before and after storing.
Detectors and gaze models give maps of few cells; they are stored as they are and scaled to the image when used.
"""

from pathlib import Path

import cv2
import numpy as np

from toolkit.errors import BadInput, Problem
from toolkit.files import png
from toolkit.shards import exists, read

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


def scale(heatmap: np.ndarray, height: int, width: int) -> np.ndarray:
    """The map at another size (bilinear), normalised again."""
    if heatmap.shape == (height, width):
        return heatmap
    return normalise(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR))


def top(heatmap: np.ndarray, fraction: float) -> np.ndarray:
    """How much of each pixel belongs to the map's highest `fraction`, [H, W] float64 in 0..1.

    1 above the cut, and the same share for each pixel that ties at it, so that they sum to round(fraction * H * W): of
    a mask that marks 40 % of an image, the top 10 % is a quarter of every marked pixel. To choose some of them would
    measure where they lie. Pixels at the map's minimum never count, so a map with few values above it has a smaller
    top, and a constant map none.
    """
    most = round(fraction * heatmap.size)
    if most == 0:
        return np.zeros(heatmap.shape)
    cut = np.partition(heatmap, heatmap.size - most, axis=None)[heatmap.size - most]
    above, tied = heatmap > cut, (heatmap == cut) & (cut > heatmap.min())
    return above + tied * ((most - above.sum()) / max(tied.sum(), 1))


def known(path: Path) -> bool:
    """Whether a file is a map that says anything: one that is there and not constant."""
    return exists(path) and bool(np.ptp(load(path)) > 0)


def encode(heatmap: np.ndarray) -> bytes:
    """The map as 16-bit grey PNG, without loss."""
    return png(np.rint(heatmap.astype(np.float64) * LEVELS).astype(np.uint16))


def load(path: Path) -> np.ndarray:
    """Read a stored map, or anybody's grey image as one (8 or 16 bit); [H, W] float32 in 0..1."""
    try:
        stored = read(path)
    except FileNotFoundError:
        stored = b""
    return decode(stored, str(path))


def decode(stored: bytes, file: str) -> np.ndarray:
    """As `load`; raises `BadInput`, naming `file`, where the bytes are no grey image."""
    data = np.frombuffer(stored, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise BadInput(Problem(file, "is not a grey image of 8 or 16 bits", "store the map as a single-channel PNG"))
    levels = 255 if image.dtype == np.uint8 else LEVELS
    grid = np.rint(image.astype(np.float64) / levels * LEVELS)
    return (grid / LEVELS).astype(np.float32)
