"""A split of a VOC tree as detectors take it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from toolkit import voc
from toolkit.detectors.adapter import Target
from toolkit.files import read_image
from toolkit.tensors import channels_first
from toolkit.voc import Annotation, Tree


class Examples(Dataset[tuple[Tensor, Target]]):
    """Images with their boxes, indexed by (number, flip): [3, H, W] uint8 and its target.

    Every annotated object is trained on, `difficult` ones too, as in the study.
    """

    def __init__(self, tree: Tree, ids: Sequence[str], classes: Sequence[str]) -> None:
        self.tree, self.ids, self.classes = tree, ids, classes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, view: tuple[int, bool]) -> tuple[Tensor, Target]:
        number, flip = view
        image_id = self.ids[number]
        return as_target(
            read_image(self.tree.image(image_id)), voc.read(self.tree.annotation(image_id)), self.classes, flip
        )


def as_target(image: np.ndarray, annotation: Annotation, classes: Sequence[str], flip: bool) -> tuple[Tensor, Target]:
    """One view: `flip` mirrors pixels and boxes left to right. Labels are 1-based; 0 is background."""
    boxes = np.array([o.box for o in annotation.objects], np.float32).reshape(-1, 4)
    if flip:
        image, boxes = image[:, ::-1], mirrored(boxes, image.shape[1])
    labels = [classes.index(o.name) + 1 for o in annotation.objects]
    pixels = channels_first(image)  # uint8: a quarter of float32 to move
    return pixels, {"boxes": torch.from_numpy(boxes), "labels": torch.tensor(labels, dtype=torch.int64)}


def mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes [N, 4] of an image `width` pixels wide, after it was mirrored left to right."""
    x0, y0, x1, y1 = boxes.T
    return np.stack([width - x1, y0, width - x0, y1], axis=1)
