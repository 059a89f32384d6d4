"""The operations of AutoAugment for object detection (Zoph et al. 2019, arXiv 1906.11172), and how strong each may be.

Three kinds of operation: colours (the boxes stay), motions (the boxes move along) and cutouts (grey squares, the boxes
stay). `NAME_Only_BBoxes` does one inside each box as if the box were an image, and leaves the rest alone.
Operations and magnitudes are those of the code that was released with the paper (tensorflow/tpu,
models/official/detection/utils/autoaugment_utils.py), for which the policies were found; docs/study.md says what
differs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from toolkit.tensors import channels_first
from toolkit.variants.motions import GREY, Motion, Mover, channels_last
from toolkit.voc import Box

LONG_SIDE = 500  # pixels, VOC's: of an image to which the released pixel magnitudes are applied as they are
VISIBLE = 0.25  # of a moved box's area: with less inside the image, the object has left it
MIN_SIDE = 2.0  # pixels


class Picture(NamedTuple):
    """An image [H, W, 3] uint8 RGB and its objects' boxes; None is an object that has left it."""

    image: np.ndarray
    boxes: tuple[Box | None, ...] = ()


@dataclass(frozen=True)
class Amount:
    """What magnitudes 0 and 10 mean to an operation; linear in between."""

    low: float
    high: float
    signed: bool = False  # negative with probability 1/2
    whole: bool = False  # cut to a whole number
    pixels: bool = False  # whole pixels of an image with a long side of 500: scaled with the image

    def draw(self, magnitude: int, long_side: int, rng: np.random.Generator) -> float:
        value = self.low + (self.high - self.low) * magnitude / 10
        value = value * long_side / LONG_SIDE if self.pixels else value
        value *= rng.choice((-1, 1)) if self.signed else 1
        return int(value) if self.whole or self.pixels else round(value, 4)


Act = Callable[[Picture, float, np.random.Generator, Mover], Picture]


@dataclass(frozen=True)
class Operation:
    """One entry of the table: what is done, how strongly, and whether to the image or inside each box."""

    act: Act
    amount: Amount | None = None
    only_boxes: bool = False


# ------------------------------------------------------------------------------------------------ colours


def _colour(change: Callable[[np.ndarray, float], np.ndarray]) -> Act:
    return lambda picture, amount, rng, move: picture._replace(image=change(picture.image, amount))


def _torch_colour(change: Callable[[torch.Tensor, float], torch.Tensor]) -> Act:
    return _colour(lambda image, amount: channels_last(change(channels_first(image), amount)))


def _solarize(image: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the values from the threshold (0..256) on."""
    return np.where(image >= threshold, 255 - image, image)


def _solarize_add(image: np.ndarray, addition: float) -> np.ndarray:
    """Add to the values below 128."""
    lighter = np.clip(image.astype(np.int16) + int(addition), 0, 255).astype(np.uint8)
    return np.where(image < 128, lighter, image)


# ------------------------------------------------------------------------------------------------ motions


def _motion(of: Callable[[float], Motion]) -> Act:
    def act(picture: Picture, amount: float, rng: np.random.Generator, move: Mover) -> Picture:
        if amount == 0:
            return picture
        image, hulls = move(picture.image, [box for box in picture.boxes if box is not None], of(amount))
        moved = iter(hulls)
        return Picture(image, tuple(box and _inside(next(moved), *image.shape[:2]) for box in picture.boxes))

    return act


def _inside(hull: Box, height: int, width: int) -> Box | None:
    """A moved box's whole pixels inside the image, or None where too little of it is there."""
    x0, y0, x1, y1 = max(hull[0], 0), max(hull[1], 0), min(hull[2], width), min(hull[3], height)
    area = (hull[2] - hull[0]) * (hull[3] - hull[1])
    if min(x1 - x0, y1 - y0) < MIN_SIDE or (x1 - x0) * (y1 - y0) < VISIBLE * area:
        return None
    noise = 1e-3  # of the arithmetic, in pixels: 10.00001 is 10
    x0, y0 = (float(math.floor(v + noise)) for v in (x0, y0))
    x1, y1 = (float(math.ceil(v - noise)) for v in (x1, y1))
    return x0, y0, x1, y1


# ------------------------------------------------------------------------------------------------ cutouts


def _grey(image: np.ndarray, y: float, x: float, half_height: float, half_width: float) -> np.ndarray:
    """The image with a grey rectangle about (x, y), cut off at the image's edge."""
    y0, y1 = max(round(y - half_height), 0), max(round(y + half_height), 0)
    x0, x1 = max(round(x - half_width), 0), max(round(x + half_width), 0)
    cut = image.copy()
    cut[y0:y1, x0:x1] = GREY
    return cut


def _cutout(picture: Picture, pad: float, rng: np.random.Generator, move: Mover) -> Picture:
    """A grey square of 2 * pad pixels a side about a random pixel."""
    y, x = rng.integers(picture.image.shape[:2])
    return picture._replace(image=_grey(picture.image, y, x, pad, pad))


def _box_cutout(picture: Picture, share: float, rng: np.random.Generator, move: Mover) -> Picture:
    """A grey rectangle, `share` of a random box's height and width, about a random point of the box."""
    boxes = [box for box in picture.boxes if box is not None]
    if not boxes:
        return picture
    x0, y0, x1, y1 = boxes[rng.integers(len(boxes))]
    y, x = rng.uniform(y0, y1), rng.uniform(x0, x1)
    return picture._replace(image=_grey(picture.image, y, x, share * (y1 - y0) / 2, share * (x1 - x0) / 2))


# -------------------------------------------------------------------------------------------------- table

_FACTOR = Amount(0.1, 1.9)  # of the image, blended with what it would be without the property: 1 is no change
_TURN = Amount(0, 30, signed=True)  # degrees
_SHEAR = Amount(0, 0.3, signed=True)
_SHIFT = Amount(0, 250, signed=True, pixels=True)
_SHIFT_IN_BOX = Amount(0, 120, signed=True, pixels=True)
_THRESHOLD = Amount(0, 256, whole=True)  # a high magnitude inverts little: so the policies were found

_equalize = _torch_colour(lambda image, _: F.equalize(image))
_rotate = _motion(lambda amount: Motion(degrees=amount))
_shear_x = _motion(lambda amount: Motion(shear_x=amount))
_shear_y = _motion(lambda amount: Motion(shear_y=amount))
_shift_x = _motion(lambda amount: Motion(dx=amount))
_shift_y = _motion(lambda amount: Motion(dy=amount))

OPERATIONS: dict[str, Operation] = {
    "AutoContrast": Operation(_torch_colour(lambda image, _: F.autocontrast(image))),
    "Equalize": Operation(_equalize),
    "Posterize": Operation(_torch_colour(lambda image, bits: F.posterize(image, int(bits))), Amount(8, 4, whole=True)),
    "Solarize": Operation(_colour(_solarize), _THRESHOLD),
    "SolarizeAdd": Operation(_colour(_solarize_add), Amount(0, 110, whole=True)),
    "Color": Operation(_torch_colour(F.adjust_saturation), _FACTOR),
    "Contrast": Operation(_torch_colour(F.adjust_contrast), _FACTOR),
    "Brightness": Operation(_torch_colour(F.adjust_brightness), _FACTOR),
    "Sharpness": Operation(_torch_colour(F.adjust_sharpness), _FACTOR),
    "Cutout": Operation(_cutout, Amount(0, 100, pixels=True)),
    "BBox_Cutout": Operation(_box_cutout, Amount(0, 0.75)),
    "Rotate_BBox": Operation(_rotate, _TURN),
    "ShearX_BBox": Operation(_shear_x, _SHEAR),
    "ShearY_BBox": Operation(_shear_y, _SHEAR),
    "TranslateX_BBox": Operation(_shift_x, _SHIFT),
    "TranslateY_BBox": Operation(_shift_y, _SHIFT),
    "Rotate_Only_BBoxes": Operation(_rotate, _TURN, only_boxes=True),
    "ShearX_Only_BBoxes": Operation(_shear_x, _SHEAR, only_boxes=True),
    "ShearY_Only_BBoxes": Operation(_shear_y, _SHEAR, only_boxes=True),
    "TranslateX_Only_BBoxes": Operation(_shift_x, _SHIFT_IN_BOX, only_boxes=True),
    "TranslateY_Only_BBoxes": Operation(_shift_y, _SHIFT_IN_BOX, only_boxes=True),
    "Flip_Only_BBoxes": Operation(_colour(lambda image, _: image[:, ::-1]), only_boxes=True),
    "Solarize_Only_BBoxes": Operation(_colour(_solarize), _THRESHOLD, only_boxes=True),
    "Equalize_Only_BBoxes": Operation(_equalize, only_boxes=True),
    "Cutout_Only_BBoxes": Operation(_cutout, Amount(0, 50, pixels=True), only_boxes=True),
}
