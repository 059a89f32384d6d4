"""torchvision's detectors on a process's share of a batch: what its losses hang on in the shares of the others.

Where there are several processes, the mean of a loss over them is then what one would compute of the whole batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from toolkit import processes

Losses = dict[str, Tensor]


@contextmanager
def padded_alike(transform: Any) -> Iterator[None]:
    """Within the block images are padded to the largest of the whole batch, on whose size the anchors hang."""
    transform.max_by_axis = _largest
    try:
        yield
    finally:
        del transform.max_by_axis  # the class's own is seen again


@contextmanager
def pooled_alike(pool: nn.Module) -> Iterator[None]:
    """Within the block an R-CNN's `box_roi_pool` takes its scales from the largest image of the whole batch."""
    hook = pool.register_forward_pre_hook(lambda _module, given: (*given[:2], [tuple(_largest(given[2]))]))
    try:
        yield
    finally:
        hook.remove()


def _largest(sizes: Sequence[Sequence[int]]) -> list[int]:
    """The largest of every axis, over all images of the batch."""
    own = [max(axis) for axis in zip(*sizes, strict=True)]
    return [max(axis) for axis in zip(*processes.gathered(own), strict=True)]


class Sampler(BalancedPositiveNegativeSampler):
    """It samples in its images [b] what it would sample there of the whole batch, for which it is called once.

    `weight` is then how many it has sampled, by the mean over the processes: losses are divided by their number.
    """

    weight: float

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        counts = [int(count) for one in labels for count in ((one >= 1).sum(), (one == 0).sum())]
        for rank, images in enumerate(processes.gathered(counts)):
            if rank == processes.rank():
                chosen = super().__call__(labels)
            else:  # draw what the other process draws: the generator moves on alike
                for count in images:
                    torch.randperm(count, device=labels[0].device)
        sampled = sum(int(mask.sum()) for masks in chosen for mask in masks)
        self.weight = sampled * processes.count() / sum(total for (total,) in processes.gathered([sampled]))
        return chosen


@contextmanager
def sampled_alike(part: Any) -> Iterator[Sampler]:
    """Within the block an R-CNN's `rpn` or `roi_heads` has such a sampler."""
    own = part.fg_bg_sampler
    part.fg_bg_sampler = Sampler(own.batch_size_per_image, own.positive_fraction)
    try:
        yield part.fg_bg_sampler
    finally:
        part.fg_bg_sampler = own


@contextmanager
def matched_alike(part: Any) -> Iterator[None]:
    """Within the block the losses of an SSD, or an FCOS's head, are by how many anchors match in the whole batch."""
    own = part.compute_loss

    def compute(targets: list[Losses], outputs: Losses, anchors: list[Tensor], matched: list[Tensor]) -> Losses:
        found = sum(int((one >= 0).sum()) for one in matched)
        total = sum(count for (count,) in processes.gathered([found]))
        weight = max(found, 1) * processes.count() / max(total, 1)
        return {name: loss * weight for name, loss in own(targets, outputs, anchors, matched).items()}

    part.compute_loss = compute
    try:
        yield
    finally:
        del part.compute_loss
