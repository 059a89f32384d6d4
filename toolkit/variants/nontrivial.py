"""AutoAugment for object detection (Zoph et al. 2019, arXiv 1906.11172): one drawn sub-policy, boxes follow pixels."""

import math
from collections.abc import Sequence

import numpy as np

from toolkit.variants.motions import MOVERS, Mover
from toolkit.variants.operations import OPERATIONS, Picture
from toolkit.variants.policies import POLICIES, Step
from toolkit.voc import Box


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
    move = MOVERS[engine]()
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
