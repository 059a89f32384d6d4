"""One image and its main object: what of the detector's score is left as pixels go in a map's order.

Deletion and insertion: Petsiuk et al., RISE (BMVC 2018), here on one object of a detector, as in D-RISE (CVPR 2021).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from toolkit.detectors.adapter import Adapter
from toolkit.detectors.candidates import best_log_odds
from toolkit.files import seed_of
from toolkit.voc import Annotation

FOUND = 0.5  # the score from which an object counts as found
BLUR = 1 / 16  # of the image's longer side: the Gaussian that leaves colours and no shapes


@dataclass(frozen=True)
class Case:
    """An image and the largest of its objects that the detector finds."""

    id: str
    image: Tensor  # [3, H, W] in 0..1
    box: Tensor  # [4] in pixels
    label: Tensor  # [] its class, from 0
    score: float  # 0..1, on the image as it is


def case(adapter: Adapter, image_id: str, image: Tensor, known: Annotation, classes: Sequence[str]) -> Case | None:
    """The image's main object; None where the detector finds none of those that are annotated."""
    if not known.objects:
        return None
    boxes = torch.tensor([o.box for o in known.objects], dtype=torch.float32, device=image.device)
    labels = torch.tensor([classes.index(o.name) for o in known.objects], device=image.device)
    scores = score(adapter, [image], boxes, labels)[0]
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    sizes = torch.where(scores >= FOUND, width * height, -1.0)
    main = int(sizes.argmax())
    return Case(image_id, image, boxes[main], labels[main], float(scores[main])) if sizes[main] > 0 else None


def score(adapter: Adapter, images: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
    """How sure the detector is of each object in each image [B, N], in 0..1: the best of its candidates there."""
    seen = adapter.look(images, adapter.layer).candidates
    with torch.inference_mode():
        return torch.stack([best_log_odds(candidates, boxes, labels).sigmoid() for candidates in seen])


def mean_colour(image: Tensor) -> Tensor:
    """The image's mean colour everywhere; [3, H, W]."""
    return image.mean(dim=(1, 2), keepdim=True).expand_as(image)


def blurred(image: Tensor) -> Tensor:
    """The image without its shapes; [3, H, W]."""
    pixels = image.permute(1, 2, 0).cpu().numpy()
    return torch.from_numpy(cv2.GaussianBlur(pixels, (0, 0), BLUR * max(pixels.shape))).permute(2, 0, 1).to(image)


FILLS: Mapping[str, Callable[[Tensor], Tensor]] = {"mean": mean_colour, "blur": blurred}


def rank(heatmap: np.ndarray, image_id: str) -> np.ndarray:
    """What share of an image's pixels the map [H, W] puts before each one, [H, W] in 0..1.

    Pixels that tie go in an order drawn by the image's id.
    """
    drawn = np.random.default_rng(seed_of("ties", image_id)).random(heatmap.size)
    order = np.lexsort((drawn, -heatmap.ravel()))
    places = np.empty(heatmap.size)
    places[order] = np.arange(heatmap.size) / heatmap.size
    return places.reshape(heatmap.shape)


def curves(
    look: Callable[[Sequence[Tensor]], Sequence[float]], image: Tensor, filled: Tensor, ranks: np.ndarray,
    shares: Sequence[float],
) -> dict[str, list[float]]:  # fmt: skip
    """What `look` says of an image as the first `shares` of its pixels go (deletion) or alone are there (insertion).

    `ranks` [H, W] is `rank` of a map; `filled` [3, H, W] has what stands for a pixel that is gone.
    """
    first = [torch.from_numpy(ranks < share).to(image.device) for share in shares]
    deleted = [torch.where(gone, filled, image) for gone in first]
    inserted = [torch.where(there, image, filled) for there in first]
    seen = list(look([*deleted, *inserted]))
    return {"deletion": seen[: len(shares)], "insertion": seen[len(shares) :]}


def inside(heatmap: np.ndarray, box: Sequence[float]) -> float:
    """The share of a map's sum [H, W] that lies in a box: the energy-based pointing game.

    Wang et al., Score-CAM (CVPR Workshops 2020). NaN where the map is constant.
    """
    if not np.ptp(heatmap):
        return float("nan")
    x0, y0, x1, y1 = (round(side) for side in box)
    return float(heatmap[y0:y1, x0:x1].sum() / heatmap.sum())
