"""Deep Image Prior as the study set it up: hours of a CPU or a minute of a GPU an image, for those who reproduce it.

A ResNet at the image's full resolution (Ulyanov, Vedaldi and Lempitsky, CVPR 2018, section 4.4 of the supplement; eight
blocks of 32 channels) is fitted to the known pixels by 4,001 steps of Adam, its input jittered in each. Two of the
study's faults are mended: its image went in as H x W x C, and it kept the network's whole output.
"""

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from toolkit.tensors import device

SIDE = 512  # pixels: images are stretched to a square, as in the study
ITERATIONS = 4001
CHANNELS = 32  # of the noise that goes in, and of every block
BLOCKS = 8
AMPLITUDE = 0.1  # of the noise, which is uniform in 0..AMPLITUDE
JITTER = 0.03  # standard deviation, in each step
RATE = 1e-3  # Adam's
SLOPE = 0.2  # of the leaky ReLU


class Residual(nn.Sequential):
    """A block: what goes in, plus what its layers make of it."""

    def forward(self, features: Tensor) -> Tensor:
        return features + super().forward(features)


def network() -> nn.Sequential:
    """[B, 32, H, W] of noise -> images [B, 3, H, W] in 0..1: 19 convolutions, all at full resolution."""
    blocks = [
        Residual(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
        )
        for _ in range(BLOCKS)
    ]
    return nn.Sequential(
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, padding_mode="reflect"),
        nn.LeakyReLU(SLOPE),
        *blocks,
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        nn.Conv2d(CHANNELS, 3, 3, padding=1, padding_mode="reflect"),
        nn.Sigmoid(),
    )


def fill(image: np.ndarray, hole: np.ndarray, seed: int, side: int = SIDE, iterations: int = ITERATIONS) -> np.ndarray:
    """The image [H, W, 3] uint8 with its hole [H, W] bool filled; neither empty nor whole may the hole be."""
    height, width = hole.shape
    on = device()
    pixels = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    known = cv2.resize((~hole).astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR) == 1
    target = torch.from_numpy(pixels).to(on).permute(2, 0, 1)[None].float() / 255
    mask = torch.from_numpy(known).to(on)
    with torch.random.fork_rng(devices=[on] if on.type == "cuda" else []):
        torch.manual_seed(seed)
        model = network().to(on)
        noise = AMPLITUDE * torch.rand(1, CHANNELS, side, side, device=on)
        optimiser = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        for _ in range(iterations):
            shown = model(noise + JITTER * torch.randn_like(noise))
            optimiser.zero_grad()
            ((shown - target) * mask).square().mean().backward()
            optimiser.step()
    guess = shown.detach()[0].permute(1, 2, 0).cpu().numpy() * 255
    guess = cv2.resize(guess, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(hole[..., None], np.rint(guess).astype(np.uint8), image)
