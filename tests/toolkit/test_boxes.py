"""Whether a map looks at the objects: the two pointing games, worked by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit import maps
from toolkit.boxes import covered, looked_into

INSIDE = np.zeros((10, 20), bool)
INSIDE[:, :5] = True  # a quarter of the image


def heatmap(*pixels: tuple[int, int, float]) -> np.ndarray:
    """A map of zeros but for some rows, columns and values."""
    values = np.zeros(INSIDE.shape, np.float32)
    for row, column, value in pixels:
        values[row, column] = value
    return values


def test_a_map_points_where_its_most_salient_pixel_lies() -> None:
    assert looked_into(heatmap((0, 0, 1), (0, 9, 0.5)), INSIDE)["pointed"] is True
    assert looked_into(heatmap((0, 0, 0.5), (0, 9, 1)), INSIDE)["pointed"] is False


def test_the_energy_in_boxes_is_their_share_of_the_whole_map() -> None:
    assert looked_into(heatmap((0, 0, 0.25), (0, 4, 0.5), (0, 5, 0.25)), INSIDE)["in_boxes"] == 0.75
    assert looked_into(heatmap((0, 9, 1)), INSIDE)["in_boxes"] == 0


def test_chance_is_the_share_of_the_image_that_the_boxes_cover() -> None:
    assert looked_into(heatmap((0, 9, 1)), INSIDE)["boxes_area"] == 0.25
    assert looked_into(np.ones(INSIDE.shape, np.float32), INSIDE)["in_boxes"] == 0.25


@pytest.mark.parametrize("turn", [np.copy, np.flipud, np.fliplr])
def test_where_several_pixels_tie_most_of_them_decide_wherever_they_lie(
    turn: Callable[[np.ndarray], np.ndarray],
) -> None:
    two_of_three, one_of_two = heatmap((0, 0, 1), (9, 4, 1), (5, 9, 1)), heatmap((0, 0, 1), (9, 9, 1))
    assert looked_into(turn(two_of_three), turn(INSIDE))["pointed"]
    assert not looked_into(turn(one_of_two), turn(INSIDE))["pointed"]


def test_a_map_that_says_nothing_points_nowhere() -> None:
    assert looked_into(heatmap(), INSIDE) == {"pointed": False, "in_boxes": 0, "boxes_area": 0.25}


def test_where_nothing_is_annotated_a_map_looks_at_no_object() -> None:
    nothing = np.zeros_like(INSIDE)
    assert looked_into(heatmap((0, 0, 1)), nothing) == {"pointed": False, "in_boxes": 0, "boxes_area": 0}


def test_a_map_of_few_cells_is_scaled_to_the_image() -> None:
    cells = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    looked = looked_into(cells, INSIDE)
    assert looked["pointed"]
    assert looked["in_boxes"] == pytest.approx(maps.scale(cells, 10, 20)[:, :5].sum() / maps.scale(cells, 10, 20).sum())


def test_boxes_cover_each_pixel_once_and_end_at_the_image() -> None:
    mask = covered([(-1, 0, 2, 2), (1, 1, 3, 99)], 4, 5)
    assert mask.sum() == 4 + 6 - 1
    assert mask[:2, :2].all() and mask[1:, 1:3].all()
    assert not covered([], 4, 5).any()


@given(arrays(np.float32, (6, 7), elements=st.floats(0, 1, width=32)).map(maps.normalise))
def test_what_is_in_boxes_and_what_is_not_are_the_whole(values: np.ndarray) -> None:
    inside = np.zeros((6, 7), bool)
    inside[2:5, 1:4] = True
    parts = looked_into(values, inside), looked_into(values, ~inside)
    assert sum(part["in_boxes"] for part in parts) == pytest.approx(float(values.any()))
    assert not (parts[0]["pointed"] and parts[1]["pointed"])
