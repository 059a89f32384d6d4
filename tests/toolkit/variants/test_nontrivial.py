"""The nontrivial augmentation: published policies, honest pixels, boxes that follow them."""

import functools
import importlib.util
import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from toolkit.errors import BadInput
from toolkit.files import digest
from toolkit.variants.nontrivial import GREY, OPERATIONS, transform
from toolkit.variants.policies import POLICIES
from toolkit.voc import Box

HEIGHT, WIDTH = 400, 500
RED, BLACK = (255, 0, 0), (0, 0, 0)
ONLY_BOXES = sorted(name for name in OPERATIONS if name.endswith("_Only_BBoxes"))
MOTIONS = ["Rotate_BBox", "ShearX_BBox", "ShearY_BBox", "TranslateX_BBox", "TranslateY_BBox"]
SIGNED = {name for name, operation in OPERATIONS.items() if operation.amount and operation.amount.signed}
STAY = sorted(OPERATIONS.keys() - set(MOTIONS))
BOXES: list[Box] = [(140.0, 120.0, 360.0, 300.0), (200.0, 150.0, 260.0, 200.0)]
IMGAUG = pytest.param(
    "imgaug",
    marks=pytest.mark.skipif(importlib.util.find_spec("imgaug") is None, reason="the extra imgaug is not installed"),
)
few = settings(max_examples=25, deadline=None)


@functools.cache
def photo(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Noise over a ramp, its values between 40 and 200, and read-only like an image that Pillow decoded."""
    noise = np.random.default_rng(seed).integers(-30, 31, (height, width, 3))
    image = np.clip(np.linspace(60, 180, width)[None, :, None] + noise, 40, 200).astype(np.uint8)
    image.flags.writeable = False
    return image


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


def apply(
    name: str,
    magnitude: int | None,
    image: np.ndarray,
    boxes: list[Box],
    seed: int = 0,
    engine: str = "torchvision",
) -> tuple[np.ndarray, list[Box | None], str]:
    """One operation for certain (inside a box it has a third of its probability)."""
    probability = 3.0 if name in ONLY_BOXES else 1.0
    with mock.patch.dict(POLICIES, {"one": (((name, probability, magnitude),),)}):
        return transform(image, boxes, "one", seed, engine)


def strong(name: str) -> int | None:
    return 4 if OPERATIONS[name].amount else None


# ---------------------------------------------------------------------------------------------- policies


def test_the_policies_have_the_published_sub_policies() -> None:
    assert {name: len(policy) for name, policy in POLICIES.items()} == {"v0": 5, "v1": 20, "v2": 15, "v3": 15}
    assert POLICIES["v1"][:5] == POLICIES["v0"]
    steps = {name: sum(len(sub_policy) for sub_policy in policy) for name, policy in POLICIES.items()}
    assert steps == {"v0": 10, "v1": 40, "v2": 44, "v3": 30}  # one of v2's has two steps, not three


def test_the_policies_are_the_published_ones_to_the_last_number() -> None:
    """Compared once, line by line, with their tables; from then on by their hash."""
    assert digest(sorted(POLICIES.items())) == "5f2552f702fb1b271e8bd3b17526b14125b2a53113ea9c3573980ff863910281"


def test_every_step_is_a_known_operation_with_a_magnitude_where_it_takes_one() -> None:
    for name, probability, magnitude in itertools.chain.from_iterable(itertools.chain(*POLICIES.values())):
        assert 0 <= probability <= 1
        assert (magnitude is not None) == (OPERATIONS[name].amount is not None), name
        assert magnitude is None or magnitude in range(11)


# -------------------------------------------------------------------------------------- every operation


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
    with mock.patch.dict(POLICIES, {"one": ((("Solarize_Only_BBoxes", 0.9, 0),),)}):
        inverted = [255 - image == transform(image, boxes, "one", seed)[0] for seed in range(2000)]
    for half in (slice(0, 10), slice(10, 20)):
        assert np.mean([same[:, half].all() for same in inverted]) == pytest.approx(0.3, abs=0.04)


# ---------------------------------------------------------------------------------------------- colours


def row(*values: int) -> np.ndarray:
    """Grey pixels [1, W, 3] side by side."""
    return np.array(values, np.uint8)[None, :, None].repeat(3, axis=2)


def after(name: str, level: int | None, *values: int) -> list[int]:
    return apply(name, level, row(*values), [])[0][0, :, 1].tolist()


def test_solarize_inverts_from_the_threshold_on() -> None:
    assert after("Solarize", 2, 0, 50, 51, 203, 204, 255) == [0, 50, 204, 52, 51, 0]
    assert after("Solarize", 8, 0, 50, 51, 203, 204, 255) == [0, 50, 51, 203, 51, 0]
    assert after("Solarize", 0, 0, 128, 255) == [255, 127, 0]
    assert after("Solarize", 10, 0, 128, 255) == [0, 128, 255]


def test_posterize_clears_the_lowest_bits_and_never_all() -> None:
    assert after("Posterize", 2, 0, 1, 2, 3, 254, 255) == [0, 0, 2, 2, 254, 254]
    assert after("Posterize", 10, 15, 16, 31, 255) == [0, 16, 16, 240]


def test_brightness_blends_with_black() -> None:
    assert after("Brightness", 2, 0, 100, 200) == [0, 46, 92]
    assert after("Brightness", 8, 0, 100, 200) == [0, 154, 255]


def test_color_blends_with_the_pixel_s_own_grey() -> None:
    pixel = np.array([[[100, 150, 200]]], np.uint8)  # its grey: 0.299 * 100 + 0.587 * 150 + 0.114 * 200 = 140
    assert apply("Color", 10, pixel, [])[0].ravel().tolist() == pytest.approx([64, 159, 254], abs=1)
    assert apply("Color", 0, pixel, [])[0].ravel().tolist() == pytest.approx([136, 141, 146], abs=1)


@pytest.mark.parametrize("times", [1, 50_000])
def test_contrast_blends_with_the_mean_grey_however_many_pixels_there_are(times: int) -> None:
    """The released code takes a 256th of the number of pixels for the mean: white, from 65,280 pixels on."""
    assert after("Contrast", 8, *[50, 150] * times)[:2] == pytest.approx([23, 177], abs=1)
    assert after("Contrast", 0, *[50, 150] * times)[:2] == pytest.approx([95, 105], abs=1)


def test_sharpness_blends_with_a_smoothed_image_but_at_the_edge() -> None:
    """The kernel has 5 / 13 in its middle and 1 / 13 around it."""
    dot = np.zeros((5, 5, 3), np.uint8)
    dot[2, 2] = 130
    dull = apply("Sharpness", 2, dot, [])[0][..., 0]  # 0.46 of itself, 0.54 of 50 and of 10
    assert dull[1:4, 1:4] == pytest.approx(np.array([[5, 5, 5], [5, 86, 5], [5, 5, 5]]), abs=1)
    assert dull.sum() == dull[1:4, 1:4].sum()
    assert apply("Sharpness", 8, dot, [])[0][2, 2, 0] == pytest.approx(130 * 1.54 - 50 * 0.54, abs=1)


def test_autocontrast_stretches_each_channel_from_0_to_255() -> None:
    image = np.array([[[100, 7, 0], [150, 7, 51], [200, 7, 102]]], np.uint8)
    new = apply("AutoContrast", None, image, [])[0].astype(int)
    assert np.abs(new - [[[0, 7, 0], [127, 7, 127], [255, 7, 255]]]).max() <= 1


@pytest.mark.parametrize("magnitude", [2, 4, 10])
def test_posterize_is_pillows_and_inverts_nothing(magnitude: int) -> None:
    bits = {2: 7, 4: 6, 10: 4}[magnitude]
    new, _, text = apply("Posterize", magnitude, photo(), BOXES)
    assert np.array_equal(new, np.asarray(ImageOps.posterize(Image.fromarray(photo()), bits)))
    assert text == f"Posterize {bits}"
    assert np.abs(new.astype(int) - photo()).max() < 2 ** (8 - bits)


def test_equalize_is_pillows() -> None:
    new = apply("Equalize", None, photo(), BOXES)[0]
    assert np.array_equal(new, np.asarray(ImageOps.equalize(Image.fromarray(photo()))))


def test_autocontrast_is_pillows_within_a_level_and_inverts_nothing() -> None:
    new = apply("AutoContrast", None, photo(), BOXES)[0].astype(int)
    assert np.abs(new - np.asarray(ImageOps.autocontrast(Image.fromarray(photo())))).max() <= 1
    assert np.corrcoef(new.ravel(), photo().ravel())[0, 1] > 0.99


@pytest.mark.parametrize("magnitude", [0, 4, 6, 8, 10])
def test_solarize_is_pillows(magnitude: int) -> None:
    threshold = int(25.6 * magnitude)
    new = apply("Solarize", magnitude, photo(), BOXES)[0]
    assert np.array_equal(new, np.asarray(ImageOps.solarize(Image.fromarray(photo()), threshold)))


def test_solarize_add_lightens_the_dark_half_only() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    new = apply("SolarizeAdd", 10, image, [])[0][0, :, 0]
    assert new[:128].tolist() == list(range(110, 238)) and new[128:].tolist() == list(range(128, 256))


@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("Color", ImageEnhance.Color),
        ("Contrast", ImageEnhance.Contrast),
        ("Brightness", ImageEnhance.Brightness),
        ("Sharpness", ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize(("magnitude", "factor"), [(0, 0.1), (2, 0.46), (8, 1.54), (10, 1.9)])
def test_an_enhancement_is_pillows_within_two_levels(name: str, enhance: type, magnitude: int, factor: float) -> None:
    for seed in range(3):
        new, _, text = apply(name, magnitude, photo(), BOXES, seed)
        assert text == f"{name} {factor}"
        assert np.abs(new.astype(int) - np.asarray(enhance(Image.fromarray(photo())).enhance(factor))).max() <= 2


# ---------------------------------------------------------------------------------------------- motions


@pytest.mark.parametrize("engine", ["torchvision", IMGAUG])
@given(
    name=st.sampled_from(MOTIONS),
    magnitude=st.integers(1, 10),
    seed=st.integers(0, 2**60),
    corner=st.tuples(st.integers(170, 240), st.integers(120, 190)),
    size=st.tuples(st.integers(4, 90), st.integers(4, 90)),
)
@few
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


@given(
    policy=st.sampled_from(sorted(POLICIES)),
    seed=st.integers(0, 2**60),
    boxes=st.lists(
        st.tuples(st.integers(0, 89), st.integers(0, 69), st.integers(3, 90), st.integers(3, 70)),
        min_size=1,
        max_size=4,
    ),
)
@few
def test_new_boxes_lie_inside_the_image_and_one_object_at_least_stays(
    policy: str, seed: int, boxes: list[tuple[int, int, int, int]]
) -> None:
    inside: list[Box] = [
        (float(min(x, 87)), float(min(y, 67)), float(min(x + w + 3, 90)), float(min(y + h + 3, 70)))
        for x, y, w, h in boxes
    ]
    image = photo(70, 90)
    new, moved, _ = transform(image, inside, policy, seed)
    assert (new.shape, new.dtype, len(moved)) == (image.shape, np.uint8, len(inside))
    left = [box for box in moved if box is not None]
    assert left and all(0 <= x0 < x1 <= 90 and 0 <= y0 < y1 <= 70 for x0, y0, x1, y1 in left)


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


def test_a_transformation_that_would_leave_no_object_is_not_kept() -> None:
    image, boxes = photo(), [(0.0, 0.0, 40.0, 40.0)]
    texts = set()
    for seed in range(10):
        new, moved, text = apply("TranslateX_BBox", 8, image, boxes, seed)
        texts.add(text)
        assert None not in moved
        assert text.startswith("left") == (np.array_equal(new, image) and moved == boxes)
    assert texts == {"left as it is: no object would remain after TranslateX_BBox -200", "TranslateX_BBox 200"}


# ---------------------------------------------------------------------------------------------- cutouts


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


# ------------------------------------------------------------------------------------------ the whole of it


def test_the_seed_alone_decides() -> None:
    image = photo(70, 90)
    boxes: list[Box] = [(10.0, 10.0, 60.0, 50.0), (40.0, 20.0, 80.0, 60.0)]
    forward = {seed: transform(image, boxes, "v2", seed) for seed in range(12)}
    backward = {seed: transform(image, boxes, "v2", seed) for seed in reversed(range(12))}
    for seed, (new, moved, text) in forward.items():
        assert np.array_equal(new, backward[seed][0]) and (moved, text) == backward[seed][1:]
    assert len({text for _, _, text in forward.values()}) > 6


def test_no_text_means_no_change() -> None:
    image = photo(70, 90)
    boxes: list[Box] = [(10.5, 10.0, 60.0, 50.25)]
    results = [transform(image, boxes, "v3", seed) for seed in range(40)]
    for new, moved, text in results:
        same = np.array_equal(new, image) and moved == boxes
        assert same == (text == "" or text.startswith("left as it is"))
    assert any(text == "" for _, _, text in results)


@pytest.mark.parametrize("engine", [IMGAUG])
def test_imgaug_moves_as_torchvision_does(engine: str) -> None:
    smooth = np.asarray(Image.fromarray(photo(8, 10)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    for name, seed in itertools.product(MOTIONS, range(3)):
        one, boxes, text = apply(name, 4, smooth, BOXES, seed)
        other, other_boxes, other_text = apply(name, 4, smooth, BOXES, seed, engine)
        assert text == other_text
        assert np.abs(np.array(boxes, float) - np.array(other_boxes, float)).max() <= 1
        assert np.mean(np.abs(one.astype(int) - other) > 3) < 0.02, name


def test_asking_for_imgaug_where_it_is_missing_says_how_to_get_it() -> None:
    with (
        mock.patch.dict("sys.modules", {"imgaug": None}),
        pytest.raises(BadInput, match=r"aug\.engine: imgaug is not installed -- `make install`"),
    ):
        transform(photo(70, 90), [], "v3", 0, "imgaug")
