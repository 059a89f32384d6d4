"""How well a map says where people look: the measures of the saliency benchmarks, and the table of those salvoc shows.

Every function takes the map to be judged first and the truth second, [H, W] both, and computes in float64. Maps of two
sizes raise ValueError, as do NaN and infinity.

Bylinskii et al., What do different evaluation metrics tell us about saliency models? (TPAMI 2019); Kümmerer et al.,
Saliency benchmarking made easy (ECCV 2018), whose pysaliency defines what the Tübingen/MIT benchmark computes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from toolkit import maps

TOP = 0.10  # the share of pixels that the IoU compares
EPSILON = 2.2204e-16  # the benchmark's regularisation of the KL divergence


def mae(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error of two maps in 0..1: 0 (equal) to 1.

    By chance: `chance_mae`. A nearly empty map scores well against a sparse truth.
    """
    _check(heatmap, truth)
    return float(np.abs(heatmap.astype(np.float64) - truth).mean())


def iou(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of the two tops, 0 to 1; 0 where both are constant and so have none.

    Pixels that tie at a top's cut belong to it in part (see `toolkit.maps.top`): it is Jaccard's index (1901) of two
    sets where none tie, else the weighted one. By chance: `chance_iou`.
    """
    return overlap(_top(heatmap), _top(truth))


def cc(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's correlation of the pixels, -1 to 1, 0 by chance; 0 where either is constant (Le Meur et al. 2007)."""
    _check(heatmap, truth)
    return float((_standard(heatmap) * _standard(truth)).mean())


def sim(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """Similarity, the sum of the two densities' minima: 0 (disjoint) to 1 (equal) (Judd et al. 2012).

    An empty map counts as the uniform density, an empty truth gives NaN. Chance has no one value: compare with an empty
    map and with the centre bias.
    """
    _check(heatmap, truth)
    return float(np.minimum(_predicted(heatmap), _density(truth)).sum())


def kl(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """Kullback-Leibler divergence KL(truth || map) in nats: 0 (equal) to 36 (a map that is 0 where the truth is not).

    Sum of q log(EPSILON + q / (p + EPSILON)) over the pixels' densities p of the map, q of the truth: the Tübingen/MIT
    benchmark's regularisation (pysaliency's MIT_KLDiv). Empty maps and chance as for `sim`.
    """
    _check(heatmap, truth)
    q = _density(truth)
    return float((q * np.log(EPSILON + q / (_predicted(heatmap) + EPSILON))).sum())


def nss(heatmap: np.ndarray, fixations: np.ndarray) -> float:
    """Normalised scanpath saliency: the map's mean z-score where people fixated (Peters et al. 2005).

    Unbounded, 0 by chance. `fixations` counts, in integers, how many fell on each pixel; NaN where there is none, 0
    where the map is constant.
    """
    _check(heatmap, fixations)
    return float((_standard(heatmap) * _density(_counted(fixations))).sum())


def auc_judd(heatmap: np.ndarray, fixations: np.ndarray) -> float:
    """Area under the ROC curve that tells fixations from all of the image's pixels, 0 to 1, 0.5 by chance.

    The share of pixels below a fixated one, ties half, mean over fixations; pixels fixated themselves are among the
    negatives (Judd et al. 2009; pysaliency's AUC with uniform nonfixations). A constant map scores 0.5, the centre bias
    far more. NaN without fixations.
    """
    return shuffled_auc(heatmap, fixations, np.ones(heatmap.shape, np.int64))


def shuffled_auc(heatmap: np.ndarray, fixations: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve that tells this image's fixations from those of other images; 0 to 1, 0.5 by chance.

    `others` counts these. As they share the centre bias, it earns nothing (Tatler et al. 2005; Zhang et al. 2008). Ties
    count half; NaN where either has no fixation.
    """
    _check(heatmap, fixations, others)
    positives, negatives = (np.repeat(heatmap.ravel(), _counted(given).ravel()) for given in (fixations, others))
    negatives.sort()
    below, not_above = (np.searchsorted(negatives, positives, side).sum() for side in ("left", "right"))
    pairs = positives.size * negatives.size
    return float((below + not_above) / 2 / pairs) if pairs else math.nan


def information_gain(log_density: np.ndarray, fixations: np.ndarray, baseline: np.ndarray) -> float:
    """How much better a density foretells the fixations than a baseline's, in bits a fixation (Kümmerer et al. 2015).

    The mean of log2(density / baseline) at fixations. Both are natural logarithms of densities over pixels that sum to
    1; -inf is a density of 0. Unbounded, 0 for the baseline itself. NaN without fixations; ValueError where a density
    does not sum to 1, to 0.1 %.
    """
    _check_size(log_density, fixations, baseline)
    for name, given in (("density", log_density), ("baseline", baseline)):
        if not abs(np.exp(given.astype(np.float64)).sum() - 1) <= 1e-3:  # NaN is not, either
            raise ValueError(f"the {name} must be logarithms of shares that sum to 1")
    weights = _density(_counted(fixations))
    at = weights != 0  # everywhere, where nobody fixated: all are NaN
    return float((log_density.astype(np.float64) - baseline)[at] @ weights[at] / math.log(2))


def chance_mae(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """The MAE expected of the map's own values at random places: the mean |a - b| over all pairs of pixels.

    Exact, by counting on the 16-bit grid of `toolkit.maps`: a step from one level to the next is part of |a - b| for
    each pair that has one value below it and one above. ValueError where a value is not on the grid.
    """
    _check(heatmap, truth)
    a, b = _distribution(heatmap), _distribution(truth)
    return float((a * (1 - b) + b * (1 - a)).sum() / maps.LEVELS)


def chance_iou(heatmap: np.ndarray, truth: np.ndarray) -> float:
    """The IoU expected of two tops of these shares at random places: 0.053 for two of 10 %; see `chance_overlap`."""
    return chance_overlap(_top(heatmap), _top(truth))


def overlap(top: np.ndarray, truth: np.ndarray) -> float:
    """The sum of two tops' minima over that of their maxima (Ruzicka 1958); 0 where both are empty."""
    _check_size(top, truth)
    either = np.maximum(top, truth).sum()
    return float(np.minimum(top, truth).sum() / either) if either else 0.0


def chance_overlap(top: np.ndarray, truth: np.ndarray) -> float:
    """The `overlap` expected of two tops at random places; 0 where one is empty.

    The mean and variance of what they share, S, are exact (Hoeffding, A combinatorial central limit theorem, 1951). The
    mean of S / (A + B - S), where A and B are the tops' sums, is expanded around that of S to the second order: for
    tops of 10 % it is off by 2e-5 of itself on 32 x 32 pixels and by 1e-8 on 256 x 192.
    """
    _check_size(top, truth)
    pixels, both = top.size, top.sum() + truth.sum()
    if not both:
        return 0.0
    (a, part_a), (b, part_b) = _levels(top), _levels(truth)
    minima = np.minimum.outer(a, b)  # [3, 3] of all pairs of pixels, by their two levels
    over_a, over_b = part_a @ minima, minima @ part_b
    mean = part_a @ over_b
    variance = pixels**2 / max(pixels - 1, 1) * (part_a @ (minima - over_a - over_b[:, None] + mean) ** 2 @ part_b)
    shared = pixels * mean
    return float(shared / (both - shared) + variance * both / (both - shared) ** 3)


def _top(heatmap: np.ndarray) -> np.ndarray:
    """What the IoU compares: the highest 10 % of a map, [H, W] float64 in 0..1."""
    _check(heatmap)
    return maps.top(heatmap, TOP)


def _levels(top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The three shares that a top's pixels have, 0, a part and 1, [3], and how much of all pixels has each."""
    tied = (top > 0) & (top < 1)
    values = np.array([0, top[tied].max(initial=0), 1])
    return values, np.array([(top == 0).mean(), tied.mean(), (top == 1).mean()])


def _standard(heatmap: np.ndarray) -> np.ndarray:
    """A map's z-scores, float64; 0 where it is constant, which rounding would hide from its standard deviation."""
    if heatmap.max() == heatmap.min():
        return np.zeros(heatmap.shape)
    values = heatmap.astype(np.float64)
    return (values - values.mean()) / values.std()


def _density(heatmap: np.ndarray) -> np.ndarray:
    """A map's share of its sum at every pixel, float64; NaN where the map is empty."""
    if heatmap.min() < 0:
        raise ValueError("a density has no negative values")
    total = heatmap.sum(dtype=np.float64)
    return heatmap.astype(np.float64) / (total or math.nan)


def _predicted(heatmap: np.ndarray) -> np.ndarray:
    """The density that a map predicts: an empty one says nothing, so that every pixel is as likely."""
    return np.nan_to_num(_density(heatmap), nan=1 / heatmap.size)


def _distribution(heatmap: np.ndarray) -> np.ndarray:
    """The share of a map's pixels at or below each level of the 16-bit grid but the last, [LEVELS] float64."""
    levels = np.rint(heatmap.astype(np.float64) * maps.LEVELS).astype(np.int64)
    if not np.array_equal((levels / maps.LEVELS).astype(np.float32), heatmap.astype(np.float32)):
        raise ValueError("values are off the 16-bit grid: see toolkit.maps.normalise")
    return np.bincount(levels.ravel(), minlength=maps.LEVELS + 1).cumsum()[:-1] / levels.size


def _counted(fixations: np.ndarray) -> np.ndarray:
    """The counts, which must be ones."""
    if fixations.dtype.kind not in "iu" or fixations.min() < 0:
        raise ValueError("fixations are counted in integers from 0")
    return fixations


def _check(*heatmaps: np.ndarray) -> None:
    _check_size(*heatmaps)
    if not all(np.isfinite(heatmap.sum()) for heatmap in heatmaps):  # one number to look at
        raise ValueError("a map must be finite")


def _check_size(*heatmaps: np.ndarray) -> None:
    shapes = {heatmap.shape for heatmap in heatmaps}
    if len(shapes) > 1 or heatmaps[0].ndim != 2:
        raise ValueError(f"expected [H, W] of one size: {', '.join(map(str, sorted(shapes)))}")


@dataclass(frozen=True)
class Metric:
    """A metric of agreement; `score` and `chance` take the map to be judged, then what `against` names."""

    heading: str
    score: Callable[..., float]
    against: tuple[str, ...] = ("map",)  # or fixations, counted on the map's pixels, and those of other images
    unit: str = ""
    higher_is_better: bool = True
    form: Callable[[np.ndarray], np.ndarray] = np.asarray  # in which `score` and `chance` take each of these
    chance: Callable[..., float] | None = None  # the score of the map's values at random places, where that varies
    constant: bool = False  # whether the score of an empty map says anything


METRICS = {
    "mae": Metric("MAE", mae, higher_is_better=False, chance=chance_mae, constant=True),
    "iou": Metric("IoU", overlap, form=_top, chance=chance_overlap),
    "cc": Metric("CC", cc),
    "sim": Metric("SIM", sim, constant=True),
    "kl": Metric("KL", kl, unit="nats", higher_is_better=False, constant=True),
    "nss": Metric("NSS", nss, against=("fixations",)),
    "auc": Metric("AUC", auc_judd, against=("fixations",)),
    "sauc": Metric("sAUC", shuffled_auc, against=("fixations", "others")),
}
BASELINES = {  # what a map has to beat
    "chance": "the map's own values at random places",
    "centre": "the centre bias in the map's place",
    "constant": "an empty map, which is a uniform density",
}
PEOPLE = "one person's fixations against all others', the mean over persons"  # a ceiling: see toolkit.agreement.people
