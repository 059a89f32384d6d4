"""Mixed precision: a detector's convolutions in bfloat16, its boxes in float32.

bfloat16 keeps eight bits of a number: between 512 and 1024 it knows every fourth pixel alone. What it rounds must
therefore never be an anchor, a box or the change of one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from toolkit.detectors.adapter import Adapter

Features = Tensor | dict[str, Tensor]


@contextmanager
def mixed_precision(adapter: Adapter, device_type: str) -> Iterator[None]:
    """Within the block the detector's `dense` modules compute in bfloat16 and give float32; all else is as it was."""
    dense = [adapter.model.get_submodule(name) for name in adapter.dense]
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
            features = forward(given)
        if isinstance(features, dict):
            return {name: level.float() for name, level in features.items()}
        return features.float()

    return run
