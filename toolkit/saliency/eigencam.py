"""EigenCAM (Muhammad & Yeasin 2020, arXiv 2008.00299) from the backbone alone, batched, with the right sign.

The map is the activations' projection on their first principal component. pytorch-grad-cam finds it by a full SVD of
[cells, channels] after running the whole detector; here the eigenvector of the smaller Gram matrix gives the same
projection, and the region proposals and the box head are never run.

A principal component's sign is arbitrary: half of the time the map would show what the detector looks away from. The
region proposal network's objectness, read from the same forward, says where the detector sees things; the sign is the
one that correlates with it.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from toolkit.maps import normalise


@torch.inference_mode()
def eigencam(model: FasterRCNN, images: Sequence[Tensor], layer: str) -> list[np.ndarray]:
    """Where the detector looks in each image.

    `images`: [3, H, W] in 0..1, all of one size, since padding to a common size would make a map depend on its
    batch. Returns maps [h, w] (see `toolkit.maps`) of the layer's own cells, which cover the image exactly.
    """
    if len({image.shape for image in images}) > 1:
        raise ValueError("a batch must be of one image size")
    activations, objectness, (height, width) = explain(model, images, layer)
    rows, columns = math.ceil(height), math.ceil(width)
    inside = activations[:, :, :rows, :columns]
    signed = oriented(projection(inside), objectness[:, :rows, :columns])
    return [normalise(_cover(grid, height, width)) for grid in signed.clamp(min=0).cpu().numpy()]


def explain(model: FasterRCNN, images: Sequence[Tensor], layer: str) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """One pass of the backbone and of the RPN's head on one pyramid level.

    Returns the layer's activations [B, C, h, w], the largest objectness logit of each of its cells [B, h, w], and how
    many cells, whole or not, the image without its padding covers.
    """
    batch, _ = model.transform(list(images))
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _module, _input, output: kept.append(output))
    try:
        pyramid = model.backbone(batch.tensors)
    finally:
        hook.remove()
    activations = kept[-1]
    cells = activations.shape[-2:]
    # The level that hangs on the explained layer has its size; the nearest one stands in for a layer between levels.
    level = min(pyramid.values(), key=lambda features: abs(math.log(features.shape[-1] / cells[1])))
    objectness = model.rpn.head([level])[0][0].amax(dim=1, keepdim=True)
    if objectness.shape[-2:] != cells:
        objectness = F.interpolate(objectness, cells, mode="bilinear", align_corners=False)
    padded, shown = batch.tensors.shape[-2:], batch.image_sizes[0]
    covered = (shown[0] / padded[0] * cells[0], shown[1] / padded[1] * cells[1])
    return activations, objectness[:, 0], covered


def projection(activations: Tensor) -> Tensor:
    """Each cell's coordinate on the first principal component, up to sign.

    [B, C, h, w] -> [B, h, w] float64. The cells are the observations, centred by their mean: with A = [cells, C] that
    is A v1 = s1 u1, taken from the eigenvectors of A^T A or A A^T, whichever is smaller.
    """
    cells = activations.flatten(2).transpose(1, 2).double()
    cells = cells - cells.mean(dim=1, keepdim=True)
    if cells.shape[1] < cells.shape[2]:
        values, vectors = torch.linalg.eigh(cells @ cells.transpose(1, 2))
        coordinates = vectors[..., -1] * values[..., -1:].clamp(min=0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(cells.transpose(1, 2) @ cells)
        coordinates = (cells @ vectors[..., -1:]).squeeze(-1)
    return coordinates.unflatten(1, activations.shape[-2:])


def oriented(grids: Tensor, evidence: Tensor) -> Tensor:
    """Each grid [B, h, w] with the sign that correlates positively with `evidence` [B, h, w]."""
    centred = evidence.double() - evidence.double().mean(dim=(1, 2), keepdim=True)
    agreement = (grids * centred).sum(dim=(1, 2), keepdim=True)
    return torch.where(agreement < 0, -grids, grids)


def _cover(grid: np.ndarray, height: float, width: float) -> np.ndarray:
    """Resample a grid, of whose cells the image covers `height` x `width`, to cells that cover the image exactly."""
    rows, columns = grid.shape
    if (rows, columns) == (height, width):
        return grid
    # Cell j of the result has its centre at (j + 1/2) * width / columns of the grid, counted in its cells.
    scale = np.array([[width / columns, 0, 0.5 * width / columns - 0.5], [0, height / rows, 0.5 * height / rows - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grid, scale, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
