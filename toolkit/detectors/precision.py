"""Mixed precision: a detector's convolutions in bfloat16, its boxes in float32.

bfloat16 keeps eight bits of a number: between 512 and 1024 it knows every fourth pixel alone. What it rounds must
therefore never be an anchor, a box or the change of one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

Features = Tensor | dict[str, Tensor]

# The modules of each family of detectors that hold convolutions and linear layers and nothing else. The last layers,
# which give scores and box deltas, are left out: they cost little. A family without a line computes all in float32.
DENSE: dict[type[nn.Module], tuple[str, ...]] = {
    GeneralizedRCNN: ("backbone", "rpn.head.conv", "roi_heads.box_head"),
}


@contextmanager
def mixed_precision(model: nn.Module, device_type: str) -> Iterator[None]:
    """Within the block the model's `DENSE` modules compute in bfloat16 and give float32; all else is as it was."""
    named = [names for family, names in DENSE.items() if isinstance(model, family)]
    dense = [model.get_submodule(name) for names in named for name in names]
    for module in dense:
        module.forward = _in_bfloat16(module.forward, device_type)
    try:
        yield
    finally:
        for module in dense:
            del module.forward  # the class's own is seen again


def _in_bfloat16(forward: Callable[[Features], Features], device_type: str) -> Callable[[Features], Features]:
    def run(given: Features) -> Features:
        with torch.autocast(device_type, torch.bfloat16):
            made = forward(given)
        return {name: one.float() for name, one in made.items()} if isinstance(made, dict) else made.float()

    return run
