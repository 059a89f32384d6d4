"""Deep Image Prior: an untrained CNN, fitted to an image's known pixels, fills the unknown ones.

After Ulyanov, Vedaldi and Lempitsky, CVPR 2018 (arXiv 1711.10925), made small enough for thousands of images on a CPU:

- The network sees the hole and what lies around it, at most `SIDE` pixels high and wide; the fill is scaled up again.
- It is the decoder half of the paper's hourglass. In place of encoder and skip connections, every scale is fed fixed
  noise and the pixels' coordinates (the paper's two kinds of input).
- As in the paper, the input is jittered in each step and the result is a moving average of the outputs.
- At full size the fill is shifted smoothly so that it meets the known pixels at the hole's edge: Poisson image editing
  (Perez et al. 2003).
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ITERATIONS = 75
SIDE = 48  # pixels
CONTEXT = 0.5  # on each side of the hole's bounding box, as a part of its longer side
CHANNELS = (32, 32, 24, 16)  # of the scales' features, coarse to fine; each scale is twice as large as the one before
START = 32  # channels of noise that the coarsest scale begins with
NOISE = 2  # channels of noise that every scale is fed
AMPLITUDE = 0.1  # of the noise, which is uniform in 0..AMPLITUDE
JITTER = 0.03  # standard deviation, in each step
RATE = 6e-3  # Adam's
MEMORY = 20  # steps that the moving average reaches back
SLOPE = 0.2  # of the leaky ReLU
SWEEPS = 20  # of Jacobi's method on each level of the smooth extension


@dataclass(frozen=True)
class Crop:
    """A hole and what lies around it: as it is, and as the network is fitted to it."""

    where: tuple[slice, slice]
    pixels: np.ndarray  # [H, W, 3] float32 in 0..255
    known: np.ndarray  # [H, W] bool
    target: Tensor  # [1, 3, h, w] in 0..1
    weight: Tensor  # [h, w] the known part of each pixel, 0..1


def fill(image: np.ndarray, hole: np.ndarray, seed: int, iterations: int = ITERATIONS) -> np.ndarray:
    """The image [H, W, 3] uint8 with its hole [H, W] bool filled; neither empty nor whole may the hole be."""
    crop = _crop(image, hole)
    guess = cv2.resize(_fit(crop, seed, iterations), crop.known.shape[::-1], interpolation=cv2.INTER_CUBIC) * 255
    guess += extend(crop.pixels - guess, crop.known)
    filled = image.copy()
    filled[crop.where][~crop.known] = np.rint(guess.clip(0, 255)).astype(np.uint8)[~crop.known]
    return filled


def extend(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Extend values [H, W, C] float32 smoothly from the known pixels [H, W] bool to all of them.

    Laplace's equation, approximately: a pyramid gives the start (push-pull, Gortler et al. 1996), Jacobi's method
    smooths it.
    """
    height, width = known.shape
    if known.all():
        return values
    if max(height, width) <= 2:
        return np.where(known[..., None], values, values[known].mean(axis=0))
    small, weight = _shrink(values, known, (height + 1) // 2, (width + 1) // 2)
    coarse = extend(small, weight > 0)
    spread = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    neighbours = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    for _ in range(SWEEPS):
        spread = np.where(known[..., None], values, spread)
        spread = cv2.filter2D(spread, -1, neighbours, borderType=cv2.BORDER_REPLICATE)
    return np.where(known[..., None], values, spread)


def _crop(image: np.ndarray, hole: np.ndarray) -> Crop:
    where = _around(hole)
    pixels, known = image[where].astype(np.float32), ~hole[where]
    step = 2 ** (len(CHANNELS) - 1)
    scale = min(1, SIDE / max(known.shape))
    height, width = (max(1, round(length * scale / step)) * step for length in known.shape)
    small, weight = _shrink(pixels / 255, known, height, width)
    return Crop(where, pixels, known, torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(weight))


def _around(hole: np.ndarray) -> tuple[slice, slice]:
    """The hole's bounding box and its context, cut at the image's edges."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    margin = 2 + round(CONTEXT * max(np.ptp(rows), np.ptp(columns)))
    top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    return slice(top, rows[-1] + margin + 1), slice(left, columns[-1] + margin + 1)


def _shrink(values: np.ndarray, known: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Means [height, width, C] of the known values in each cell, and the known part [height, width] of each, 0..1."""
    size, mask = (width, height), known.astype(np.float32)
    weight = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values * mask[..., None], size, interpolation=cv2.INTER_AREA)
    return sums / np.maximum(weight, 1e-6)[..., None], weight


def _fit(crop: Crop, seed: int, iterations: int) -> np.ndarray:
    """What a network fitted to the crop's known pixels shows everywhere, [h, w, 3] float32 in 0..1."""
    part = crop.weight / (3 * crop.weight.sum())
    rows, columns = (length // 2 ** (len(CHANNELS) - 1) for length in part.shape)
    rng = torch.Generator().manual_seed(seed)
    coarsest, *finer = (
        _input(rows * 2**n, columns * 2**n, NOISE + (0 if n else START), rng) for n in range(len(CHANNELS))
    )
    parameters = _parameters(rng)
    optimiser = torch.optim.Adam(parameters, lr=RATE, fused=True)
    mean = torch.zeros_like(crop.target)
    for count in range(1, iterations + 1):
        jitter = torch.randn(coarsest.shape, generator=rng)
        shown = _network([coarsest + JITTER * jitter, *finer], parameters)
        optimiser.zero_grad()
        ((shown - crop.target).square() * part).sum().backward()
        optimiser.step()
        mean.lerp_(shown.detach(), 1 / min(count, MEMORY))
    return mean[0].permute(1, 2, 0).numpy()


def _input(rows: int, columns: int, noise: int, rng: torch.Generator) -> Tensor:
    """What one scale is fed, [1, 2 + noise, rows, columns]: the coordinates in -0.5..0.5, and noise."""
    coordinates = torch.meshgrid(torch.linspace(-0.5, 0.5, rows), torch.linspace(-0.5, 0.5, columns), indexing="ij")
    return torch.cat([torch.stack(coordinates), AMPLITUDE * torch.rand(noise, rows, columns, generator=rng)])[None]


def _parameters(rng: torch.Generator) -> list[Tensor]:
    """Weight and bias of each scale's 3x3 convolution and of the last, 1x1; uniform within 1 / sqrt(inputs)."""
    shapes = [(out, before + 2 + NOISE, 3, 3) for before, out in pairwise((START, *CHANNELS))]
    parameters = []
    for shape in [*shapes, (3, CHANNELS[-1], 1, 1)]:
        bound = float(np.prod(shape[1:])) ** -0.5
        parameters += [(2 * torch.rand(size, generator=rng) - 1).mul(bound) for size in (shape, shape[:1])]
    return [parameter.requires_grad_() for parameter in parameters]


def _network(inputs: list[Tensor], parameters: list[Tensor]) -> Tensor:
    """From what the scales are fed, [1, C, h, w] each, coarse to fine, to an image [1, 3, H, W] in 0..1."""
    features = inputs[0]
    for scale, fed in enumerate(inputs):
        if scale:
            features = torch.cat([functional.interpolate(features, scale_factor=2.0, mode="nearest"), fed], dim=1)
        weight, bias = parameters[2 * scale : 2 * scale + 2]
        features = functional.leaky_relu(functional.conv2d(features, weight, bias, padding=1), SLOPE)
    weight, bias = parameters[-2:]
    return functional.conv2d(features, weight, bias).sigmoid()
