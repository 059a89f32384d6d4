"""The sample's masks: which pixels of a scene are an object's, and which the planted cue's."""

import numpy as np
from PIL import Image

from toolkit.voc import Tree

OBJECT, CUE = 1, 2  # values in a mask; 0 is background


def read_mask(source: Tree, image_id: str) -> np.ndarray | None:
    """An image's mask [H, W] uint8 of background 0, object 1 and cue 2; None where the source has none."""
    path = source.mask(image_id)
    if not path.exists():
        return None
    with Image.open(path) as mask:
        return np.asarray(mask)
