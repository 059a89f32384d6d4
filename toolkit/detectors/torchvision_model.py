"""What torchvision's detectors share, whatever their family: transform, backbone, and the boxes back in the image."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from toolkit import processes
from toolkit.detectors.adapter import Adapter, Found, Look, Target
from toolkit.detectors.candidates import Candidates
from toolkit.detectors.grids import grids_of, require_one_size, sized
from toolkit.detectors.shares import padded_alike

Levels = dict[str, Tensor]  # [B, C, h, w] by name, from the finest to the coarsest


class TorchvisionModel(Adapter):
    """A family says how its levels are made, what evidence they hold, and what is detected in them."""

    model: Any  # with a `transform` and a `backbone`

    def __init__(self, classes: int, size: int, model: nn.Module | None = None) -> None:
        """`model`, where it has been built already."""
        super().__init__(classes, size)
        if model is not None:
            self.model = model

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        if processes.count() == 1:
            return self.model(images, targets)
        with padded_alike(self.model.transform):
            return self.shared_losses(images, targets)

    def shared_losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Those of a process's share of a batch, whose mean over the processes is the loss of the whole (`shares`)."""
        return self.model(images, targets)

    def layers(self) -> set[str]:
        """The backbone's modules that give a grid when it runs."""
        backbone = self.model.backbone
        blank = next(backbone.parameters()).new_zeros(1, 3, self.smallest, self.smallest)
        return grids_of(self.model, lambda: backbone(blank), below="backbone")

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        return self.model(list(images))

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        require_one_size(images)
        with torch.inference_mode(not gradients):
            batch, _ = self.model.transform(list(images))
            with self.outputs(layer) as kept:
                levels = self.levels(batch.tensors, kept, detections)
            activations = kept[-1]
            evidence = sized(self.evidence(levels, activations), activations)
            (height, width), (rows, columns) = batch.tensors.shape[-2:], activations.shape[-2:]
            shown = batch.image_sizes[0]  # of the batch, which is padded
            covered = (0.0, 0.0, shown[0] / height * rows, shown[1] / width * columns)
            found, candidates = self.detected(batch, levels, images[0].shape[-2:]) if detections else ([], [])
            return Look(found, candidates, activations, evidence, covered)

    def levels(self, images: Tensor, kept: list[Tensor], detections: bool) -> Levels:
        """What the heads see in normalised images [B, 3, H, W]; without `detections` only what a map needs.

        As the backbone runs, `kept` comes to hold the explained layer's activations.
        """
        return self.model.backbone(images)

    @abstractmethod
    def evidence(self, levels: Levels, activations: Tensor) -> Tensor:
        """How much of an object the level nearest in size to the activations holds in each of its cells, [B, h, w]."""

    @abstractmethod
    def detected(self, batch: ImageList, levels: Levels, size: Sequence[int]) -> tuple[list[Found], list[Candidates]]:
        """What `model` makes of the levels, and all that it considered; boxes in images of `size`."""
