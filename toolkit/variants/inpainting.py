"""Fill a hole in an image from what surrounds it: with Deep Image Prior, as the study did, or OpenCV's Telea."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import torch

from toolkit.variants import deep_image_prior
from toolkit.workers import mapped

RADIUS = 3  # pixels that Telea looks around


def inpaint(
    images: Sequence[np.ndarray],
    holes: Sequence[np.ndarray],
    seeds: Sequence[int],
    engine: Literal["dip", "telea"],
    iterations: int,
    device: str = "cpu",
) -> list[np.ndarray]:
    """Fill each image's hole; every pixel outside it stays as it was.

    `images` are [H, W, 3] uint8 RGB of any sizes, `holes` [H, W] bool, True where to fill; `iterations`, `seeds` and
    `device` matter to `dip` only. On one machine a result depends on its own image, hole and seed alone, to the last
    bit: not on the other images, their order or the number of threads. Raises ValueError where a hole leaves nothing
    to fill it from.
    """
    for index, (image, hole) in enumerate(zip(images, holes, strict=True)):
        if hole.shape != image.shape[:2]:
            raise ValueError(f"hole {index} is {hole.shape}, its image {image.shape[:2]}")
        if hole.all():
            raise ValueError(f"hole {index} covers the whole image")

    def fill(item: tuple[np.ndarray, np.ndarray, int]) -> np.ndarray:
        image, hole, seed = item
        if not hole.any():
            return image.copy()
        if engine == "telea":
            filled = telea(image, hole)
        else:
            filled = deep_image_prior.fill(image, hole, seed, iterations, device)
        return np.where(hole[..., None], filled, image)

    deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with deterministic:
        return list(mapped(lambda: fill, zip(images, holes, seeds, strict=True)))


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004): the image [H, W, 3] uint8 with the hole filled."""
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
