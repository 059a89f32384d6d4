"""Fixations counted on a grid, and the densities that they blur to."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from toolkit.attention.recordings import Viewing, counts, density

few = settings(max_examples=40, deadline=None)


def viewing(*fixations: np.ndarray, size: tuple[int, int] = (60, 40)) -> Viewing:
    return Viewing(Path("a.jpg"), list(fixations), size, 4.0)


def test_counts_of_the_images_own_grid_lie_on_the_fixated_pixels() -> None:
    found = counts(viewing(np.array([[10.5, 4.0], [10.9, 4.9]]), np.array([[59.9, 39.9]])), 40, 60)
    assert (found.shape, found.dtype) == ((40, 60), np.int32)
    assert {(int(y), int(x)): int(found[y, x]) for y, x in np.argwhere(found)} == {(4, 10): 2, (39, 59): 1}


def test_counts_are_of_the_chosen_observers() -> None:
    seen = viewing(np.array([[1.0, 1.0]]), np.zeros((0, 2)), np.array([[2.0, 1.0], [3.0, 1.0]]))
    assert [int(counts(seen, 40, 60, chosen).sum()) for chosen in ([0], [1], [2], [2, 0], [])] == [1, 0, 2, 3, 0]
    assert np.array_equal(counts(seen, 40, 60), counts(seen, 40, 60, [0, 1, 2]))


@few
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)), max_size=20),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_every_fixation_is_counted_once_on_a_grid_of_any_size(
    shares: list[tuple[float, float]], size: tuple[int, int], height: int, width: int
) -> None:
    below = np.nextafter(np.array(size, np.float64), 0)  # the last point inside
    points = np.minimum(np.array(shares).reshape(-1, 2) * size, below)
    corner = np.vstack([points, below])
    found = counts(viewing(corner, size=size), height, width)
    assert found.sum() == len(corner)
    assert found[-1, -1] >= 1


COUNTS = arrays(np.int32, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 3))


@few
@given(COUNTS.filter(np.any), st.floats(0.2, 12))
def test_a_density_is_the_blurred_counts_scaled_to_sum_to_1(found: np.ndarray, sigma: float) -> None:
    blurred = density(found, sigma)
    expected = gaussian_filter(found.astype(np.float64), sigma, mode="constant", radius=int(np.ceil(4 * sigma)))
    assert blurred.sum() == pytest.approx(1)
    assert blurred == pytest.approx(expected / expected.sum(), abs=1e-12)


def test_a_density_falls_off_as_a_gaussian() -> None:
    found = np.zeros((81, 81), np.int32)
    found[40, 40] = 3
    blurred = density(found, 5.0)
    assert blurred[40, 45] / blurred[40, 40] == pytest.approx(np.exp(-0.5))
    assert blurred[30, 40] / blurred[40, 40] == pytest.approx(np.exp(-2))
    assert blurred[40, 61] == 0  # cut at 4 sigma


def test_no_fixations_have_no_density() -> None:
    with pytest.raises(ValueError, match="needs a fixation"):
        density(np.zeros((4, 4), np.int32), 1.0)
