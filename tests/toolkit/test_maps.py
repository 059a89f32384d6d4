"""A map's top is the same before and after storing, as much as asked for, and no matter of where its pixels lie."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from toolkit.errors import BadInput
from toolkit.files import png, write
from toolkit.maps import LEVELS, encode, load, normalise, scale, top

shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
any_finite = arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
with_ties = arrays(np.float32, shapes, elements=st.integers(0, 5).map(float))
values = st.one_of(any_finite, with_ties)
maps = values.map(normalise)
fractions = st.floats(0, 1)
few = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps") / "a.png"


@few
@given(values)
def test_normalised_values_lie_on_the_grid_from_0_to_1(values: np.ndarray) -> None:
    heatmap = normalise(values)
    assert heatmap.dtype == np.float32
    grid = np.rint(heatmap.astype(np.float64) * LEVELS)
    assert np.array_equal(heatmap, (grid / LEVELS).astype(np.float32))
    if values.max() > values.min():
        assert (heatmap.min(), heatmap.max()) == (0, 1)


@few
@given(values)
def test_normalise_keeps_the_order(values: np.ndarray) -> None:
    in_order = normalise(values).ravel()[np.argsort(values.ravel())]
    assert (np.diff(in_order) >= 0).all()


@few
@given(maps)
def test_normalise_is_idempotent(heatmap: np.ndarray) -> None:
    assert np.array_equal(normalise(heatmap), heatmap)


@few
@given(maps)
def test_storing_loses_nothing(stored: Path, heatmap: np.ndarray) -> None:
    write(stored, encode(heatmap))
    again = load(stored)
    assert again.dtype == np.float32
    assert np.array_equal(again, heatmap)


@few
@given(maps, fractions, st.integers(1, 30), st.integers(1, 30))
def test_storing_never_moves_the_top(
    stored: Path, heatmap: np.ndarray, fraction: float, height: int, width: int
) -> None:
    write(stored, encode(heatmap))
    again = load(stored)
    assert np.array_equal(top(again, fraction), top(heatmap, fraction))
    assert np.array_equal(top(scale(again, height, width), fraction), top(scale(heatmap, height, width), fraction))


@few
@given(maps, fractions)
def test_the_top_is_the_highest_pixels_and_sums_to_as_many_as_asked_for(heatmap: np.ndarray, fraction: float) -> None:
    shares = top(heatmap, fraction)
    above = heatmap > heatmap.min()
    assert shares.sum() == pytest.approx(min(round(fraction * heatmap.size), above.sum()))
    assert not shares[~above].any()
    cut = heatmap[shares > 0].min(initial=np.inf)
    assert (shares[heatmap > cut] == 1).all()
    assert not shares[heatmap < cut].any()


@few
@given(maps, fractions)
def test_pixels_that_tie_count_alike(heatmap: np.ndarray, fraction: float) -> None:
    shares = top(heatmap, fraction)
    for value in np.unique(heatmap):
        assert np.unique(shares[heatmap == value]).size == 1


@few
@given(maps, fractions, st.sampled_from([np.flipud, np.fliplr, np.transpose]))
def test_a_turned_map_has_its_top_turned(
    heatmap: np.ndarray, fraction: float, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    assert np.array_equal(top(turn(heatmap), fraction), turn(top(heatmap, fraction)))


def test_of_a_mask_larger_than_the_top_every_pixel_counts_in_part() -> None:
    mask = np.zeros((10, 10), np.float32)
    mask[:, :4] = 1
    assert np.array_equal(top(mask, 0.1), mask / 4)
    mask[0, :3] = 0.5
    assert top(mask, 0.39)[0, :5].tolist() == [2 / 3, 2 / 3, 2 / 3, 1, 0]  # 37 whole ones, and 2 shared by three


def test_ten_percent_of_a_ramp_is_its_last_tenth() -> None:
    ramp = normalise(np.arange(100.0).reshape(10, 10))
    assert np.array_equal(np.flatnonzero(top(ramp, 0.1)), np.arange(90, 100))


@pytest.mark.parametrize("value", [0, 1, -3.5, 1e30])
def test_a_constant_is_all_zeros_and_has_no_top(value: float) -> None:
    heatmap = normalise(np.full((4, 5), value))
    assert heatmap.shape == (4, 5)
    assert not heatmap.any()
    assert not top(heatmap, 1).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_with_holes_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        normalise(np.array([[0, 1], [2, value]]))


@few
@given(maps)
def test_the_same_size_is_the_same_map(heatmap: np.ndarray) -> None:
    assert np.array_equal(scale(heatmap, *heatmap.shape), heatmap)


def test_a_scaled_map_fills_0_to_1_and_keeps_its_peak_in_place() -> None:
    cells = np.zeros((4, 6), np.float32)
    cells[1, 4] = 1
    large = scale(cells, 40, 60)
    assert large.shape == (40, 60)
    assert (large.min(), large.max()) == (0, 1)
    y, x = np.argwhere(large == 1).mean(0)
    assert (y, x) == (14.5, 44.5)  # the middle of the cell's pixels 10..19, 40..49


def test_between_cells_a_scaled_map_is_linear() -> None:
    assert scale(np.array([[0, 1]], np.float32), 1, 4) == pytest.approx(np.array([[0, 0.25, 0.75, 1]]), abs=1e-4)


def test_a_map_is_stored_as_16_bit_grey() -> None:
    with Image.open(io.BytesIO(encode(np.array([[0, 1]], np.float32)))) as image:
        assert (image.format, image.mode) == ("PNG", "I;16")
        assert np.asarray(image).tolist() == [[0, 65535]]


def test_an_8_bit_image_is_a_map_too(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(np.arange(256, dtype=np.uint8).reshape(16, 16)))
    heatmap = load(tmp_path / "a.png")
    assert np.array_equal(heatmap.ravel(), (np.arange(256) * 257 / LEVELS).astype(np.float32))
    assert np.array_equal(normalise(heatmap), heatmap)


@pytest.mark.parametrize(
    "data", [None, b"", b"text", png(np.zeros((2, 2, 3), np.uint8))], ids=["missing", "empty", "text", "colour"]
)
def test_what_is_no_grey_image_is_refused_by_name(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        write(tmp_path / "a.png", data)
    with pytest.raises(BadInput, match="is not a grey image") as error:
        load(tmp_path / "a.png")
    assert error.value.problems[0].file == str(tmp_path / "a.png")
