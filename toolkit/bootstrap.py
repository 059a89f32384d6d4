"""Percentile bootstrap over images: how far a number would move had other images of the same kind been drawn.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. A resample is kept as how often it draws each
image, so that whatever is a function of weighted images can be resampled without doing its work again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COVERAGE = 95  # per cent of resamples inside an interval
CELLS = 2**20  # numbers in one block's largest array: 8 MiB


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval, in the number's unit; all NaN where there was nothing to measure."""

    value: float
    lo: float
    hi: float

    def told(self, sign: str = "") -> str:
        """`0.905 [0.860, 0.942]`; with the sign `+` as a difference."""
        return f"{self.value:{sign}.3f} [{self.lo:{sign}.3f}, {self.hi:{sign}.3f}]"


def blocks(images: int, resamples: int, seed: int, width: int = 0) -> Iterator[np.ndarray]:
    """How often each resample draws each image; [resamples, images] int64, each row sums to `images` (multinomial).

    A block of rows at a time, so that memory does not grow with resamples x images. `width` is the length of the
    longest row the caller makes of a resample, where that is more than `images`: blocks get fewer rows then. It does
    not change the rows.
    """
    random = np.random.default_rng(seed)
    most = max(1, CELLS // max(images, width, 1))
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = random.integers(images, size=(rows, images)) if images else np.zeros((rows, 0), np.int64)
        cells = drawn + images * np.arange(rows)[:, None]
        yield np.bincount(cells.ravel(), minlength=rows * images).reshape(rows, images)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """The ends of the middle 95 % of the resamples' values [resamples], NaNs left out; NaN where no value is left."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return np.nan, np.nan
    low, high = np.percentile(known, [(100 - COVERAGE) / 2, (100 + COVERAGE) / 2])
    return float(low), float(high)


def resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The mean of `values` [images] in each resample [resamples]; a NaN marks an image without a value, left out.

    Two calls with as many images draw the same ones, so that the difference of their results is a paired one.
    """
    present = ~np.isnan(values)
    if not present.any():
        return np.full(resamples, np.nan)
    value = values[present].astype(np.float64).mean()
    # around the mean, so that rounding does not part the interval of near-constant values from their mean
    shifts = np.where(present, values - value, 0.0)
    drawn = blocks(values.size, resamples, seed)
    return value + np.concatenate([rows @ shifts / np.maximum(rows @ present, 1) for rows in drawn])


def mean(values: np.ndarray, resamples: int, seed: int) -> Estimate:
    """The mean over images of `values` [images], NaNs left out, and its interval."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not known.size:
        return Estimate(np.nan, np.nan, np.nan)
    return Estimate(float(known.mean()), *interval(resampled_means(known, resamples, seed)))


def permutation_test(a: np.ndarray, b: np.ndarray, permutations: int, seed: int) -> float:
    """The two-sided p-value of mean(a - b) = 0 over the same images, [images] each: a paired permutation test.

    Were a and b the same, each difference would be as likely with the other sign: p is the share of random signs whose
    mean lies as far from 0 (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3). The
    differences as they are count as one more, so that p is never 0: (1 + hits) / (1 + permutations) (Phipson & Smyth
    2010). An image that lacks one of the two is left out; NaN where none is left.
    """
    if a.shape != b.shape:
        raise ValueError(f"pairs need the same images: {a.shape} and {b.shape}")
    differences = a.astype(np.float64) - b
    differences = differences[~np.isnan(differences)]
    if not differences.size:
        return np.nan
    random = np.random.default_rng(seed)
    most = max(1, CELLS // differences.size)
    total = differences.sum()
    far = abs(total) - 1e-12 * np.abs(differences).sum()  # a tie is a hit, however it was rounded
    hits = 0
    for start in range(0, permutations, most):
        turned = random.integers(2, size=(min(most, permutations - start), differences.size), dtype=np.int8)
        hits += int((np.abs(total - 2 * (turned @ differences)) >= far).sum())
    return (1 + hits) / (1 + permutations)
