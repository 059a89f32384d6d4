"""The benchmarks' measures: worked by hand, what they say of maps that say nothing, and what chance scores."""

import math
from collections.abc import Callable
from itertools import permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from toolkit import maps, metrics
from toolkit.metrics import METRICS

# few distinct values make ties, and constant maps among them
VALUES = st.one_of(st.integers(0, 3).map(float), st.floats(0, 1, width=32))
MAPS = arrays(np.float32, (6, 7), elements=VALUES).map(maps.normalise)
MASKS = arrays(np.float32, (6, 7), elements=st.integers(0, 1).map(float))

AGAINST_MAPS = (metrics.mae, metrics.iou, metrics.cc, metrics.sim, metrics.kl, metrics.chance_mae, metrics.chance_iou)
AT_FIXATIONS = (metrics.nss, metrics.auc_judd)


def ramp(columns: int = 100) -> np.ndarray:
    return np.tile(np.linspace(0, 1, columns, dtype=np.float32), (10, 1))


def constant(value: float = 0) -> np.ndarray:
    return np.full((10, 100), value, np.float32)


def points(*cells: tuple[int, int], size: tuple[int, int] = (10, 100)) -> np.ndarray:
    counts = np.zeros(size, np.int64)
    for cell in cells:
        counts[cell] += 1
    return counts


def uniform(height: int, width: int) -> np.ndarray:
    return np.full((height, width), -math.log(height * width))


@settings(deadline=None)
@given(MAPS)
def test_a_map_agrees_with_itself(heatmap: np.ndarray) -> None:
    varied = heatmap.any()
    assert metrics.mae(heatmap, heatmap) == 0
    assert metrics.iou(heatmap, heatmap) == varied
    assert metrics.cc(heatmap, heatmap) == pytest.approx(float(varied))
    assert metrics.sim(heatmap, heatmap) == pytest.approx(1 if varied else math.nan, nan_ok=True)
    assert metrics.kl(heatmap, heatmap) == pytest.approx(0 if varied else math.nan, abs=1e-9, nan_ok=True)


@settings(deadline=None)
@given(MAPS, MAPS)
def test_scores_stay_in_their_range(heatmap: np.ndarray, truth: np.ndarray) -> None:
    for score, low, high in (
        (metrics.mae, 0, 1),
        (metrics.iou, 0, 1),
        (metrics.cc, -1, 1),
        (metrics.sim, 0, 1),
        (metrics.kl, 0, 37),
    ):
        value = score(heatmap, truth)
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


def test_the_table_says_which_way_is_better_and_which_metrics_are_of_two_maps() -> None:
    """The ramp against itself beats the ramp turned over, by each metric."""
    fixations = points((0, 99), (3, 98))
    truth = {"map": ramp(), "fixations": fixations, "others": points((1, 1), (9, 50))}
    for metric in METRICS.values():
        good, bad = (
            metric.score(metric.form(heatmap), *(metric.form(truth[key]) for key in metric.against))
            for heatmap in (ramp(), ramp()[:, ::-1])
        )
        assert (good > bad) == metric.higher_is_better, metric.heading


@settings(deadline=None)
@given(MASKS, MAPS, st.sampled_from([np.flipud, np.fliplr]))
def test_no_iou_depends_on_where_tied_pixels_lie(
    mask: np.ndarray, other: np.ndarray, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    """What fails this cuts a mask of people's at its upper part, and measures vertical position."""
    for score in (metrics.iou, metrics.chance_iou):
        assert score(turn(mask), turn(other)) == pytest.approx(score(mask, other))


@given(arrays(np.float64, (6, 7), elements=st.floats(0, 1), unique=True), st.randoms(), st.floats(0, 1))
def test_without_ties_the_overlap_is_that_of_two_sets_of_pixels(
    heatmap: np.ndarray, random: Random, fraction: float
) -> None:
    truth = np.array(random.sample(heatmap.ravel().tolist(), heatmap.size)).reshape(heatmap.shape)
    most = min(round(fraction * heatmap.size), heatmap.size - 1)  # the lowest never counts
    highest, sought = (set(values.ravel().argsort()[heatmap.size - most :]) for values in (heatmap, truth))
    expected = len(highest & sought) / max(len(highest | sought), 1)
    assert metrics.overlap(maps.top(heatmap, fraction), maps.top(truth, fraction)) == expected


def test_opposite_ramps_share_nothing() -> None:
    assert metrics.iou(ramp(), ramp()[:, ::-1]) == 0
    assert metrics.cc(ramp(), ramp()[:, ::-1]) == pytest.approx(-1)
    assert metrics.mae(ramp(), ramp()[:, ::-1]) == pytest.approx(np.abs(2 * ramp() - 1).mean())


def test_half_shared_tops_have_a_third_iou_and_half_the_similarity() -> None:
    a, b = constant(), constant()
    a[:, 0:10], b[:, 5:15] = 1, 1
    assert metrics.iou(a, b) == pytest.approx(1 / 3)
    assert metrics.sim(a, b) == pytest.approx(1 / 2)


def test_a_mask_larger_than_the_top_counts_in_part_at_each_of_its_pixels() -> None:
    seen, mask = constant(), constant()
    seen[:, :10], mask[:, 5:45] = 1, 1  # a hundred pixels, and a quarter of each of four hundred
    assert metrics.iou(seen, mask) == pytest.approx(50 / 4 / (100 + 350 / 4))
    assert metrics.iou(mask, mask) == 1


def test_the_divergence_is_in_nats_from_the_map_to_the_truth() -> None:
    heatmap, truth = np.array([[1, 3]]), np.array([[1, 1]])
    assert metrics.kl(heatmap, truth) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert metrics.kl(truth, heatmap) == pytest.approx(0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2))
    assert metrics.kl(np.array([[1, 0]]), np.array([[0, 1]])) == pytest.approx(36.04, abs=0.01)


def test_fixations_are_scored_at_their_pixels_as_often_as_they_fell_there() -> None:
    heatmap = np.array([[0, 1, 2, 3]])
    z = (np.arange(4) - 1.5) / np.arange(4).std()
    fixations = points((0, 3), (0, 3), (0, 1), size=(1, 4))
    assert metrics.nss(heatmap, fixations) == pytest.approx((2 * z[3] + z[1]) / 3)
    assert metrics.auc_judd(heatmap, fixations) == pytest.approx((2 * 3.5 / 4 + 1.5 / 4) / 3)
    others = points((0, 0), (0, 1), (0, 1), size=(1, 4))
    assert metrics.shuffled_auc(heatmap, fixations, others) == pytest.approx((2 * 1 + 2 / 3) / 3)


def test_information_gain_counts_bits_a_fixation_beyond_the_baseline() -> None:
    density = np.array([[math.log(0.5)] * 2 + [-math.inf] * 2])
    baseline = uniform(1, 4)
    assert metrics.information_gain(density, points((0, 0), (0, 1), size=(1, 4)), baseline) == pytest.approx(1)
    assert metrics.information_gain(density, points((0, 0), (0, 2), size=(1, 4)), baseline) == -math.inf
    assert metrics.information_gain(baseline, points((0, 3), size=(1, 4)), baseline) == 0


def test_a_density_that_is_no_logarithm_of_shares_is_refused() -> None:
    fixations = points((0, 0), size=(1, 4))
    for wrong in (np.array([[0.25] * 4]), uniform(1, 4) + 0.1, np.full((1, 4), math.nan)):
        with pytest.raises(ValueError, match="density"):
            metrics.information_gain(wrong, fixations, uniform(1, 4))
        with pytest.raises(ValueError, match="baseline"):
            metrics.information_gain(uniform(1, 4), fixations, wrong)


@pytest.mark.parametrize("value", [0, 0.3])  # 0.3 is no sum of powers of two: its mean is rounded
def test_a_constant_map_says_nothing(value: float) -> None:
    heatmap = constant(value)
    fixations = points((0, 99), (3, 50))
    assert metrics.iou(heatmap, ramp()) == metrics.chance_iou(heatmap, ramp()) == 0
    assert metrics.cc(heatmap, ramp()) == metrics.cc(ramp(), heatmap) == metrics.cc(heatmap, heatmap) == 0
    assert metrics.nss(heatmap, fixations) == 0
    assert metrics.auc_judd(heatmap, fixations) == 0.5
    assert metrics.shuffled_auc(heatmap, fixations, points((1, 1))) == 0.5


def test_an_empty_map_predicts_every_pixel_alike() -> None:
    for score in (metrics.sim, metrics.kl):
        assert score(constant(), ramp()) == pytest.approx(score(constant(1), ramp()))


def test_no_truth_is_no_score() -> None:
    nobody = points()
    assert math.isnan(metrics.sim(ramp(), constant()))
    assert math.isnan(metrics.kl(ramp(), constant()))
    assert math.isnan(metrics.nss(ramp(), nobody))
    assert math.isnan(metrics.auc_judd(ramp(), nobody))
    assert math.isnan(metrics.shuffled_auc(ramp(), nobody, points((0, 0))))
    assert math.isnan(metrics.shuffled_auc(ramp(), points((0, 0)), nobody))
    assert math.isnan(metrics.information_gain(uniform(10, 100), nobody, uniform(10, 100)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_map_with_a_hole_is_refused(value: float) -> None:
    broken = ramp()
    broken[3, 4] = value
    for score in AGAINST_MAPS:
        for pair in ((broken, ramp()), (ramp(), broken)):
            with pytest.raises(ValueError, match="finite"):
                score(*pair)
    for score in AT_FIXATIONS:
        with pytest.raises(ValueError, match="finite"):
            score(broken, points((0, 0)))
    with pytest.raises(ValueError, match="finite"):
        metrics.shuffled_auc(broken, points((0, 0)), points((1, 1)))


def test_what_is_no_map_density_or_count_is_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        metrics.mae(ramp(), ramp(99))
    with pytest.raises(ValueError, match="one size"):
        metrics.mae(ramp()[0], ramp()[0])
    with pytest.raises(ValueError, match="negative"):
        metrics.sim(ramp() - 0.5, ramp())
    with pytest.raises(ValueError, match="integers"):
        metrics.nss(ramp(), ramp())
    with pytest.raises(ValueError, match="integers"):
        metrics.nss(ramp(), -points((0, 0)))
    with pytest.raises(ValueError, match="16-bit grid"):
        metrics.chance_mae(np.random.default_rng(0).random((10, 100)), ramp())


@settings(deadline=None)
@given(MAPS, MAPS)
def test_chance_mae_is_the_mean_over_all_pairs_of_pixels(a: np.ndarray, b: np.ndarray) -> None:
    pairs = np.abs(np.subtract.outer(a.astype(np.float64), b))
    assert metrics.chance_mae(a, b) == pytest.approx(pairs.mean(), abs=1e-7)


@pytest.mark.parametrize("a", [[0] * 6, [1, 0, 0, 0, 0, 0], [1, 0.25, 0.25, 0.25, 0.25, 0], [1, 1, 1, 1, 1, 1]])
@pytest.mark.parametrize("b", [[0] * 6, [1, 1, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5, 0, 0], [1, 1, 0.5, 0.5, 0.5, 0.5]])
def test_chance_iou_is_the_mean_over_all_places_of_one_top(a: list[float], b: list[float]) -> None:
    every = np.array(list(permutations(a)))
    mean = np.mean(np.minimum(every, b).sum(1) / np.maximum(np.maximum(every, b).sum(1), 1e-9))
    expected = metrics.chance_overlap(*(np.array(top, float).reshape(2, 3) for top in (a, b)))
    assert expected == pytest.approx(mean, abs=0.007)  # the expansion is at its worst on so few


@pytest.mark.parametrize(("height", "width", "error"), [(32, 32, 2e-5), (192, 256, 1e-8)])
def test_chance_iou_of_whole_pixels_is_the_hypergeometric_mean(height: int, width: int, error: float) -> None:
    pixels, chosen = height * width, round(0.1 * height * width)
    shared = np.arange(chosen + 1)
    mean = np.sum(stats.hypergeom(pixels, chosen, chosen).pmf(shared) * shared / (2 * chosen - shared))
    top = (np.arange(pixels) < chosen).astype(float).reshape(height, width)
    assert metrics.chance_overlap(top, top) == pytest.approx(mean, rel=error)


@pytest.mark.parametrize("heatmap", [np.arange(4096) < 1000, np.arange(4096)], ids=["mask", "map"])
def test_chance_iou_is_what_shuffled_maps_score(heatmap: np.ndarray) -> None:
    shuffled = np.random.default_rng(0).permuted(np.tile(heatmap.astype(float), (400, 1)), axis=1).reshape(-1, 64, 64)
    truth = np.arange(4096).reshape(64, 64)
    chance = metrics.chance_iou(shuffled[0], truth)
    assert chance == pytest.approx(np.mean([metrics.iou(places, truth) for places in shuffled]), abs=1e-3)


def test_chance_iou_of_two_whole_tops_is_about_0_053() -> None:
    heatmap = np.arange(4096).reshape(64, 64)
    assert metrics.chance_iou(heatmap, heatmap) == pytest.approx(0.1 / 1.9, abs=2e-4)


def test_random_fixations_score_what_chance_does() -> None:
    rng = np.random.default_rng(0)
    heatmap = ramp()
    here, there = (rng.multinomial(20_000, np.full(1000, 1e-3)).reshape(10, 100) for _ in range(2))
    assert metrics.nss(heatmap, here) == pytest.approx(0, abs=0.03)
    assert metrics.auc_judd(heatmap, here) == pytest.approx(0.5, abs=0.01)
    assert metrics.shuffled_auc(heatmap, here, there) == pytest.approx(0.5, abs=0.015)


def test_the_centre_bias_earns_nothing_beside_fixations_that_share_it() -> None:
    rng = np.random.default_rng(0)
    centre = np.outer(np.hanning(40), np.hanning(50))
    here, there = (rng.multinomial(5000, (centre / centre.sum()).ravel()).reshape(40, 50) for _ in range(2))
    assert metrics.auc_judd(centre, here) > 0.7
    assert metrics.shuffled_auc(centre, here, there) == pytest.approx(0.5, abs=0.02)
