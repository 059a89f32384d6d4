"""Where the evidence for chosen boxes lies: gradient times activation, per box and cell (ODAM).

Zhao and Chan (ODAM: Gradient-based Instance-specific Visual Explanations for Object Detection, ICLR 2023) weight every
cell's activations by that cell's own gradient of one box's score, where Grad-CAM weights them by the mean over all
cells. Here the score is the log-odds of the object's class in the candidate that is surest of it, for a probability
near 1 has no gradient; what speaks against the class in one channel does not hide what speaks for it in another; and
nothing is smoothed. A pyramid's levels are joined: a box is pooled from one of them, and only there it has a gradient.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import cv2
import numpy as np
import torch
from torch import Tensor

from toolkit.detectors.adapter import Adapter, Covered
from toolkit.detectors.candidates import best_log_odds
from toolkit.maps import normalise
from toolkit.saliency.cells import laid_on_image, seen_cells

SIDE = 128  # cells on the image's longer side, where several layers are joined: finer than any of them


def odam(adapter: Adapter, image: Tensor, layers: Sequence[str], boxes: Tensor, classes: Tensor) -> np.ndarray:
    """The map (see `toolkit.maps`) of what in an image [3, H, W] speaks for these objects, taken together.

    `boxes` [N, 4] in pixels, `classes` [N] from 0. An object without a candidate adds nothing; where none has one, the
    map is constant.
    """
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as hooks:
        kept = [hooks.enter_context(adapter.outputs(layer)) for layer in layers]
        seen = adapter.look([image.clone().requires_grad_()], layers[-1], gradients=True)
        sure = best_log_odds(seen.candidates[0], boxes.clone(), classes.clone())
        activations = [outputs[-1] for outputs in kept]
        height, width = image.shape[-2:]
        size = max(round(width * SIDE / max(height, width)), 1), max(round(height * SIDE / max(height, width)), 1)
        total = np.zeros(size[::-1], np.float32)
        if not sure.isfinite().any():
            return total
        gradients = torch.autograd.grad(sure[sure.isfinite()].sum(), activations)
    for activation, gradient in zip(activations, gradients, strict=True):
        cells = (activation * gradient)[0].detach().clamp(min=0).sum(dim=0)
        covered = _scaled(seen.covered, cells.shape[0] / seen.activations.shape[-2])
        shown = normalise(laid_on_image(cells[seen_cells(covered)].cpu().numpy(), covered))
        total += cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR)
    return normalise(total)


def _scaled(covered: Covered, factor: float) -> Covered:
    """What an image covers of a grid that is so many times finer."""
    top, left, bottom, right = (round(side * factor, 6) for side in covered)  # no cell for a rounding error
    return top, left, bottom, right
