"""A layer's cells and the image that they show: detectors pad images, so that some cells show nothing of them."""

import math

import cv2
import numpy as np

from toolkit.detectors.adapter import Covered


def seen_cells(covered: Covered) -> tuple[slice, slice]:
    """The rows and columns of a grid that show a part of the image."""
    top, left, bottom, right = covered
    return slice(math.floor(top), math.ceil(bottom)), slice(math.floor(left), math.ceil(right))


def laid_on_image(grid: np.ndarray, covered: Covered) -> np.ndarray:
    """Resample the `seen_cells` [h, w] of a grid to as many cells that cover the image exactly."""
    (top, left, bottom, right), (rows, columns) = covered, grid.shape
    y, x, height, width = top - math.floor(top), left - math.floor(left), bottom - top, right - left
    if (y, x, height, width) == (0, 0, rows, columns):
        return grid
    # Cell j of the result has its centre at x + (j + 1/2) * width / columns of the grid, counted in its cells.
    down, across = height / rows, width / columns
    scale = np.array([[across, 0, 0.5 * across - 0.5 + x], [0, down, 0.5 * down - 0.5 + y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grid, scale, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
