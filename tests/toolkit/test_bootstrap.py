"""The bootstrap: what it draws, what its intervals mean, and what it says where there is nothing to measure."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit import bootstrap

FINITE = st.floats(-1e6, 1e6)


def weights(images: int, resamples: int, seed: int) -> np.ndarray:
    return np.concatenate(list(bootstrap.blocks(images, resamples, seed)))


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_every_resample_draws_as_many_images_as_there_are(images: int, resamples: int, seed: int) -> None:
    drawn = weights(images, resamples, seed)
    assert drawn.shape == (resamples, images)
    assert np.issubdtype(drawn.dtype, np.integer)
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == images).all()


def test_images_are_drawn_equally_often_and_independently() -> None:
    drawn = weights(10, 40_000, seed=1)
    assert drawn.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    # multinomial: variance 1 - 1/n, covariance -1/n
    assert np.cov(drawn.T) == pytest.approx(np.eye(10) - 0.1, abs=0.03)


def test_a_seed_gives_the_same_draws_in_blocks_of_any_height() -> None:
    whole = weights(7, 20, seed=3)
    width = bootstrap.CELLS // 3  # three rows a block
    parts = list(bootstrap.blocks(7, 20, seed=3, width=width))
    assert [len(part) for part in parts] == [3, 3, 3, 3, 3, 3, 2]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(weights(7, 20, seed=4), whole)


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


def test_flips_are_those_of_scipy_where_all_can_be_counted() -> None:
    random = np.random.default_rng(0)
    for shift in (0, 0.5, 1):
        a = random.normal(shift, 1, 10)
        b = random.normal(0, 0.1, 10)
        all_flips = stats.permutation_test((a, b), lambda a, b: np.mean(a - b), permutation_type="samples")
        assert bootstrap.permutation_test(a, b, 100_000, 0) == pytest.approx(all_flips.pvalue, abs=0.006)


def test_pairs_that_all_differ_alike_are_as_far_from_0_in_two_of_all_flips() -> None:
    assert bootstrap.permutation_test(np.full(8, 0.1), np.zeros(8), 100_000, 0) == pytest.approx(2 / 2**8, abs=1e-3)


def test_p_is_uniform_where_there_is_no_difference() -> None:
    random = np.random.default_rng(0)
    p = [bootstrap.permutation_test(random.gamma(2, 1, 30), random.gamma(2, 1, 30), 199, i) for i in range(1000)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_p_is_never_0_and_1_where_nothing_differs() -> None:
    values = np.random.default_rng(0).random(40)
    assert bootstrap.permutation_test(values + 1, values, 999, 0) == 1 / 1000
    assert bootstrap.permutation_test(values, values, 999, 0) == 1


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=12), st.integers(0, 2**32))
def test_p_does_not_depend_on_which_is_called_a(pairs: list[tuple[float, float]], seed: int) -> None:
    a, b = np.array(pairs).T
    p = bootstrap.permutation_test(a, b, 50, seed)
    assert p == bootstrap.permutation_test(b, a, 50, seed)
    assert 1 / 51 <= p <= 1


def test_a_pair_needs_both_values_of_an_image() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(0.2, 1, (2, 20))
    holed_a, holed_b = np.insert(a, [0, 9], [np.nan, 5]), np.insert(b, [0, 9], [5, np.nan])
    assert bootstrap.permutation_test(holed_a, holed_b, 500, 0) == bootstrap.permutation_test(a, b, 500, 0)
    assert np.isnan(bootstrap.permutation_test(np.array([np.nan, 1]), np.array([1, np.nan]), 10, 0))
    assert np.isnan(bootstrap.permutation_test(np.array([]), np.array([]), 10, 0))
    with pytest.raises(ValueError, match="same images"):
        bootstrap.permutation_test(a, b[:1], 50, 0)


def test_memory_of_a_permutation_test_stays_bounded() -> None:
    a, b = np.random.default_rng(0).random((2, 20_000))
    tracemalloc.start()
    bootstrap.permutation_test(a, b, 2000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20  # all the flips at once would be 40 MB, and 320 MB to multiply them
