"""EigenCAM (Muhammad & Yeasin 2020, arXiv 2008.00299) from the backbone alone, batched, with the right sign.

The map is the activations' projection on their first principal component. pytorch-grad-cam finds it by a full SVD of
[cells, channels] after running the whole detector; here the leading eigenvector of the smaller Gram matrix gives the
same projection, and the finer pyramid levels, the region proposals and the box head are never run.

A principal component's sign is arbitrary: half of the time the map would show what the detector looks away from. The
region proposal network's objectness, read from the same forward, says where the detector sees things; the sign is the
one that correlates with it.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList

from toolkit.maps import normalise

DIRECT = 256  # rows of a Gram matrix up to which LAPACK's whole decomposition is the quickest
BLOCK = 8  # vectors that subspace iteration follows
ROUNDS = 16  # of subspace iteration


class Pass(NamedTuple):
    """One pass of the backbone over images of one size."""

    batch: ImageList  # as the detector's transform made it
    pyramid: dict[str, Tensor]  # the level that belongs to the explained layer, at least
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
def look(model: FasterRCNN, images: Sequence[Tensor], layer: str) -> list[tuple[dict[str, Tensor], np.ndarray]]:
    """What the detector finds in each image, as itself would say, and where it looks: in one pass.

    Takes images as `eigencam` does and gives its maps.
    """
    seen = explain(model, images, layer, whole=True)
    sizes = seen.batch.image_sizes
    proposals, _ = model.rpn(seen.batch, seen.pyramid)
    found, _ = model.roi_heads(seen.pyramid, proposals, sizes)
    found = model.transform.postprocess(found, sizes, [image.shape[-2:] for image in images])
    return list(zip(found, _maps(seen), strict=True))


def explain(model: FasterRCNN, images: Sequence[Tensor], layer: str, whole: bool = False) -> Pass:
    """Run the backbone and, on the one pyramid level that belongs to `layer`, the region proposal network's head.

    `whole`: with all levels, for those who go on to detect; otherwise with no finer level than that one.
    """
    if len({image.shape for image in images}) > 1:
        raise ValueError("a batch must be of one image size")
    batch, _ = model.transform(list(images))
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _module, _input, output: kept.append(output))
    try:
        pyramid = model.backbone(batch.tensors) if whole else _level_of(kept, model.backbone, batch.tensors)
    finally:
        hook.remove()
    activations = kept[-1]
    cells = activations.shape[-2:]
    # The level that hangs on the explained layer has its size; the nearest one stands in for a layer between levels.
    level = min(pyramid.values(), key=lambda features: _apart(features, activations))
    objectness = model.rpn.head([level])[0][0].amax(dim=1, keepdim=True)
    if objectness.shape[-2:] != cells:
        objectness = F.interpolate(objectness, cells, mode="bilinear", align_corners=False)
    padded, shown = batch.tensors.shape[-2:], batch.image_sizes[0]
    covered = (shown[0] / padded[0] * cells[0], shown[1] / padded[1] * cells[1])
    return Pass(batch, pyramid, activations, objectness[:, 0], covered)


def _level_of(kept: list[Tensor], backbone: BackboneWithFPN, images: Tensor) -> dict[str, Tensor]:
    """Of the pyramid [B, C, h, w] the level that is nearest in size to the activations that `kept` holds by then.

    A feature pyramid is made from the coarsest level down, and its finest level costs as much as half of a ResNet: what
    is finer than the wanted one is left out.
    """
    features = backbone.body(images)
    stages = list(features.values()) if isinstance(features, dict) else features
    if not kept:  # the layer is one of the pyramid's own
        return backbone.fpn(OrderedDict((str(number), stage) for number, stage in enumerate(stages)))
    level = min(range(len(stages)), key=lambda number: _apart(stages[number], kept[-1]))
    fpn = backbone.fpn
    merged = fpn.get_result_from_inner_blocks(stages[-1], -1)
    for number in range(len(stages) - 2, level - 1, -1):
        lateral = fpn.get_result_from_inner_blocks(stages[number], number)
        merged = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
    return {str(level): fpn.get_result_from_layer_blocks(merged, level)}


def _apart(one: Tensor, other: Tensor) -> float:
    """How far apart two grids' sizes are."""
    return abs(math.log(one.shape[-1] / other.shape[-1]))


def _maps(seen: Pass) -> list[np.ndarray]:
    """The map [h, w] of each image of a pass."""
    rows, columns = (math.ceil(length) for length in seen.covered)
    cells = projection(seen.activations[:, :, :rows, :columns])
    grids = oriented(cells, seen.objectness[:, :rows, :columns]).clamp(min=0)
    return [normalise(_cover(grid, *seen.covered)) for grid in grids.cpu().numpy()]


def projection(activations: Tensor) -> Tensor:
    """Each cell's coordinate on the first principal component, up to sign.

    [B, C, h, w] -> [B, h, w] float64. The cells are the observations, centred by their mean: with A = [cells, C] that
    is A v1 = s1 u1, taken from the leading eigenvector of A^T A or A A^T, whichever is smaller.
    """
    cells = activations.flatten(2).transpose(1, 2).double()
    cells = cells - cells.mean(dim=1, keepdim=True)
    if cells.shape[1] < cells.shape[2]:
        value, vector = leading(cells @ cells.transpose(1, 2))
        coordinates = vector * value.clamp(min=0).sqrt()[:, None]
    else:
        _, vector = leading(cells.transpose(1, 2) @ cells)
        coordinates = (cells @ vector[..., None]).squeeze(-1)
    return coordinates.unflatten(1, activations.shape[-2:])


def leading(gram: Tensor) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue [B] and its eigenvector [B, n] of symmetric positive matrices [B, n, n].

    Large matrices by subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4): as cheap as `ROUNDS`
    products with `BLOCK` vectors. What remains of other eigenvectors is in the order of (l9 / l1) ** ROUNDS: nothing
    to see, unless so many eigenvalues are alike that the component has no meaning.
    """
    if gram.shape[-1] <= DIRECT:
        values, vectors = torch.linalg.eigh(gram)
        return values[..., -1], vectors[..., -1]
    start = torch.randn(gram.shape[-1], BLOCK, generator=torch.Generator().manual_seed(0), dtype=gram.dtype)
    basis = start.to(gram.device).expand(len(gram), -1, -1)
    for _ in range(ROUNDS):
        basis, _ = torch.linalg.qr(gram @ basis)
    values, within = torch.linalg.eigh(basis.transpose(1, 2) @ gram @ basis)
    return values[..., -1], (basis @ within[..., -1:]).squeeze(-1)


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
