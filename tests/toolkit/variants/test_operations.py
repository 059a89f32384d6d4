"""Every operation keeps its contract; cutouts cut what they say."""

from unittest import mock

import numpy as np
import pytest

from tests.toolkit.variants.operating import BOXES, HEIGHT, MOTIONS, ONLY_BOXES, WIDTH, apply, photo
from toolkit.variants.motions import GREY
from toolkit.variants.nontrivial import transform
from toolkit.variants.operations import OPERATIONS
from toolkit.variants.policies import POLICIES
from toolkit.voc import Box

STAY = sorted(OPERATIONS.keys() - set(MOTIONS))


def strong(name: str) -> int | None:
    return 4 if OPERATIONS[name].amount else None


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_keeps_size_and_type_and_its_input_and_says_its_name(name: str) -> None:
    image, same, boxes = photo(), photo().copy(), list(BOXES)
    new, moved, text = apply(name, strong(name), image, boxes)
    assert (new.shape, new.dtype, len(moved)) == (image.shape, np.uint8, len(boxes))
    assert np.array_equal(image, same) and boxes == BOXES
    assert text.split()[0] == name and not np.array_equal(new, image)


@pytest.mark.parametrize("name", STAY)
def test_colours_cutouts_and_what_is_only_in_boxes_leave_the_boxes_alone(name: str) -> None:
    boxes: list[Box] = [(140.25, 120.0, 360.0, 300.5)]
    assert apply(name, strong(name), photo(), boxes)[1] == boxes


@pytest.mark.parametrize("name", ONLY_BOXES)
def test_what_is_only_in_boxes_leaves_every_other_pixel_as_it_is(name: str) -> None:
    image, boxes = photo(), [(40.5, 30.5, 99.5, 80.0), (300.0, 200.0, 301.0, 201.0), (0.0, 350.0, 500.0, 400.0)]
    outside = np.ones(image.shape[:2], bool)
    for x0, y0, x1, y1 in boxes:
        outside[int(np.ceil(y0)) : int(y1), int(np.ceil(x0)) : int(x1)] = False
    new = apply(name, strong(name), image, boxes)[0]
    assert np.array_equal(new[outside], image[outside]) and not np.array_equal(new, image)


def test_what_is_only_in_boxes_has_a_third_of_the_probability_for_each_box() -> None:
    image, boxes = photo(20, 20), [(0.0, 0.0, 10.0, 20.0), (10.0, 0.0, 20.0, 20.0)]
    with mock.patch.dict(POLICIES, {"alone": ((("Solarize_Only_BBoxes", 0.9, 0),),)}):
        inverted = [255 - image == transform(image, boxes, "alone", seed)[0] for seed in range(2000)]
    for half in (slice(0, 10), slice(10, 20)):
        assert np.mean([same[:, half].all() for same in inverted]) == pytest.approx(0.3, abs=0.04)


def test_cutout_is_a_grey_square_of_twice_the_pad_and_never_wider() -> None:
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    sizes = []
    for seed in range(30):
        new, _, text = apply("Cutout", 4, white, BOXES, seed)
        rows, columns = np.nonzero((new == GREY).all(-1))
        sizes.append((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
        assert text == "Cutout 40" and len(rows) == sizes[-1][0] * sizes[-1][1]
        assert ((new == 255) | (new == GREY)).all()
    assert max(sizes) == (80, 80) and min(map(min, sizes)) >= 40


def test_cutout_in_a_box_is_a_share_of_its_sides_about_a_point_inside_it() -> None:
    white, box = np.full((HEIGHT, WIDTH, 3), 255, np.uint8), (200.0, 150.0, 300.0, 190.0)
    for seed in range(10):
        rows, columns = np.nonzero((apply("BBox_Cutout", 4, white, [box], seed)[0] == GREY).all(-1))
        assert abs(np.ptp(rows) + 1 - 0.3 * 40) <= 1 and abs(np.ptp(columns) + 1 - 0.3 * 100) <= 1
        assert 150 - 1 <= rows.mean() <= 190 and 200 - 1 <= columns.mean() <= 300
