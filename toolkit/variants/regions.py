"""The pixels that a variant changes: [H, W] bool masks."""

import cv2
import numpy as np

from toolkit import maps
from toolkit.files import seed_of

TRIES = 200


def most_salient(saliency: np.ndarray, percent: float, image_id: str) -> np.ndarray:
    """The `percent` % of the pixels that the detector looks at most; `saliency` [H, W] of the image's size.

    Of pixels that tie, those that the image's id draws: spread over the image, and the same for every rule and seed.
    """
    shares = maps.top(saliency, percent / 100)
    drawn = np.random.default_rng(seed_of("ties", image_id)).random(shares.size)
    order = np.lexsort((drawn, shares.ravel()))
    chosen = np.zeros(shares.size, bool)
    chosen[order[shares.size - round(shares.sum()) :]] = True
    return chosen.reshape(shares.shape)


def elsewhere(region: np.ndarray, seed: int) -> np.ndarray:
    """The control: a region of the same area and shape at another place.

    Each connected part is shifted whole, inside the image, to the one of `TRIES` random places that overlaps the region
    least (the first that does not, at best) and no part already shifted. Where a part finds no room, the whole region
    is shifted instead, wrapping around the image's edges.
    """
    rng = np.random.default_rng(seed)
    height, width = region.shape
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    moved = np.zeros_like(region)
    for label in sorted(range(1, count), key=lambda n: -boxes[n, cv2.CC_STAT_AREA]):  # the largest first: it fits worst
        x, y, w, h, area = boxes[label]
        part = labels[y : y + h, x : x + w] == label
        best, place = area + 1, None
        for _ in range(TRIES):
            row, column = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            here = slice(row, row + h), slice(column, column + w)
            overlap = int((region[here] & part).sum())
            if overlap < best and not (moved[here] & part).any():
                best, place = overlap, here
            if best == 0:
                break
        if place is None:
            return np.roll(region, (height // 2, width // 2), axis=(0, 1))
        moved[place] |= part
    return moved


def erase(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The image [H, W, 3] with the region black, as in the study; every other pixel as it was."""
    return np.where(region[..., None], np.uint8(0), image)
