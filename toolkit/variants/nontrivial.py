"""AutoAugment for object detection (Zoph et al. 2019, arXiv 1906.11172): one drawn sub-policy, boxes follow pixels.

Three kinds of operation: colours (the boxes stay), motions (the boxes move along) and cutouts (grey squares, the boxes
stay). `NAME_Only_BBoxes` does one inside each box as if the box were an image, and leaves the rest alone.
Pixels that nothing is left for are grey 128. Positive turns are clockwise, positive shifts right and down.
Operations and magnitudes are those of the code that was released with the paper (tensorflow/tpu,
models/official/detection/utils/autoaugment_utils.py), for which the policies were found; README.md lists what differs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from toolkit.errors import BadInput, Problem
from toolkit.variants.policies import POLICIES, Step
from toolkit.voc import Box

GREY = 128
LONG_SIDE = 500  # pixels, VOC's: of an image to which the released pixel magnitudes are applied as they are
VISIBLE = 0.25  # of a moved box's area: with less inside the image, the object has left it
MIN_SIDE = 2.0  # pixels


class Picture(NamedTuple):
    """An image [H, W, 3] uint8 RGB and its objects' boxes; None is an object that has left it."""

    image: np.ndarray
    boxes: tuple[Box | None, ...] = ()


@dataclass(frozen=True)
class Motion:
    """An affine motion about the image's centre, one of its parts at a time."""

    degrees: float = 0
    shear_x: float = 0  # pixels right a pixel down
    shear_y: float = 0  # pixels down a pixel right
    dx: float = 0  # pixels
    dy: float = 0


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


Mover = Callable[[np.ndarray, Sequence[Box], Motion], tuple[np.ndarray, list[Box]]]  # boxes: hulls, not clipped
Act = Callable[[Picture, float, np.random.Generator, Mover], Picture]


@dataclass(frozen=True)
class Operation:
    """One entry of the table: what is done, how strongly, and whether to the image or inside each box."""

    act: Act
    amount: Amount | None = None
    only_boxes: bool = False


def transform(
    image: np.ndarray, boxes: Sequence[Box], policy: str, seed: int, engine: str = "torchvision"
) -> tuple[np.ndarray, list[Box | None], str]:
    """One random sub-policy of a published policy (`v0`..`v3`), done once.

    Returns the new image (same size), the boxes in the same order, and what was done: "Rotate_BBox 24.0, Cutout 80" in
    degrees, slopes, this image's pixels, or a colour factor, of which 1 is no change; "" where nothing changed.
    A moved box is the hull of its moved corners, on whole pixels, clipped to the image. It is None where less than a
    quarter of that hull is in the image, or less than 2 px of a side. Where no object would be left, image and boxes
    come back as they are, and the text says so: a detector learns nothing from an image without objects.
    `engine` moves pixels and boxes: torchvision, or imgaug (an optional extra); the random draws are the same.
    Raises `BadInput` where imgaug is asked for and missing.
    """
    move = _MOVERS[engine]()
    rng = np.random.default_rng(seed)
    picture, done = Picture(image, tuple(boxes)), []
    for step in POLICIES[policy][rng.integers(len(POLICIES[policy]))]:
        before = picture
        picture, text = _do(step, before, rng, move)
        if picture.boxes != before.boxes or not np.array_equal(picture.image, before.image):
            done.append(text)
    if boxes and all(box is None for box in picture.boxes):
        return image, list(boxes), f"left as it is: no object would remain after {', '.join(done)}"
    return picture.image, list(picture.boxes), ", ".join(done)


def _do(step: Step, picture: Picture, rng: np.random.Generator, move: Mover) -> tuple[Picture, str]:
    """One step of a sub-policy, by chance; the picture after it and the step's text."""
    name, probability, magnitude = step
    operation = OPERATIONS[name]
    amount, text = 0.0, name
    if operation.amount and magnitude is not None:
        amount = operation.amount.draw(magnitude, max(picture.image.shape[:2]), rng)
        text = f"{name} {amount}"
    if not operation.only_boxes:
        return (operation.act(picture, amount, rng, move) if rng.random() < probability else picture), text
    image = picture.image.copy()
    for box in picture.boxes:
        if box is not None and rng.random() < probability / 3:
            rows, columns = slice(math.ceil(box[1]), int(box[3])), slice(math.ceil(box[0]), int(box[2]))
            if (patch := image[rows, columns]).size:
                image[rows, columns] = operation.act(Picture(patch.copy()), amount, rng, move).image
    return Picture(image, picture.boxes), text


# ------------------------------------------------------------------------------------------------ colours


def _colour(change: Callable[[np.ndarray, float], np.ndarray]) -> Act:
    return lambda picture, amount, rng, move: picture._replace(image=change(picture.image, amount))


def _torch_colour(change: Callable[[torch.Tensor, float], torch.Tensor]) -> Act:
    return _colour(lambda image, amount: _to_array(change(_to_tensor(image), amount)))


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.tensor(image).permute(2, 0, 1)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).contiguous().numpy()


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


def _torchvision() -> Mover:
    def move(image: np.ndarray, boxes: Sequence[Box], motion: Motion) -> tuple[np.ndarray, list[Box]]:
        # What comes in from outside is 0: with grey at 0, edges blend into grey (torchvision's `fill` darkens them).
        moved = F.affine(
            _to_tensor(image).float() - GREY,
            angle=motion.degrees,
            translate=[motion.dx, motion.dy],
            scale=1.0,
            shear=[-math.degrees(math.atan(slope)) for slope in (motion.shear_x, motion.shear_y)],
            interpolation=InterpolationMode.BILINEAR,
        )
        pixels = (moved + GREY).round().clamp(0, 255).to(torch.uint8)
        return _to_array(pixels), [_hull(box, motion, *image.shape[:2]) for box in boxes]

    return move


def _hull(box: Box, motion: Motion, height: int, width: int) -> Box:
    """The axis-aligned hull of a box's moved corners."""
    sine, cosine = math.sin(math.radians(motion.degrees)), math.cos(math.radians(motion.degrees))
    matrix = np.array([[cosine, motion.shear_x - sine], [motion.shear_y + sine, cosine]])
    centre = np.array([width / 2, height / 2])
    corners = np.array([(x, y) for x in box[::2] for y in box[1::2]])
    moved = (corners - centre) @ matrix.T + centre + (motion.dx, motion.dy)
    (x0, y0), (x1, y1) = moved.min(0).tolist(), moved.max(0).tolist()
    return x0, y0, x1, y1


def _imgaug() -> Mover:
    try:
        from imgaug import augmenters
        from imgaug.augmentables.bbs import BoundingBox, BoundingBoxesOnImage
    except ImportError:
        raise BadInput(Problem("aug.nontrivial.engine", "imgaug is not installed", "`make install`")) from None

    def move(image: np.ndarray, boxes: Sequence[Box], motion: Motion) -> tuple[np.ndarray, list[Box]]:
        affine = augmenters.Affine(  # its shear slopes are tanh(-x) and tanh(y), not tan
            rotate=motion.degrees,
            shear={"x": -math.degrees(math.atanh(motion.shear_x)), "y": math.degrees(math.atanh(motion.shear_y))},
            translate_px={"x": int(motion.dx), "y": int(motion.dy)},
            cval=GREY,
        )
        there = BoundingBoxesOnImage([BoundingBox(*box) for box in boxes], shape=image.shape)
        pixels, moved = affine(image=image, bounding_boxes=there)
        return pixels, [(float(b.x1), float(b.y1), float(b.x2), float(b.y2)) for b in moved]

    return move


_MOVERS: dict[str, Callable[[], Mover]] = {"torchvision": _torchvision, "imgaug": _imgaug}


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
