"""What is known of a planted cue: which test split has which, and which pixels of an image it covers."""

from typing import Literal

import numpy as np
from PIL import Image

from toolkit.voc import Annotation, Tree

OBJECT, CUE = 1, 2  # values in a mask; 0 is background
Condition = Literal["correlated", "none", "matching", "random"]  # which cue a main object carries
TEST_SPLITS: dict[str, Condition] = {"test": "none", "test_matching": "matching", "test_random": "random"}


def boxed(annotation: Annotation) -> np.ndarray:
    """The mask [H, W] uint8 of an image that no cue was planted in, by its objects' boxes."""
    mask = np.zeros((annotation.height, annotation.width), np.uint8)
    for known in annotation.objects:
        x0, y0, x1, y1 = (round(side) for side in known.box)
        mask[y0:y1, x0:x1] = OBJECT
    return mask


def read_mask(source: Tree, image_id: str) -> np.ndarray | None:
    """An image's mask [H, W] uint8 of background 0, object 1 and cue 2; None where the source has none."""
    path = source.mask(image_id)
    if not path.exists():
        return None
    with Image.open(path) as mask:
        return np.asarray(mask)
