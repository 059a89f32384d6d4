"""What every image that a cue may be planted in is written as: the sample's scenes, and photographs alike."""

from io import BytesIO

import numpy as np
from PIL import Image

from toolkit import voc
from toolkit.files import png, write
from toolkit.sources.masks import Condition
from toolkit.voc import Annotation, Tree

JPEG = {"quality": 95, "subsampling": 0}  # colours at full resolution: a tile's must not run into what is beside it


def named(image_id: str, condition: Condition) -> str:
    """The id of an image in one condition: only those with a cue in the test splits have one of their own."""
    return f"{image_id}_{condition}" if condition in ("matching", "random") else image_id


def write_image(tree: Tree, image_id: str, image: np.ndarray, annotation: Annotation, mask: np.ndarray) -> None:
    """Write an image [H, W, 3] uint8, its annotation and its mask [H, W] uint8 of objects and cue."""
    jpeg = BytesIO()
    Image.fromarray(image).save(jpeg, "JPEG", **JPEG)
    write(tree.image(image_id), jpeg.getvalue())
    write(tree.annotation(image_id), voc.render(annotation))
    write(tree.mask(image_id), png(mask))
