"""EigenCAM (Muhammad & Yeasin 2020, arXiv 2008.00299) of a layer's activations, batched, with the right sign.

The map is the activations' projection on their first principal component. pytorch-grad-cam finds it by a full SVD of
[cells, channels] after running the whole detector; here the leading eigenvector of the smaller Gram matrix gives the
same projection, of activations from a pass that need not go further (see `detectors.adapter.Adapter.look`).

A principal component's sign is arbitrary: half of the time the map would show what the detector looks away from. The
evidence of objects that the detector finds in the same pass says where it sees things; the sign is the one that
correlates with it.
"""

import numpy as np
import torch
from torch import Tensor

from toolkit.detectors.adapter import Covered
from toolkit.maps import normalise
from toolkit.saliency.cells import laid_on_image, seen_cells

DIRECT = 256  # rows of a Gram matrix up to which LAPACK's whole decomposition is the quickest
BLOCK = 8  # vectors that subspace iteration follows
ROUNDS = 16  # of subspace iteration


def eigencam(activations: Tensor, evidence: Tensor, covered: Covered) -> list[np.ndarray]:
    """A map (see `toolkit.maps`) of each image, of as many cells as it has a part of, which cover it exactly.

    `activations` [B, C, h, w] of a layer, `evidence` [B, h, w] of objects in its cells, of which the image has the part
    `covered`, the rest being padding.
    """
    rows, columns = seen_cells(covered)
    cells = projection(activations[:, :, rows, columns])
    grids = oriented(cells, evidence[:, rows, columns]).clamp(min=0)
    return [normalise(laid_on_image(grid, covered)) for grid in grids.cpu().numpy()]


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
