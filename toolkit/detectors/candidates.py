"""What a detector thinks of before it chooses: every box that it considers, with how sure it is of each class."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

OVERLAP = 0.5  # the IoU from which a box is an object's


class Candidates(NamedTuple):
    """One image's candidates, before any threshold or suppression; K classes, background not among them."""

    boxes: Tensor  # [N, K, 4] in pixels of the image, a box for each class
    log_odds: Tensor  # [N, K] log(p / (1 - p)) of each class's probability p


def log_odds(logits: Tensor) -> Tensor:
    """log(p / (1 - p)) of each probability of a softmax over `logits` [..., C], exact where p is near 0 or 1."""
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    others = logits[..., None, :].masked_fill(itself, -torch.inf)
    return logits - others.logsumexp(dim=-1)


def best_log_odds(candidates: Candidates, boxes: Tensor, classes: Tensor) -> Tensor:
    """How sure the detector is of each true object, found or not.

    `boxes` [G, 4] in pixels, `classes` [G] from 0. Gives [G], the largest log-odds of the object's class among the
    candidates whose box for that class overlaps with its own by an IoU of `OVERLAP`; -inf where there is none.
    """
    considered = candidates.boxes[:, classes].transpose(0, 1)  # [G, N, 4]
    overlap = box_iou(boxes[:, None], considered)[:, 0]
    own = torch.where(overlap >= OVERLAP, candidates.log_odds[:, classes].T, -torch.inf)
    return F.pad(own, (0, 1), value=-torch.inf).amax(dim=1)
