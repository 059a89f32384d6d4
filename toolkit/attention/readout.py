"""The embedded gaze predictor: where people look, read out of features that ImageNet taught a small network.

After DeepGaze II (Kümmerer, Wallis & Bethge, arXiv 1610.01563): 1x1 convolutions on frozen features of several depths,
a Gaussian blur, the centre bias added in log space, a softmax over the image. In the place of VGG-19 stands
EfficientNet-Lite0, which runs in tens of milliseconds on a CPU. Two things keep its confidence honest on images unlike
those that it was trained on: it is a mixture of several readouts, and each mixes its density with the centre bias.

MODEL_CARD.md beside this file says what it was trained on and how far it is from people. `salvoc gaze train` makes the
weights.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from toolkit import imagenet

WEIGHTS = Path(__file__).with_name("readout.safetensors")
SIDE = 384  # pixels of the image's longer side, as the network sees it
STRIDE = 32  # of the deepest features: both sides are multiples of it
TAPS = ((1, 2), (3, 4), (5, 6))  # the network's blocks whose features are read, by the stride that they end up on
CHANNELS = (24 + 40, 80 + 112, 192 + 320)  # at strides 8, 16, 32
MEMBERS = 3  # readouts in the mixture
WIDTH = 32  # of a readout's hidden layers
DROP = 0.2  # of the features' channels, in training
REACH = 6  # cells that the blur reaches; a cell of the density is 8 pixels


class Features(nn.Module):
    """The frozen network: images [B, 3, H, W] in -1..1 -> its features at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.body: Any = imagenet.lite0((4,)).eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        x, seen = self.body.bn1(self.body.conv_stem(images)), []
        for block in self.body.blocks:
            x = block(x)
            seen.append(x)
        seen[1] = functional.avg_pool2d(seen[1], 2)  # the one tap at stride 4
        return [torch.cat([seen[block] for block in blocks], dim=1) for blocks in TAPS]


class Readouts(nn.Module):
    """The mixture of readouts. `centre` [h, w] is the density of the centre bias over any image, of any grid."""

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.centre: Tensor
        self.register_buffer("centre", centre)
        self.scaled = nn.ModuleList(nn.BatchNorm2d(channels, affine=False, momentum=0.05) for channels in CHANNELS)
        # a convolution of all strides' features, each at its own size
        self.read = nn.ModuleList(nn.Conv2d(channels, MEMBERS * WIDTH, 1, bias=False) for channels in CHANNELS)
        self.hidden = nn.Parameter(torch.randn(MEMBERS, WIDTH, WIDTH) / WIDTH**0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(MEMBERS, WIDTH))
        self.shown = nn.Parameter(torch.randn(MEMBERS, WIDTH) / WIDTH**0.5)
        self.log_sigma = nn.Parameter(torch.zeros(MEMBERS))  # of the blur, in cells
        self.trust = nn.Parameter(torch.ones(MEMBERS))  # in the centre bias, in log space
        self.doubt = nn.Parameter(torch.full((MEMBERS,), -3.0))  # the logit of the centre bias's share of the mixture
        self.to(memory_format=torch.channels_last)  # all that follows the convolutions works on a pixel's channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features at strides 8, 16, 32 -> each member's log density [B, MEMBERS, h, w] over cells of 8 pixels."""
        cells = features[0].shape[-2:]
        total = torch.zeros(())
        for given, scaled, read in zip(features, self.scaled, self.read, strict=True):
            kept = functional.dropout2d(scaled(given), DROP, self.training)
            total = total + functional.interpolate(read(kept), cells, mode="bilinear", align_corners=False)
        pixels = total.permute(0, 2, 3, 1).unflatten(-1, (MEMBERS, WIDTH))
        pixels = functional.softplus(functional.layer_norm(pixels, (WIDTH,), eps=1e-3))
        pixels = torch.einsum("bhwmi,mio->bhwmo", pixels, self.hidden) + self.hidden_bias
        logits = (functional.softplus(pixels) * self.shown).sum(-1).movedim(-1, 1)
        logits = blurred(logits, self.log_sigma.exp())
        centre = functional.interpolate(self.centre[None, None], cells, mode="bilinear", align_corners=False)
        bias = _log_density(centre.clamp(min=1e-9).log())
        density = _log_density(logits + self.trust[:, None, None] * bias)
        doubt = self.doubt[:, None, None]
        return torch.logaddexp(functional.logsigmoid(-doubt) + density, functional.logsigmoid(doubt) + bias)


def blurred(maps: Tensor, sigma: Tensor) -> Tensor:
    """Maps [B, M, h, w] under a Gaussian each, of `sigma` [M] cells; the border's values go on beyond it."""
    offsets = torch.arange(-REACH, REACH + 1, device=maps.device)
    kernels = torch.softmax(-(offsets**2) / (2 * sigma[:, None] ** 2), dim=1)[:, None]
    groups = len(sigma)
    wide = functional.pad(maps, (REACH, REACH, 0, 0), mode="replicate")
    rows = functional.conv2d(wide, kernels[:, :, None, :], groups=groups)
    tall = functional.pad(rows, (0, 0, REACH, REACH), mode="replicate")
    return functional.conv2d(tall, kernels[:, :, :, None], groups=groups)


def _log_density(logits: Tensor) -> Tensor:
    """[B, M, h, w], normalised so that each map's densities sum to 1."""
    return torch.log_softmax(logits.flatten(2), dim=2).view_as(logits)


def mixed(members: Tensor) -> Tensor:
    """The members' log densities [B, M, h, w] as one mixture's, [B, h, w]."""
    return members.logsumexp(dim=1) - math.log(members.shape[1])


def prepared(image: np.ndarray) -> Tensor:
    """An image [H, W, 3] uint8 as the network takes it: [3, h, w] in -1..1, the longer side `SIDE`."""
    height, width = image.shape[:2]
    factor = SIDE / max(height, width)
    rows, columns = (max(round(length * factor / STRIDE), 1) * STRIDE for length in (height, width))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = torch.from_numpy(cv2.resize(image, (columns, rows), interpolation=method))
    return (pixels.permute(2, 0, 1).float() / 255 - imagenet.MEAN) / imagenet.STD


@cache
def features() -> Features:
    """The one network that all threads share."""
    return Features()


@cache
def load(path: Path) -> Readouts:
    """Readouts from their file, in evaluation mode: read once, shared by all threads."""
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    readouts = Readouts(tensors["centre"])
    readouts.load_state_dict(tensors)
    return readouts.eval()


@torch.inference_mode()
def gaze_lite0(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The densities [h, w] of fixations on images [H, W, 3] uint8, over cells of about 8 pixels of `SIDE`."""
    see, read = features(), load(WEIGHTS)
    return [mixed(read(see(prepared(image)[None])))[0].exp().numpy() for image in images]
