"""Any method of pytorch-grad-cam on a detector: slower than `eigencam`, and as that library defines it."""

from collections.abc import Sequence

import numpy as np
import pytorch_grad_cam
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from torch import Tensor

from toolkit.detectors.adapter import Adapter, Found
from toolkit.maps import normalise

METHODS = {
    name.lower(): method
    for name, method in vars(pytorch_grad_cam).items()
    if isinstance(method, type) and issubclass(method, BaseCAM) and method is not BaseCAM
}


def library_cam(
    adapter: Adapter, image: Tensor, layers: Sequence[str], method: str, boxes: Tensor, classes: Tensor
) -> np.ndarray:
    """The map [H, W] of one image [3, H, W] by the library's `method`, the mean of its maps of the layers.

    It explains the objects `boxes` [N, 4] in pixels, `classes` [N] from 0; without one it is constant.
    """
    if not len(boxes):
        return np.zeros(image.shape[-2:], np.float32)
    known = FasterRCNNBoxScoreTarget(labels=classes + 1, bounding_boxes=boxes)

    def target(found: Found) -> Tensor:
        return known(found) + 0 * found["scores"].sum()  # the library's has no gradient where no box is one of these

    with METHODS[method](adapter, [adapter.model.get_submodule(layer) for layer in layers]) as cam:
        return normalise(cam(image[None], targets=[target])[0])
