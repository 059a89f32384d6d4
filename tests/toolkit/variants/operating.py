"""One operation at a time, and for certain, on images that tell what happened to them."""

import functools
from unittest import mock

import numpy as np

from toolkit.variants.nontrivial import transform
from toolkit.variants.operations import OPERATIONS
from toolkit.variants.policies import POLICIES
from toolkit.voc import Box

HEIGHT, WIDTH = 400, 500
ONLY_BOXES = sorted(name for name in OPERATIONS if name.endswith("_Only_BBoxes"))
MOTIONS = ["Rotate_BBox", "ShearX_BBox", "ShearY_BBox", "TranslateX_BBox", "TranslateY_BBox"]
BOXES: list[Box] = [(140.0, 120.0, 360.0, 300.0), (200.0, 150.0, 260.0, 200.0)]


@functools.cache
def photo(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Noise over a ramp, its values between 40 and 200, and read-only like an image that Pillow decoded."""
    noise = np.random.default_rng(seed).integers(-30, 31, (height, width, 3))
    image = np.clip(np.linspace(60, 180, width)[None, :, None] + noise, 40, 200).astype(np.uint8)
    image.flags.writeable = False
    return image


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
    with mock.patch.dict(POLICIES, {"alone": (((name, probability, magnitude),),)}):
        return transform(image, boxes, "alone", seed, engine)
