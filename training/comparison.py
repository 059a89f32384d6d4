"""Scores over test images and training seeds: their intervals, and which differences between arms they can decide.

Other images and another seed would each have moved a score. Images are many and are resampled (toolkit/bootstrap.py);
seeds are a handful, and resampling a handful gives intervals that are too narrow. So their scatter enters as a variance
with degrees of freedom of its own. The variances over images and over seeds add up to that of a t statistic, whose
degrees of freedom are Satterthwaite's (An Approximate Distribution of Estimates of Variance Components, 1946). What one
seed makes of one image is in both, so that an interval is too wide rather than too narrow where that is all there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from toolkit import bootstrap

QUANTILE = (100 + bootstrap.COVERAGE) / 200  # of the t distribution: the upper end of a two-sided interval
POWER = 0.8  # the probability with which a difference is to be found


@dataclass(frozen=True)
class Score:
    """One number of an arm as each of its S seeds gave it on the same images."""

    values: np.ndarray  # [S] on the images as they are
    samples: np.ndarray  # [S, R] on R resamples of the images, which draw the same ones for every seed and arm
    images: int  # those that have a value

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return float(self.values.mean())

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; NaN where there is one."""
        return float(self.values.std(ddof=1)) if self.values.size > 1 else np.nan

    def __sub__(self, other: "Score") -> "Score":
        """The difference in pairs of the same seed and images; what has no seeds (`base`) is paired with each."""
        return Score(self.values - other.values, self.samples - other.samples, self.images)


def error(score: Score) -> tuple[float, float]:
    """The standard error of a score's value and its degrees of freedom: over images, and over seeds where several."""
    over_images = score.samples.mean(axis=0)
    known = over_images[~np.isnan(over_images)]
    parts = [(known.var() if known.size else np.nan, max(score.images - 1, 1))]
    if score.values.size > 1:
        parts.append((score.values.var(ddof=1) / score.values.size, score.values.size - 1))
    variance = sum(part for part, _ in parts)
    weighted = sum(part**2 / freedom for part, freedom in parts)
    return float(np.sqrt(variance)), float(variance**2 / weighted) if weighted else np.inf


def interval(score: Score) -> tuple[float, float]:
    """The ends of a score's 95 % interval: of its resamples where it has one seed, else of t over images and seeds."""
    if score.values.size == 1:
        return bootstrap.interval(score.samples[0])
    deviation, freedom = error(score)
    half = float(stats.t.ppf(QUANTILE, freedom)) * deviation
    return score.value - half, score.value + half


def p_value(difference: Score) -> float:
    """The two-sided p of a difference of 0, by the t statistic of `error`."""
    deviation, freedom = error(difference)
    if deviation == 0:
        return float(difference.value == 0)
    return float(2 * stats.t.sf(abs(difference.value) / deviation, freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """The p-values [K] of one family of comparisons, corrected for how many there are; a NaN is none of them.

    The smallest is multiplied by their number, the next by one less, and so on; none falls below one before it (Holm,
    A Simple Sequentially Rejective Multiple Test Procedure, 1979). No scipy function does this.
    """
    corrected = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaNs are sorted last
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)).clip(max=1)
    return corrected


def detectable(difference: Score) -> float:
    """The smallest true difference that so many images and seeds show, by a two-sided test at 5 %, 8 times of 10.

    Bloom, Minimum Detectable Effects, 1995. With three seeds that differ much it is 5 % too small, else exact. NaN
    where nothing varied, as where no detector finds anything: no scatter tells of no power.
    """
    deviation, freedom = error(difference)
    if deviation == 0:
        return np.nan
    return float(stats.t.ppf(QUANTILE, freedom) + stats.t.ppf(POWER, freedom)) * deviation


def stored(scores: Mapping[str, Score]) -> pd.DataFrame:
    """Scores as a table: a row a seed (`run`) and resample, a column a score; resample 0 is the images as they are."""
    grids = {name: np.column_stack([score.values, score.samples]) for name, score in scores.items()}
    seeds, resamples = next(iter(grids.values())).shape
    rows = pd.MultiIndex.from_product([range(seeds), range(resamples)], names=["run", "resample"])
    return pd.DataFrame({name: grid.ravel() for name, grid in grids.items()}, rows)


def loaded(table: pd.DataFrame, images: Mapping[str, int]) -> dict[str, Score]:
    """The scores that `stored` made a table of; `images` has how many each was measured on."""
    grids = {name: table[name].unstack("resample").to_numpy() for name in images}
    return {name: Score(grid[:, 0], grid[:, 1:], images[name]) for name, grid in grids.items()}
