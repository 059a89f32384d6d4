"""Regions: the most salient pixels, and the control elsewhere."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import maps
from toolkit.variants.regions import elsewhere, erase, most_salient


def blobs(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    coarse = maps.normalise(np.random.default_rng(seed).random((6, 8)))
    return most_salient(maps.scale(coarse, height, width), 2.5, str(seed))


def shapes(region: np.ndarray) -> list[bytes]:
    """Each connected part, wherever it lies."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    return sorted((labels[y : y + h, x : x + w] == n).tobytes() for n, (x, y, w, h, _) in enumerate(boxes) if n)


def test_the_share_is_exact() -> None:
    assert blobs(0).sum() == round(0.025 * 48 * 64)


def mask() -> np.ndarray:
    """The right half marked, all alike."""
    marked = np.zeros((40, 60), np.float32)
    marked[:, 30:] = 1
    return marked


def test_without_ties_the_most_salient_pixels_are_the_highest() -> None:
    ramp = maps.normalise(np.random.default_rng(0).permutation(40 * 25).reshape(40, 25))
    assert np.array_equal(np.sort(ramp[most_salient(ramp, 2.5, "a")]), np.sort(ramp.ravel())[-25:])


def test_above_a_tie_every_pixel_is_chosen() -> None:
    heatmap = mask() / 2
    heatmap[5, :30] = 1
    chosen = most_salient(heatmap, 2.5, "a")
    assert chosen[5, :30].all()
    assert chosen[:, 30:].sum() == round(0.025 * 40 * 60) - 30


def test_ties_are_spread_over_the_image() -> None:
    rows, columns = np.nonzero(most_salient(mask(), 25, "a"))
    assert len(rows) == 600
    assert columns.min() >= 30
    assert rows.mean() == pytest.approx(19.5, abs=1)
    assert columns.mean() == pytest.approx(44.5, abs=1)
    assert np.bincount(rows, minlength=40).min() > 0


def test_ties_depend_on_the_image_s_id_alone_and_a_larger_share_holds_the_smaller() -> None:
    a, again, b, more = (
        most_salient(mask(), p, image_id) for p, image_id in ((2.5, "a"), (2.5, "a"), (2.5, "b"), (5, "a"))
    )
    assert np.array_equal(a, again)
    assert (a & b).sum() < 10  # of 60, 3 by chance
    assert (a <= more).all()


def test_pixels_at_the_minimum_are_never_chosen() -> None:
    few = np.zeros((40, 60), np.float32)
    few[3, 4:9] = 1
    assert np.array_equal(most_salient(few, 2.5, "a"), few > 0)
    assert not most_salient(np.zeros((40, 60), np.float32), 2.5, "a").any()


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_elsewhere_has_the_area_and_lies_elsewhere(seed: int) -> None:
    region = blobs(seed)
    moved = elsewhere(region, seed)
    assert moved.sum() == region.sum()
    assert not (moved & region).any()


def test_elsewhere_keeps_the_shape_of_a_part() -> None:
    for seed in range(10):
        region = np.zeros((48, 64), bool)
        region[10:20, 5:9] = True
        region[12:14, 9:15] = True
        assert shapes(elsewhere(region, seed)) == shapes(region)


def test_elsewhere_depends_on_its_seed_alone() -> None:
    assert (elsewhere(blobs(1), 5) == elsewhere(blobs(1), 5)).all()
    assert any((elsewhere(blobs(1), 5) != elsewhere(blobs(1), n)).any() for n in range(6, 9))


@given(st.integers(0, 100), st.floats(30, 95))
@settings(max_examples=30)
def test_a_region_too_large_to_avoid_keeps_its_area(seed: int, percent: float) -> None:
    coarse = maps.scale(maps.normalise(np.random.default_rng(seed).random((6, 8))), 24, 32)
    region = most_salient(coarse, percent, "a")
    assert elsewhere(region, seed).sum() == region.sum()


def test_parts_that_find_no_room_beside_one_another_go_half_an_image_on_together() -> None:
    region = np.ones((8, 24), bool)
    region[:, 11:13] = False  # two parts, 11 pixels wide: with the first in the middle there is no room for the second
    region[0] = False
    moved = [elsewhere(region, seed) for seed in range(6)]
    expected = np.ones((8, 24), bool)
    expected[:, [0, 23]] = False
    expected[4] = False
    assert any(np.array_equal(place, expected) for place in moved)


def test_the_place_that_overlaps_least_is_taken() -> None:
    """A part of 5 of 8 columns cannot leave all of them: it overlaps in 2, and nowhere in fewer."""
    region = np.zeros((1, 8), bool)
    region[:, :5] = True
    for seed in range(6):
        assert (elsewhere(region, seed) == [False] * 3 + [True] * 5).all()


def test_the_largest_part_chooses_first() -> None:
    """One of 5 pixels and one of 1 in a row of 10: were the small one first, it would stand in the large one's way."""
    region = np.array([[True, False, False, False, False, True, True, True, True, True]])
    assert all(elsewhere(region, seed)[0, 5:].sum() <= 2 for seed in range(10))


def test_nothing_moves_nowhere() -> None:
    assert not elsewhere(np.zeros((8, 8), bool), 0).any()


def test_erase_leaves_the_rest_and_its_input_alone() -> None:
    image = np.random.default_rng(0).integers(1, 256, (8, 9, 3), dtype=np.uint8)
    before, region = image.copy(), np.eye(8, 9, dtype=bool)
    erased = erase(image, region)
    assert (erased[region] == 0).all()
    assert (erased[~region] == before[~region]).all()
    assert (image == before).all()
