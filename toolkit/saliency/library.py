"""Any method of pytorch-grad-cam on a detector: slower than `eigencam`, and as that library defines it."""

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from torch import Tensor

from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput, Problem
from toolkit.maps import normalise

METHODS = {
    name.lower(): method
    for name, method in vars(pytorch_grad_cam).items()
    if isinstance(method, type) and issubclass(method, BaseCAM) and method is not BaseCAM
}
CONFIDENT = 0.3  # the score above which a detection is explained; the best one is, whatever its score


def library_cam(adapter: Adapter, image: Tensor, layer: str, method: str) -> np.ndarray:
    """The map [H, W] of one image [3, H, W] in 0..1 by the library's `method`, for the detector's own boxes."""
    if method.lower() not in METHODS:
        raise BadInput(
            Problem("saliency.method", f"knows no method {method!r}", f"one of: {', '.join(sorted(METHODS))}")
        )
    with torch.no_grad():
        found = adapter.detect([image])[0]
    if not len(found["scores"]):
        return np.zeros(image.shape[-2:], np.float32)
    keep = (found["scores"] >= CONFIDENT) | (found["scores"] == found["scores"].max())
    target = FasterRCNNBoxScoreTarget(labels=found["labels"][keep], bounding_boxes=found["boxes"][keep])
    with METHODS[method.lower()](adapter, [adapter.model.get_submodule(layer)]) as cam:
        return normalise(cam(image[None], targets=[target])[0])
