"""The detectors: how each is built, and at which layer it is explained.

To add one, write a `build(classes, size)` that gives a torchvision detector (a `GeneralizedRCNN`: transform, backbone,
rpn, roi_heads) and name it in `DETECTORS`. Another family of detectors also wants a line in `precision.DENSE`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from toolkit.detectors import lite0, resnet50
from toolkit.detectors.checkpoint import load_checkpoint, present
from toolkit.errors import BadInput, Problem
from toolkit.files import digest, sha256
from toolkit.params import Detector
from toolkit.tensors import device

FRESH_SEED = 0  # any would do, if it is one for all: arms that start from different heads cannot be compared


@dataclass(frozen=True)
class Recipe:
    """How a detector is built, and the module that it is explained at unless params say otherwise."""

    build: Callable[[int, int], FasterRCNN]
    layer: str
    imagenet: bool  # whether `build` gives the backbone ImageNet's weights
    load_coco: Callable[[FasterRCNN, Sequence[str]], None] | None = None


DETECTORS = {
    "fasterrcnn_lite0": Recipe(lite0.build, "backbone.body.blocks.4", imagenet=True),
    "fasterrcnn_resnet50_fpn": Recipe(resnet50.build, "backbone.body.layer4", False, resnet50.load_coco),
}


def recipe(name: str) -> Recipe:
    """The recipe of a detector; raises `BadInput` that lists the known ones."""
    if name not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise BadInput(Problem("detector.name", f"knows no detector {name!r}", f"choose one of: {known}"))
    return DETECTORS[name]


def load(settings: Detector, classes: Sequence[str]) -> FasterRCNN:
    """The base detector that params ask for, on the `device`, in evaluation mode, its heads for `classes`.

    Weights that come from no file are the same each time: the global generator neither decides them nor is moved.
    """
    made = recipe(settings.name)
    with torch.random.fork_rng(devices=()):  # it is built on the CPU
        torch.default_generator.manual_seed(FRESH_SEED)
        model = made.build(len(classes), settings.size)
    if settings.weights == "checkpoint":
        load_checkpoint(model, Path(settings.checkpoint), classes)
    elif settings.weights == "coco":
        if made.load_coco is None:
            mend = "use detector.weights: checkpoint, or another detector"
            raise BadInput(Problem("detector.weights", f"{settings.name} has no COCO weights", mend))
        made.load_coco(model, classes)
    elif not made.imagenet:
        mend = "use coco or checkpoint, or the detector fasterrcnn_lite0"
        raise BadInput(Problem("detector.weights", f"{settings.name} has no ImageNet weights of its own", mend))
    model.to(device(), memory_format=torch.channels_last)  # a quarter faster on CPUs, and what tensor cores want
    return model.eval()


def fingerprint(settings: Detector, classes: Sequence[str]) -> str:
    """What makes the base detector the one it is, besides code: part of the key of all that is made with it."""
    file = sha256(present(Path(settings.checkpoint))) if settings.weights == "checkpoint" else settings.weights
    return digest(settings.name, settings.size, file, list(classes))


@torch.inference_mode()
def predict(model: FasterRCNN, image: Tensor) -> dict[str, Tensor]:
    """Boxes [D, 4] in pixels, labels [D] (1-based) and scores [D] of an image [3, H, W] in 0..1."""
    return model([image])[0]
