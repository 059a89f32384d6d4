"""Operations that move pixels, and the boxes that follow them."""

import importlib.util
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.toolkit.variants.operating import BOXES, HEIGHT, MOTIONS, WIDTH, apply, photo
from toolkit.variants.motions import GREY
from toolkit.variants.operations import OPERATIONS
from toolkit.voc import Box

RED, BLACK = (255, 0, 0), (0, 0, 0)
SIGNED = {name for name, operation in OPERATIONS.items() if operation.amount and operation.amount.signed}
IMGAUG = pytest.param(
    "imgaug",
    marks=pytest.mark.skipif(importlib.util.find_spec("imgaug") is None, reason="the extra imgaug is not installed"),
)


def rectangle(box: Box) -> np.ndarray:
    """Red in the box, black elsewhere; what comes in from outside is grey and so never red."""
    image = np.full((HEIGHT, WIDTH, 3), BLACK, np.uint8)
    x0, y0, x1, y1 = map(int, box)
    image[y0:y1, x0:x1] = RED
    return image


def red_bounds(image: np.ndarray) -> Box:
    """The half-open bounds of the pixels that are more than half red."""
    rows, columns = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 127)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


@pytest.mark.parametrize("engine", ["torchvision", IMGAUG])
@given(
    name=st.sampled_from(MOTIONS),
    magnitude=st.integers(1, 10),
    seed=st.integers(0, 2**60),
    corner=st.tuples(st.integers(170, 240), st.integers(120, 190)),
    size=st.tuples(st.integers(4, 90), st.integers(4, 90)),
)
@settings(max_examples=25, deadline=None)
def test_a_box_follows_its_pixels(
    engine: str, name: str, magnitude: int, seed: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    old: Box = (float(corner[0]), float(corner[1]), float(corner[0] + size[0]), float(corner[1] + size[1]))
    if name.startswith("Translate"):
        magnitude = 1 + magnitude // 3  # 50 to 100 px, so that the whole box stays in the image
    new, (box,), _ = apply(name, magnitude, rectangle(old), [old], seed, engine)
    assert box is not None
    slack = np.array(red_bounds(new)) - box
    assert (slack[:2] >= 0).all() and (slack[2:] <= 0).all(), "a pixel lies outside its box"
    assert np.abs(slack).max() <= 2, "the box is not tight"


def test_a_shift_moves_pixels_exactly_and_leaves_grey_behind() -> None:
    box: Box = (200.0, 150.0, 240.0, 180.0)
    for seed in range(6):
        new, (moved,), text = apply("TranslateX_BBox", 4, photo(), [box], seed)
        shift = int(text.split()[1])
        assert abs(shift) == 100 and moved == (200.0 + shift, 150.0, 240.0 + shift, 180.0)
        kept, empty = (slice(shift, None), slice(0, shift)) if shift > 0 else (slice(0, shift), slice(shift, None))
        assert np.array_equal(new[:, kept], photo()[:, : WIDTH - 100] if shift > 0 else photo()[:, 100:])
        assert (new[:, empty] == GREY).all()


def test_turns_go_clockwise_about_the_centre_and_shears_leave_it_where_it_is() -> None:
    """By hand: 30 degrees take what is 100 px right of the centre to 87 px right of it and 50 px below."""
    hit: Box = (346.0, 196.0, 354.0, 204.0)
    for seed in range(4):
        new, _, text = apply("Rotate_BBox", 10, rectangle(hit), [], seed)
        x0, y0, x1, y1 = red_bounds(new)
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((336.6, 250 if "-" not in text else 150), abs=1.5)
        new, _, text = apply("ShearY_BBox", 10, rectangle(hit), [], seed)  # 0.3 px down a pixel right
        assert np.mean(red_bounds(new)[1::2]) == pytest.approx(230 if "-" not in text else 170, abs=1.5)
        new, _, text = apply("ShearX_BBox", 10, rectangle((246.0, 296.0, 254.0, 304.0)), [], seed)
        assert np.mean(red_bounds(new)[::2]) == pytest.approx(280 if "-" not in text else 220, abs=1.5)


def test_the_edge_of_a_turned_image_blends_into_grey_without_a_line() -> None:
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert apply("Rotate_BBox", 10, white, BOXES)[0].min() == GREY


def test_a_turned_line_has_no_stairs() -> None:
    halves = np.repeat(np.where(np.arange(WIDTH) < 250, 0, 255).astype(np.uint8)[None, :, None], HEIGHT, 0).repeat(3, 2)
    turned = apply("Rotate_BBox", 2, halves, [])[0][150:250, 200:300, 0]
    assert 20 < ((turned > 20) & (turned < 235) & (turned != GREY)).sum() < 200  # about one pixel a row is mixed


def test_pixel_amounts_scale_with_the_image() -> None:
    small, large = (apply("TranslateY_BBox", 2, photo(side, side), [], 1)[2] for side in (250, 1000))
    assert abs(int(small.split()[1])) == 25 and abs(int(large.split()[1])) == 100


@pytest.mark.parametrize("name", sorted(SIGNED))
def test_signs_flip_both_ways_over_seeds_and_the_magnitude_stays(name: str) -> None:
    amounts = [float(apply(name, 4, photo(60, 80), [(10.0, 10.0, 70.0, 50.0)], s)[2].split()[1]) for s in range(20)]
    assert {amount > 0 for amount in amounts} == {True, False}
    assert len({abs(amount) for amount in amounts}) == 1


def test_an_object_that_left_the_image_has_no_box_and_the_others_keep_their_place() -> None:
    boxes: list[Box] = [(0.0, 0.0, 80.0, 60.0), (220.0, 170.0, 280.0, 230.0), (420.0, 0.0, 500.0, 60.0)]
    for seed in range(6):
        _, moved, text = apply("TranslateX_BBox", 4, photo(), boxes, seed)
        shift = float(text.split()[1])
        gone, stayed = (2, 0) if shift > 0 else (0, 2)
        assert moved[gone] is None
        assert moved[1] == (220.0 + shift, 170.0, 280.0 + shift, 230.0)
        assert moved[stayed] == (boxes[stayed][0] + shift, 0.0, boxes[stayed][2] + shift, 60.0)


def test_an_object_with_less_than_a_quarter_inside_has_left() -> None:
    shift = 50  # magnitude 2
    for width, stays in ((66, False), (68, True)):  # what stays inside: 16 of 66, 18 of 68
        boxes: list[Box] = [(0.0, 0.0, float(width), 50.0), (float(WIDTH - width), 0.0, float(WIDTH), 50.0), BOXES[0]]
        _, moved, text = apply("TranslateX_BBox", 2, photo(), boxes)
        at_edge = moved[1] if float(text.split()[1]) > 0 else moved[0]
        assert (at_edge is not None) is stays
        assert at_edge is None or at_edge[2] - at_edge[0] == width - shift


@pytest.mark.parametrize(("name", "turn"), [("TranslateX_BBox", 1), ("TranslateY_BBox", -1)])
def test_an_object_of_which_less_than_two_pixels_stay_has_left(name: str, turn: int) -> None:
    """In an image of 20 px a magnitude shifts by as many pixels: 2 of 4 px stay, then 1, though that is a quarter."""
    first, last, middle = ((0.0, 5.0), (4.0, 15.0)), ((16.0, 5.0), (20.0, 15.0)), ((8.0, 5.0), (12.0, 15.0))
    edges: list[Box] = [(*low[::turn], *high[::turn]) for low, high in (first, last, middle)]
    for magnitude, stays in ((2, True), (3, False)):
        _, moved, text = apply(name, magnitude, photo(20, 20), edges)
        assert (moved[0 if "-" in text else 1] is not None) is stays


@pytest.mark.parametrize("engine", [IMGAUG])
def test_imgaug_moves_as_torchvision_does(engine: str) -> None:
    smooth = np.asarray(Image.fromarray(photo(8, 10)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    for name, seed in itertools.product(MOTIONS, range(3)):
        usual, boxes, text = apply(name, 4, smooth, BOXES, seed)
        other, other_boxes, other_text = apply(name, 4, smooth, BOXES, seed, engine)
        assert text == other_text
        assert np.abs(np.array(boxes, float) - np.array(other_boxes, float)).max() <= 1
        assert np.mean(np.abs(usual.astype(int) - other) > 3) < 0.02, name
