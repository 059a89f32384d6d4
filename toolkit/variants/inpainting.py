"""Fill a hole in an image from what surrounds it: with Deep Image Prior, as the study did, or OpenCV's Telea."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import cv2
import numpy as np
import torch

from toolkit.variants import deep_image_prior

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

    def fill(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
        if not hole.any():
            return image.copy()
        if engine == "telea":
            filled = telea(image, hole)
        else:
            filled = deep_image_prior.fill(image, hole, seed, iterations, device)
        return np.where(hole[..., None], filled, image)

    with _workers() as workers:
        return list(workers.map(fill, images, holes, seeds))


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004): the image [H, W, 3] uint8 with the hole filled."""
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)


@contextmanager
def _workers() -> Iterator[Executor]:
    """As many workers as torch has threads, each computing on one.

    Networks this small gain little from more threads, and sums that are split among threads round differently.
    """
    threads = torch.get_num_threads()
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers,
        ):
            yield workers
    finally:
        torch.set_num_threads(threads)
