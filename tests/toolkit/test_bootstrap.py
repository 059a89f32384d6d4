"""The bootstrap: what it draws, what its intervals mean, and what it says where there is nothing to measure."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import bootstrap

FINITE = st.floats(-1e6, 1e6)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32))
def test_every_resample_draws_as_many_images_as_there_are(images: int, resamples: int, seed: int) -> None:
    drawn = bootstrap.weights(images, resamples, seed)
    assert drawn.shape == (resamples, images)
    assert np.issubdtype(drawn.dtype, np.integer)
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == images).all()


def test_images_are_drawn_equally_often_and_independently() -> None:
    drawn = bootstrap.weights(10, 40_000, seed=1)
    assert drawn.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    # multinomial: variance 1 - 1/n, covariance -1/n
    assert np.cov(drawn.T) == pytest.approx(np.eye(10) - 0.1, abs=0.03)


def test_a_seed_gives_the_same_draws_in_blocks_of_any_height() -> None:
    whole = bootstrap.weights(7, 20, seed=3)
    width = bootstrap.CELLS // 3  # three rows a block
    parts = list(bootstrap.blocks(7, 20, seed=3, width=width))
    assert [len(part) for part in parts] == [3, 3, 3, 3, 3, 3, 2]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(bootstrap.weights(7, 20, seed=4), whole)


def test_memory_stays_bounded() -> None:
    values = np.random.default_rng(0).random(20_000)
    tracemalloc.start()
    bootstrap.mean(values, resamples=500, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20  # all the weights at once would be 80 MB, and as many again to draw them


def test_the_interval_is_the_middle_95_per_cent() -> None:
    samples = np.random.default_rng(0).permutation(1001).astype(float)
    assert bootstrap.interval(samples) == pytest.approx((25, 975))
    assert bootstrap.interval(np.append(samples, np.nan)) == pytest.approx((25, 975))
    assert np.isnan(bootstrap.interval(np.array([np.nan]))).all()
    assert np.isnan(bootstrap.interval(np.array([]))).all()


def test_the_mean_leaves_out_images_without_a_value() -> None:
    values = np.random.default_rng(0).random(30)
    holes = np.insert(values, [0, 7, 30], np.nan)
    assert bootstrap.mean(holes, 200, 0) == bootstrap.mean(values, 200, 0)
    assert bootstrap.mean(values, 200, 0).value == pytest.approx(values.mean())


@pytest.mark.parametrize("values", [np.array([]), np.full(3, np.nan)])
def test_nothing_to_measure_is_nan(values: np.ndarray) -> None:
    estimate = bootstrap.mean(values, 10, 0)
    assert np.isnan([estimate.value, estimate.lo, estimate.hi]).all()


@given(FINITE, st.integers(1, 30))
def test_a_constant_has_no_width(value: float, images: int) -> None:
    estimate = bootstrap.mean(np.full(images, value), 20, 0)
    assert (estimate.lo, estimate.value, estimate.hi) == pytest.approx((value, value, value), rel=1e-12)


@given(st.lists(st.integers(0, 100), min_size=2, max_size=50), FINITE)
def test_the_interval_holds_the_mean_and_follows_a_shift(values: list[int], shift: float) -> None:
    array = np.array(values, np.float64)
    estimate, moved = bootstrap.mean(array, 300, 0), bootstrap.mean(array + shift, 300, 0)
    assert estimate.lo - 1e-9 <= estimate.value <= estimate.hi + 1e-9
    assert (moved.lo - shift, moved.hi - shift) == pytest.approx((estimate.lo, estimate.hi), abs=1e-6)


def test_the_interval_covers_the_true_mean_95_per_cent_of_the_time() -> None:
    random = np.random.default_rng(0)
    estimates = [bootstrap.mean(random.gamma(2, 1, 100), 400, seed) for seed in range(600)]
    covered = np.mean([estimate.lo <= 2 <= estimate.hi for estimate in estimates])
    assert 0.92 <= covered <= 0.97


def test_a_paired_difference_is_sharper_than_two_means() -> None:
    random = np.random.default_rng(0)
    image = random.normal(0, 10, 200)
    a, b = image + 0.5 + random.normal(0, 0.1, 200), image
    difference = bootstrap.paired_difference(a, b, 500, 0)
    alone = bootstrap.mean(a, 500, 0)
    assert 0.4 < difference.lo < 0.5 < difference.hi < 0.6
    assert difference.hi - difference.lo < (alone.hi - alone.lo) / 50


def test_a_paired_difference_needs_both_values_of_an_image() -> None:
    a, b = np.array([1.0, np.nan, 3.0, 5.0]), np.array([1.0, 2.0, np.nan, 2.0])
    assert bootstrap.paired_difference(a, b, 50, 0) == bootstrap.mean(np.array([0.0, 3.0]), 50, 0)
    with pytest.raises(ValueError, match="same images"):
        bootstrap.paired_difference(a, b[:1], 50, 0)
