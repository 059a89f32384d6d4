"""A detector that has forgotten: its weights shuffled, from the last layer towards the first.

Adebayo et al., Sanity Checks for Saliency Maps (NeurIPS 2018), cascading randomisation. A map that stays as it was
shows the image's edges, not what the detector has learned.
"""

from copy import deepcopy

import torch
from torch import nn

from toolkit.detectors.adapter import Adapter
from toolkit.files import seed_of

DEPTHS = (0.25, 0.5, 0.75, 1.0)  # shares of the layers, counted from the last


def randomised(adapter: Adapter, depth: float) -> Adapter:
    """A copy in which the last `depth` of the layers have each of their tensors' numbers in another order.

    Shuffled, they keep their size: activations neither vanish nor explode.
    """
    forgotten = deepcopy(adapter)
    layers = [layer for layer in reversed(list(forgotten.model.modules())) if _own(layer)]
    for number, layer in enumerate(layers[: round(len(layers) * depth)]):
        for place, tensor in enumerate(_own(layer)):
            generator = torch.Generator().manual_seed(seed_of("randomised", number, place) % 2**63)
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return forgotten


def _own(layer: nn.Module) -> list[torch.Tensor]:
    """A module's own weights and statistics, of more than one number each."""
    tensors = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel() > 1]
