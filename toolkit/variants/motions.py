"""Affine motions of pixels and boxes, by torchvision or imgaug (an optional extra).

Pixels that nothing is left for are grey 128. Positive turns are clockwise, positive shifts right and down.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from toolkit.errors import BadInput, Problem
from toolkit.tensors import channels_first
from toolkit.voc import Box

GREY = 128


@dataclass(frozen=True)
class Motion:
    """An affine motion about the image's centre, one of its parts at a time."""

    degrees: float = 0
    shear_x: float = 0  # pixels right a pixel down
    shear_y: float = 0  # pixels down a pixel right
    dx: float = 0  # pixels
    dy: float = 0


Mover = Callable[[np.ndarray, Sequence[Box], Motion], tuple[np.ndarray, list[Box]]]  # boxes: hulls, not clipped


def channels_last(tensor: torch.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).contiguous().numpy()


def _torchvision() -> Mover:
    def move(image: np.ndarray, boxes: Sequence[Box], motion: Motion) -> tuple[np.ndarray, list[Box]]:
        # What comes in from outside is 0: with grey at 0, edges blend into grey (torchvision's `fill` darkens them).
        moved = F.affine(
            channels_first(image).float() - GREY,
            angle=motion.degrees,
            translate=[motion.dx, motion.dy],
            scale=1.0,
            shear=[-math.degrees(math.atan(slope)) for slope in (motion.shear_x, motion.shear_y)],
            interpolation=InterpolationMode.BILINEAR,
        )
        pixels = (moved + GREY).round().clamp(0, 255).to(torch.uint8)
        return channels_last(pixels), [_hull(box, motion, *image.shape[:2]) for box in boxes]

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


MOVERS: dict[str, Callable[[], Mover]] = {"torchvision": _torchvision, "imgaug": _imgaug}
