"""How well a map says where people look: the measures of the saliency benchmarks, a batch of images at a time.

Every function takes the map to be judged first and the truth second, [B, H, W] on one device, and gives [B] float64
there; a truth of B = 1 serves every map. NaN or infinity in a map raises ValueError.

Bylinskii et al., What do different evaluation metrics tell us about saliency models? (TPAMI 2019); Kümmerer et al.,
Saliency benchmarking made easy (ECCV 2018), whose pysaliency defines what the Tübingen/MIT benchmark computes.
"""

import math

import torch
from torch import Tensor

from toolkit.maps import LEVELS

TOP = 0.10  # the share of pixels that the IoU compares
EPSILON = 2.2204e-16  # the benchmark's regularisation of the KL divergence


def mae(heatmap: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of two maps in 0..1: 0 (equal) to 1.

    By chance: `chance_mae`. A nearly empty map scores well against a sparse truth.
    """
    _check(heatmap, truth)
    return (heatmap.double() - truth).abs().mean((1, 2))


def iou(heatmap: Tensor, truth: Tensor, fraction: float = TOP) -> Tensor:
    """Intersection over union of the two tops, 0 to 1; 0 where both are constant and so have none.

    Pixels that tie at a top's cut belong to it in part (see `top`): it is Jaccard's index (1901) of two sets where none
    tie, else the weighted one. By chance: `chance_iou`.
    """
    return overlap(top(heatmap, fraction), top(truth, fraction))


def cc(heatmap: Tensor, truth: Tensor) -> Tensor:
    """Pearson's correlation of the pixels, -1 to 1, 0 by chance; 0 where either is constant (Le Meur et al. 2007)."""
    _check(heatmap, truth)
    return (_standard(heatmap) * _standard(truth)).mean((1, 2))


def sim(heatmap: Tensor, truth: Tensor) -> Tensor:
    """Similarity, the sum of the two densities' minima: 0 (disjoint) to 1 (equal) (Judd et al. 2012).

    An empty map counts as the uniform density, an empty truth gives NaN. Chance has no one value: compare with an empty
    map and with the centre bias.
    """
    _check(heatmap, truth)
    return torch.minimum(_predicted(heatmap), _density(truth)).sum((1, 2))


def kl(heatmap: Tensor, truth: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(truth || map) in nats: 0 (equal) to 36 (a map that is 0 where the truth is not).

    Sum of q log(EPSILON + q / (p + EPSILON)) over the pixels' densities p of the map, q of the truth: the Tübingen/MIT
    benchmark's regularisation (pysaliency's MIT_KLDiv). Empty maps and chance as for `sim`.
    """
    _check(heatmap, truth)
    q = _density(truth)
    return (q * (EPSILON + q / (_predicted(heatmap) + EPSILON)).log()).sum((1, 2))


def nss(heatmap: Tensor, fixations: Tensor) -> Tensor:
    """Normalised scanpath saliency: the map's mean z-score where people fixated (Peters et al. 2005).

    Unbounded, 0 by chance. `fixations` counts, in integers, how many fell on each pixel; NaN where there is none, 0
    where the map is constant.
    """
    _check(heatmap, fixations)
    weights = _counted(fixations)
    return (_standard(heatmap) * weights).sum((1, 2)) / weights.sum((1, 2))


def auc_judd(heatmap: Tensor, fixations: Tensor) -> Tensor:
    """Area under the ROC curve that tells fixations from all of the image's pixels, 0 to 1, 0.5 by chance.

    The share of pixels below a fixated one, ties half, mean over fixations; pixels fixated themselves are among the
    negatives (Judd et al. 2009; pysaliency's AUC with uniform nonfixations). A constant map scores 0.5, the centre bias
    far more. NaN without fixations.
    """
    return _auc(heatmap, fixations, torch.ones_like(heatmap[:1], dtype=torch.int64))


def shuffled_auc(heatmap: Tensor, fixations: Tensor, others: Tensor) -> Tensor:
    """Area under the ROC curve that tells this image's fixations from those of other images; 0 to 1, 0.5 by chance.

    `others` counts these, [B, H, W] or [H, W]. As they share the centre bias, it earns nothing (Tatler et al. 2005;
    Zhang et al. 2008). Ties count half; NaN where either has no fixation.
    """
    return _auc(heatmap, fixations, others if others.ndim == 3 else others[None])


def information_gain(log_density: Tensor, fixations: Tensor, baseline: Tensor) -> Tensor:
    """How much better a density foretells the fixations than a baseline's, in bits a fixation (Kümmerer et al. 2015).

    The mean of log2(density / baseline) at fixations. Both are natural logarithms of densities over pixels that sum to
    1, [B, H, W]; -inf is a density of 0. Unbounded, 0 for the baseline itself. NaN without fixations; ValueError
    where a density does not sum to 1, to 0.1 %.
    """
    for name, given in (("density", log_density), ("baseline", baseline)):
        _check_size(given, fixations)
        if not (given.double().flatten(1).logsumexp(1).abs() <= 1e-3).all():
            raise ValueError(f"the {name} must be logarithms of shares that sum to 1")
    weights = _counted(fixations)
    gain = (log_density.double() - baseline) * weights
    return gain.where(weights > 0, 0).sum((1, 2)) / weights.sum((1, 2)) / math.log(2)


def chance_mae(heatmap: Tensor, truth: Tensor) -> Tensor:
    """The MAE expected of the map's own values at random places: the mean |a - b| over all pairs of pixels.

    Exact, by counting on the 16-bit grid of `toolkit.maps`: a step from one level to the next is part of |a - b| for
    each pair that has one value below it and one above. ValueError where a value is not on the grid.
    """
    _check(heatmap, truth)
    a, b = _distribution(heatmap), _distribution(truth)
    return (a * (1 - b) + b * (1 - a)).sum(1) / LEVELS


def chance_iou(heatmap: Tensor, truth: Tensor, fraction: float = TOP) -> Tensor:
    """The IoU expected of two tops of these shares at random places: 0.053 for two of 10 %; see `chance_overlap`."""
    return chance_overlap(top(heatmap, fraction), top(truth, fraction))


def top(heatmap: Tensor, fraction: float) -> Tensor:
    """How much of each pixel belongs to the top of each map, [B, H, W] float64 in 0..1: as `toolkit.maps.top` says."""
    _check(heatmap)
    flat = heatmap.flatten(1)
    most = round(fraction * flat.shape[1])
    if most == 0:
        return torch.zeros_like(heatmap, dtype=torch.float64)
    cut = flat.topk(most, dim=1, sorted=False).values.amin(1, keepdim=True)
    above, tied = flat > cut, (flat == cut) & (cut > flat.amin(1, keepdim=True))
    room = most - above.sum(1, keepdim=True).double()
    return (above + tied * (room / tied.sum(1, keepdim=True).clamp(min=1))).view_as(heatmap)


def overlap(top: Tensor, truth: Tensor) -> Tensor:
    """The sum of two tops' minima over that of their maxima (Ruzicka 1958); 0 where both are empty."""
    _check_size(top, truth)
    shared, either = (both(top, truth).sum((1, 2)) for both in (torch.minimum, torch.maximum))
    return (shared / either).nan_to_num(0)


def chance_overlap(top: Tensor, truth: Tensor) -> Tensor:
    """The `overlap` expected of two tops at random places; 0 where one is empty.

    The mean and variance of what they share, S, are exact (Hoeffding, A combinatorial central limit theorem, 1951). The
    mean of S / (A + B - S), where A and B are the tops' sums, is expanded around that of S to the second order: for
    tops of 10 % it is off by 2e-5 of itself on 32 x 32 pixels and by 1e-8 on 256 x 192.
    """
    _check_size(top, truth)
    pixels = top[0].numel()
    (a, part_a), (b, part_b) = _levels(top), _levels(truth)
    part_a, part_b = part_a[:, :, None], part_b[:, None, :]
    minima = torch.minimum(a[:, :, None], b[:, None, :])  # [B, 3, 3] of all pairs of pixels, by their two levels
    over_a, over_b = (part_a * minima).sum(1, keepdim=True), (part_b * minima).sum(2, keepdim=True)
    mean = (part_a * over_b).sum(1, keepdim=True)
    variance = pixels**2 / max(pixels - 1, 1) * (part_a * part_b * (minima - over_a - over_b + mean) ** 2).sum((1, 2))
    shared, both = pixels * mean[:, 0, 0], top.sum((1, 2)) + truth.sum((1, 2))
    return (shared / (both - shared) + variance * both / (both - shared) ** 3).nan_to_num(0)


def _levels(top: Tensor) -> tuple[Tensor, Tensor]:
    """The three shares that a top's pixels have, 0, a part and 1, [B, 3], and how much of all pixels has each."""
    flat = top.flatten(1)
    whole, tied = flat == 1, (flat > 0) & (flat < 1)
    nothing = torch.zeros(len(top), dtype=torch.float64, device=top.device)
    values = torch.stack([nothing, (flat * tied).amax(1), nothing + 1], 1)
    counts = torch.stack([(flat == 0).sum(1), tied.sum(1), whole.sum(1)], 1)
    return values, counts.double() / flat.shape[1]


def _auc(heatmap: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """The share of negatives below a positive, ties half, mean over the positives; both are counts."""
    _check(heatmap, positives)
    _check_size(heatmap, negatives)
    flat = heatmap.flatten(1)
    won, lost = _counted(positives).flatten(1), _counted(negatives).flatten(1)
    # only pixels that count in some image of the batch; the positives are sorted, for they are few
    at, among = won.any(0), lost.any(0)
    values, order = flat[:, at].sort(1)
    won, lost = won[:, at].expand_as(order).gather(1, order), lost[:, among]
    below = torch.nn.functional.pad(won.cumsum(1), (1, 0))
    rivals = flat[:, among].contiguous()
    lower, upper = (below.gather(1, torch.searchsorted(values, rivals, right=right)) for right in (False, True))
    beaten = below[:, -1:] - (lower + upper) / 2
    return (beaten * lost).sum(1) / (below[:, -1] * lost.sum(1))


def _standard(heatmap: Tensor) -> Tensor:
    """Each map's z-scores, float64; 0 where it is constant, which rounding would hide from its standard deviation."""
    values = heatmap.double()
    z = (values - values.mean((1, 2), keepdim=True)) / values.std((1, 2), correction=0, keepdim=True)
    return z.where(heatmap.amax((1, 2), keepdim=True) > heatmap.amin((1, 2), keepdim=True), 0)


def _density(heatmap: Tensor) -> Tensor:
    """Each map's share of its sum at every pixel, float64; NaN where the map is empty."""
    if heatmap.amin() < 0:
        raise ValueError("a density has no negative values")
    return heatmap / heatmap.sum((1, 2), keepdim=True, dtype=torch.float64)


def _predicted(heatmap: Tensor) -> Tensor:
    """The density that a map predicts: an empty one says nothing, so that every pixel is as likely."""
    return _density(heatmap).nan_to_num(1 / heatmap[0].numel())


def _distribution(heatmap: Tensor) -> Tensor:
    """The share of each map's pixels at or below each level of the 16-bit grid but the last, [B, LEVELS] float64."""
    levels = (heatmap.double() * LEVELS).round().long().flatten(1)
    if not torch.equal((levels.double() / LEVELS).float().view_as(heatmap), heatmap.float()):
        raise ValueError("values are off the 16-bit grid: see toolkit.maps.normalise")
    counts = torch.zeros(len(heatmap), LEVELS + 1, dtype=torch.int64, device=heatmap.device)
    return counts.scatter_add(1, levels, torch.ones_like(levels)).cumsum(1)[:, :-1].double() / levels.shape[1]


def _counted(fixations: Tensor) -> Tensor:
    """Counts as float64 weights."""
    if fixations.dtype.is_floating_point or fixations.amin() < 0:
        raise ValueError("fixations are counted in integers from 0")
    return fixations.double()


def _check(heatmap: Tensor, *truths: Tensor) -> None:
    for given in (heatmap, *truths):
        _check_size(heatmap, given)
        if not given.sum().isfinite():  # one number to look at
            raise ValueError("a map must be finite")


def _check_size(heatmap: Tensor, truth: Tensor) -> None:
    if (
        heatmap.ndim != 3
        or truth.ndim != 3
        or heatmap.shape[1:] != truth.shape[1:]
        or len(truth) not in (1, len(heatmap))
    ):
        raise ValueError(f"expected [B, H, W] of one size: {tuple(heatmap.shape)} and {tuple(truth.shape)}")
