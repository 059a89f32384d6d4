"""What was measured at some sizes, carried on to others."""

import math
from collections.abc import Mapping

NOISE = 0.03  # of a value: what grew by less is not said to have grown
Points = Mapping[int, float]  # by the number of images


def slope(points: Points) -> float:
    """By how much the value grew an image, between the two largest sizes; 0 where it did not grow."""
    (first, low), (last, high) = sorted(points.items())[-2:]
    return max(high - low, 0) / (last - first)


def carried(points: Points, images: int) -> float:
    """The value at a size beyond the measured ones, if it goes on to grow as between the two largest."""
    last = max(points)
    return points[last] + slope(points) * (images - last)


def exponent(points: Points) -> float:
    """How the value's growth grows: 1 where it is linear, 2 where it is a square; NaN where it did not grow.

    Of the three largest sizes, each the same number of times the one before: what does not hang on the images, such as
    a process's start, is in all three and goes out.
    """
    (first, a), (middle, b), (last, c) = sorted(points.items())[-3:]
    if last * first != middle**2:
        raise ValueError(f"sizes must grow by a factor: {first}, {middle}, {last}")
    if b - a < NOISE * a or c - b < NOISE * b:
        return math.nan
    return math.log((c - b) / (b - a)) / math.log(last / middle)
