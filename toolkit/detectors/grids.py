"""Grids of cells [B, C, h, w], as the layers of a network give them."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.inference_mode()
def grids_of(model: nn.Module, run: Callable[[], object], below: str = "") -> set[str]:
    """The modules of `model`, or of its part `below`, that give a grid when `run` is called."""
    grids: set[str] = set()

    def note(name: str, module: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            grids.add(name)

    named = model.get_submodule(below).named_modules(prefix=below)
    hooks = [module.register_forward_hook(partial(note, name)) for name, module in named]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return grids


def nearest(levels: Sequence[Tensor], grid: Tensor) -> int:
    """Which of the levels is nearest in size to a grid."""
    return min(range(len(levels)), key=lambda number: abs(math.log(levels[number].shape[-1] / grid.shape[-1])))


def sized(cells: Tensor, like: Tensor) -> Tensor:
    """Cells [B, h, w] resampled to the size of another grid."""
    if cells.shape[-2:] == like.shape[-2:]:
        return cells
    return F.interpolate(cells[:, None], like.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def require_one_size(images: Sequence[Tensor]) -> None:
    """Raise ValueError where images [3, H, W] are of several sizes."""
    if len({image.shape for image in images}) > 1:
        raise ValueError("a batch must be of one image size")


class Passed(nn.Identity):
    """What another module gives, under a name that does not hang on the network: it passes through here.

    It has no weights, so that a checkpoint knows nothing of it.
    """

    def follow(self, module: nn.Module) -> None:
        module.register_forward_hook(self._hook)  # bound, so that a copy's module passes its output to the copy's own

    def _hook(self, module: nn.Module, given: object, output: Tensor) -> Tensor:
        return self(output)
