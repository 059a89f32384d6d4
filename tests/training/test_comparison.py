"""Comparison: intervals and p-values that cover test images and training seeds, by hand and in simulations."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import bootstrap
from training import comparison
from training.comparison import Score

IMAGES, SEEDS = 50, 3


def score(values: list[float], samples: list[list[float]], images: int = 11) -> Score:
    return Score(np.array(values, np.float64), np.array(samples, np.float64), images)


@cache
def simulated(seed_sd: float, image_sd: float, both_sd: float, seeds: int = SEEDS) -> list[Score]:
    """Differences between two arms that are truly 0, again and again with other seeds and images.

    Each seed moves all images by as much (seed_sd), each image lies elsewhere in all seeds (image_sd), and each pair of
    both has its own (both_sd).
    """
    random, differences = np.random.default_rng(0), []
    for draw in range(1000):
        by_seed, by_image = random.normal(0, seed_sd, (seeds, 1)), random.normal(0, image_sd, IMAGES)
        images = by_seed + by_image + random.normal(0, both_sd, (seeds, IMAGES))
        (weights,) = bootstrap.blocks(IMAGES, 200, draw)
        differences.append(Score(images.mean(axis=1), images @ weights.T / IMAGES, IMAGES))
    return differences


def resampled_seeds(difference: Score) -> tuple[float, float]:
    """The naive interval: seeds are resampled like images."""
    resamples = difference.samples.shape[1]
    drawn = np.random.default_rng(0).integers(SEEDS, size=(SEEDS, resamples))
    return bootstrap.interval(difference.samples[drawn, np.arange(resamples)].mean(axis=0))


def resampled_images(difference: Score) -> tuple[float, float]:
    """The naive interval: seeds are averaged, and only images resampled."""
    return bootstrap.interval(difference.samples.mean(axis=0))


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """How often they hold the true difference, 0."""
    return float(np.mean([lo <= 0 <= hi for lo, hi in intervals]))


def test_variances_over_images_and_seeds_add_up() -> None:
    # over images: the mean over seeds is 1 and 3 on the resamples, variance 1; over seeds: variance 2 of 2 seeds, so 1
    deviation, freedom = comparison.error(score([1, 3], [[0, 2], [2, 4]], images=11))
    assert deviation == pytest.approx(2**0.5)
    assert freedom == pytest.approx((1 + 1) ** 2 / (1 / 10 + 1 / 1))


def test_two_seeds_and_no_other_doubt_are_students_t_with_one_degree_of_freedom() -> None:
    two = score([0, 2], [[0, 0], [2, 2]])
    assert (two.value, two.spread) == pytest.approx((1, 2**0.5))
    assert comparison.error(two) == pytest.approx((1, 1))
    assert comparison.interval(two) == pytest.approx((1 - 12.7062, 1 + 12.7062), abs=1e-4)
    assert comparison.p_value(two) == pytest.approx(0.5)  # half of Cauchy's distribution lies within 1
    assert comparison.detectable(two) == pytest.approx(12.7062 + 1.3764, abs=1e-4)


def test_one_seed_has_the_bootstraps_interval_and_no_spread() -> None:
    samples = np.random.default_rng(0).permutation(1001) / 1000
    single = score([0.4], [list(samples)], images=81)
    assert comparison.interval(single) == pytest.approx((0.025, 0.975))
    assert np.isnan(single.spread)
    assert comparison.error(single) == pytest.approx((samples.std(), 80))
    assert comparison.detectable(single) == pytest.approx((1.9901 + 0.8461) * samples.std(), abs=1e-4)


def test_a_difference_is_one_of_the_same_seed_and_images() -> None:
    arm = score([0.5, 0.9], [[0.4, 0.6], [0.8, 1.0]])
    none = score([0.4, 0.7], [[0.2, 0.6], [0.6, 0.7]])
    gap = arm - none
    assert gap.values == pytest.approx([0.1, 0.2])
    assert gap.samples == pytest.approx(np.array([[0.2, 0.0], [0.2, 0.3]]))
    assert gap.images == 11


def test_what_has_no_seeds_is_paired_with_each() -> None:
    gap = score([0.5], [[0.4, 0.6]]) - score([0.4, 0.7], [[0.2, 0.6], [0.6, 0.7]])
    assert gap.values == pytest.approx([0.1, -0.2])
    assert gap.samples == pytest.approx(np.array([[0.2, 0.0], [-0.2, -0.1]]))


def test_arms_that_score_the_same_do_not_differ() -> None:
    arm = score([0.4, 0.7], [[0.2, 0.6], [0.6, 0.7]])
    assert comparison.interval(arm - arm) == (0, 0)
    assert comparison.p_value(arm - arm) == 1
    assert comparison.p_value(score([1, 1], [[1, 1], [1, 1]])) == 0  # every seed and image says so


def test_a_resample_without_a_value_is_left_out() -> None:
    whole, holed = score([1, 3], [[0, 2], [2, 4]]), score([1, 3], [[0, np.nan, 2], [2, 9, 4]])
    assert comparison.error(holed) == comparison.error(whole)
    nothing = score([np.nan, np.nan], [[np.nan], [np.nan]])
    assert np.isnan([*comparison.interval(nothing), comparison.p_value(nothing), comparison.detectable(nothing)]).all()


@pytest.mark.parametrize(
    "doubt",
    [(1, 0.1, 0.1), (0, 1, 0.1), (0.1, 0.7, 0.1)],
    ids=["seeds dominate", "images dominate", "both count"],
)
def test_the_interval_covers_the_true_difference_95_per_cent_of_the_time(doubt: tuple[float, float, float]) -> None:
    assert covered(comparison.interval(single) for single in simulated(*doubt)) == pytest.approx(0.95, abs=0.02)


def test_the_interval_is_too_wide_rather_than_too_narrow_where_each_seed_has_its_own_images() -> None:
    assert covered(comparison.interval(single) for single in simulated(0, 0, 1)) > 0.95


def test_resampling_three_seeds_or_none_is_not_enough_where_seeds_dominate() -> None:
    assert covered(resampled_seeds(single) for single in simulated(1, 0.1, 0.1)) < 0.8
    assert covered(resampled_images(single) for single in simulated(1, 0.1, 0.1)) < 0.1


@pytest.mark.parametrize(("doubt", "seeds"), [((1, 0.1, 0.1), SEEDS), ((0, 1, 0.1), SEEDS), ((0, 1, 0), 1)])
def test_the_detectable_difference_is_found_8_times_of_10(doubt: tuple[float, float, float], seeds: int) -> None:
    size = np.sqrt(np.mean([comparison.detectable(single) ** 2 for single in simulated(*doubt, seeds)]))
    true = score([size], [[size]])
    found = [comparison.p_value(single - true) < 0.05 for single in simulated(*doubt, seeds)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=5), st.integers(0, 100))
def test_p_is_below_5_per_cent_where_the_interval_leaves_out_0(values: list[float], seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, (len(values), 20))
    gap = Score(np.array(values), samples, IMAGES)
    lo, hi = comparison.interval(gap)
    assert (comparison.p_value(gap) < 0.05) == (not lo <= 0 <= hi)


def test_holm_by_hand() -> None:
    # .005 x 4, .01 x 3, .03 x 2, and .04 x 1 no less than the one before
    assert comparison.holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert comparison.holm(np.array([])).size == 0


def test_what_has_no_p_is_no_comparison() -> None:
    assert comparison.holm(np.array([0.02, np.nan, 0.03])) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_stays_between_p_and_bonferroni(p: list[float]) -> None:
    raw = np.array(p)
    corrected = comparison.holm(raw)
    assert (raw <= corrected).all()
    assert (corrected <= np.minimum(raw * raw.size, 1)).all()
    assert (np.diff(corrected[np.argsort(raw)]) >= 0).all()


def test_scores_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    scores = {"a.x": score([1, 3], [[0, np.nan], [2, 4]], images=11), "b.y": score([5, 6], [[7, 8], [9, 10]], images=7)}
    table = comparison.stored(scores)
    assert table["a.x"].tolist() == pytest.approx([1, 0, np.nan, 3, 2, 4], nan_ok=True)
    table.to_parquet(tmp_path / "scores.parquet")
    back = comparison.loaded(pd.read_parquet(tmp_path / "scores.parquet"), {"a.x": 11, "b.y": 7})
    for name, single in scores.items():
        assert np.array_equal(back[name].values, single.values)
        assert np.array_equal(back[name].samples, single.samples, equal_nan=True)
        assert back[name].images == single.images


def test_where_nothing_varies_no_difference_is_said_to_show() -> None:
    assert np.isnan(comparison.detectable(Score(np.zeros(1), np.zeros((1, 20)), 50)))
