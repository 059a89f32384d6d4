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
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from toolkit.maps import normalise


class Pass(NamedTuple):
    """One pass of the backbone over images of one size."""

    batch: ImageList  # as the detector's transform made it
    pyramid: dict[str, Tensor]
    activations: Tensor  # [B, C, h, w] of the explained layer
    objectness: Tensor  # [B, h, w] the largest logit of the region proposal network in each of its cells
    covered: tuple[float, float]  # how many cells, whole or not, the image without its padding covers


@torch.inference_mode()
def eigencam(model: FasterRCNN, images: Sequence[Tensor], layer: str) -> list[np.ndarray]:
    """Where the detector looks in each image.

    `images`: [3, H, W] in 0..1, all of one size, since padding to a common size would make a map depend on its
    batch. Returns maps [h, w] (see `toolkit.maps`) of the layer's own cells, which cover the image exactly.
    """
    return _maps(explain(model, images, layer))


@torch.inference_mode()
def look(model: FasterRCNN, image: Tensor, layer: str) -> tuple[dict[str, Tensor], np.ndarray]:
    """What the detector finds in an image [3, H, W] in 0..1, as itself would say, and where it looks: in one pass."""
    seen = explain(model, [image], layer)
    proposals, _ = model.rpn(seen.batch, seen.pyramid)
    found, _ = model.roi_heads(seen.pyramid, proposals, seen.batch.image_sizes)
    return model.transform.postprocess(found, seen.batch.image_sizes, [image.shape[-2:]])[0], _maps(seen)[0]


def explain(model: FasterRCNN, images: Sequence[Tensor], layer: str) -> Pass:
    """Run the backbone, and the region proposal network's head on the one pyramid level that belongs to `layer`."""
    if len({image.shape for image in images}) > 1:
        raise ValueError("a batch must be of one image size")
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
    return Pass(batch, pyramid, activations, objectness[:, 0], covered)


def _maps(seen: Pass) -> list[np.ndarray]:
    height, width = seen.covered
    rows, columns = math.ceil(height), math.ceil(width)
    signed = oriented(projection(seen.activations[:, :, :rows, :columns]), seen.objectness[:, :rows, :columns])
    return [normalise(_cover(grid, height, width)) for grid in signed.clamp(min=0).cpu().numpy()]


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
