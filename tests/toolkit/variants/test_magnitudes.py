"""What a magnitude means to an operation: what the code released with the paper says, written out.

tensorflow/tpu, models/official/detection/utils/autoaugment_utils.py (`level_to_arg` and the constants below it).
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.variants.operations import OPERATIONS

LEVELS = (0, 2, 8, 10)
FACTOR, TURN, SHEAR, SHIFT = (0.1, 0.46, 1.54, 1.9), (0, 6, 24, 30), (0, 0.06, 0.24, 0.3), (0, 50, 200, 250)
SHIFT_IN_BOX, THRESHOLD = (0, 24, 96, 120), (0, 51, 204, 256)
STRENGTHS = {  # of an image with a long side of 500 pixels, but for the sign
    "Posterize": (8, 7, 4, 4),  # the released code keeps int(m / 10 * 4) bits: none at all at v3's level, 2
    "Solarize": THRESHOLD,
    "SolarizeAdd": (0, 22, 88, 110),
    "Color": FACTOR,
    "Contrast": FACTOR,
    "Brightness": FACTOR,
    "Sharpness": FACTOR,
    "Cutout": (0, 20, 80, 100),
    "BBox_Cutout": (0, 0.15, 0.6, 0.75),
    "Rotate_BBox": TURN,
    "ShearX_BBox": SHEAR,
    "ShearY_BBox": SHEAR,
    "TranslateX_BBox": SHIFT,
    "TranslateY_BBox": SHIFT,
    "Rotate_Only_BBoxes": TURN,
    "ShearX_Only_BBoxes": SHEAR,
    "ShearY_Only_BBoxes": SHEAR,
    "TranslateX_Only_BBoxes": SHIFT_IN_BOX,
    "TranslateY_Only_BBoxes": SHIFT_IN_BOX,
    "Solarize_Only_BBoxes": THRESHOLD,
    "Cutout_Only_BBoxes": (0, 10, 40, 50),
}


def strength(name: str, level: int, long_side: int = 500) -> float:
    amount = OPERATIONS[name].amount
    assert amount is not None
    return abs(amount.draw(level, long_side, np.random.default_rng(level)))


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_magnitude_means_what_the_released_code_says(name: str) -> None:
    assert [strength(name, level) for level in LEVELS] == pytest.approx(STRENGTHS[name], abs=1e-9)


def test_every_strength_is_spelled_out_above_and_motions_alone_go_both_ways() -> None:
    amounts = {name: operation.amount for name, operation in OPERATIONS.items() if operation.amount}
    assert STRENGTHS.keys() == amounts.keys()
    for name, amount in amounts.items():
        assert amount.signed == name.startswith(("Rotate", "Shear", "Translate")), name


@pytest.mark.parametrize("level", range(11))
def test_in_between_the_released_formulas_hold(level: int) -> None:
    share = level / 10
    assert strength("Color", level) == pytest.approx(share * 1.8 + 0.1)
    assert strength("Solarize", level) == int(share * 256)
    assert strength("SolarizeAdd", level) == int(share * 110)
    assert strength("Cutout", level) == int(share * 100)
    assert strength("Cutout_Only_BBoxes", level) == int(share * 50)
    assert strength("BBox_Cutout", level) == pytest.approx(share * 0.75)
    assert strength("TranslateX_BBox", level) == int(share * 250)
    assert strength("TranslateX_Only_BBoxes", level) == int(share * 120)
    assert strength("Rotate_BBox", level) == pytest.approx(share * 30)
    assert strength("ShearX_BBox", level) == pytest.approx(share * 0.3)


@given(level=st.integers(0, 10), long_side=st.integers(1, 2000))
def test_pixels_scale_with_the_image_and_are_cut_to_whole_ones(level: int, long_side: int) -> None:
    assert strength("TranslateX_BBox", level, long_side) == 25 * level * long_side // 500
