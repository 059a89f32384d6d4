"""D-RISE: what a detector looks at, by hiding random parts of the image hundreds of times.

Petsiuk et al., Black-box Explanation of Object Detectors via Saliency Maps (CVPR 2021). It needs nothing of a detector
but its candidates, and is what other maps are compared with; it costs as many passes as there are masks.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from toolkit.detectors.adapter import Adapter
from toolkit.detectors.candidates import Candidates
from toolkit.files import seed_of
from toolkit.maps import normalise

MASKS = 300
CELLS = 16  # of a mask's grid, in height and width (the paper's)
SHOWN = 0.5  # the probability of a cell to be shown (the paper's)


def drise(adapter: Adapter, image: Tensor, layers: Sequence[str], boxes: Tensor, classes: Tensor) -> np.ndarray:
    """The map (see `toolkit.maps`) [H, W] of what in an image [3, H, W] speaks for these objects, taken together.

    `boxes` [N, 4] in pixels, `classes` [N] from 0; it explains no `layers`. Hidden pixels are black, as in the paper. A
    pixel's value is the mean similarity where it is shown: the paper's sum, divided by how often each pixel was shown
    and not by how often it is on average, which with hundreds of masks would be most of the map.
    """
    height, width = image.shape[-2:]
    random = np.random.default_rng(seed_of("D-RISE", height, width))
    total, shows = np.zeros((height, width)), np.zeros((height, width))
    for _ in range(MASKS):
        mask = _mask(random, height, width)
        shown = image * torch.from_numpy(mask).to(image)
        (candidates,) = adapter.look([shown], adapter.layer).candidates
        total += mask * float(similarity(candidates, boxes, classes).sum())
        shows += mask
    return normalise(total / np.maximum(shows, 1))


def similarity(candidates: Candidates, boxes: Tensor, classes: Tensor) -> Tensor:
    """How much of each object is still found [N]: of all candidates the most alike (the paper's equation 1).

    That is the product of IoU, of the cosine between the classes' probabilities and the object's class, and of
    objectness, for which the probability of any class at all stands.
    """
    if not len(candidates.boxes):
        return torch.zeros(len(boxes))
    probabilities = candidates.log_odds.sigmoid()  # [M, K]
    cosine = torch.nn.functional.normalize(probabilities, dim=1)[:, classes].T  # [N, M]
    overlap = box_iou(boxes[:, None], candidates.boxes[:, classes].transpose(0, 1))[:, 0]
    return (overlap * cosine * probabilities.sum(dim=1).clamp(max=1)).amax(dim=1)


def _mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random grid of shown and hidden cells, enlarged and shifted by less than a cell; [H, W] float32 in 0..1."""
    grid = (random.random((CELLS, CELLS)) < SHOWN).astype(np.float32)
    down, across = -(-height // CELLS), -(-width // CELLS)
    large = cv2.resize(grid, ((CELLS + 1) * across, (CELLS + 1) * down), interpolation=cv2.INTER_LINEAR)
    y, x = int(random.integers(down)), int(random.integers(across))
    return large[y : y + height, x : x + width]
