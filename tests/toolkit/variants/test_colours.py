"""Operations on colours: by hand on a few pixels, and beside Pillow's."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from tests.toolkit.variants.operating import BOXES, apply, photo


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
