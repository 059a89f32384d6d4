"""What salvoc asks of a detector, whatever its family: all that is peculiar to one is behind these methods.

To add a detector, write a subclass of `Adapter` into a file of its own in this folder: the file's name is the
detector's in params. `rcnn.RCNN` has most of it for torchvision's R-CNNs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toolkit.detectors.candidates import Candidates
from toolkit.detectors.published import Published
from toolkit.params import Solver

Target = dict[str, Tensor]  # boxes [N, 4] in pixels, labels [N] from 1; where the data has them, masks [N, H, W]
Covered = tuple[float, float, float, float]  # what an image covers of a grid, in cells: top, left, bottom, right
Found = dict[str, Tensor]  # boxes [D, 4] in pixels (x0, y0, x1, y1), labels [D] from 1, scores [D]


@dataclass(frozen=True)
class Look:
    """What one pass of a detector over images of one size gives."""

    found: list[Found]  # as `Adapter.detect` gives it
    candidates: list[Candidates]
    activations: Tensor  # [B, C, h, w] of the explained layer
    evidence: Tensor  # [B, h, w] how much of an object the detector sees in each of its cells, on any scale
    covered: Covered  # what the image covers of h x w


class Adapter(nn.Module, ABC):
    """A detector; images are [3, H, W] in 0..1.

    Called as a model it detects, so that any method of pytorch-grad-cam explains it.
    """

    layer: str  # the module of `model` that is explained unless params say otherwise
    joined: str = ""  # those that ODAM joins, with + between them; by default it explains `layer` alone
    stages: tuple[str, ...] = ()  # modules that `salvoc layers` ranks: the last of each of the network's parts
    licence: str  # of code and weights
    imagenet: bool = False  # whether its backbone is built with ImageNet's weights
    coco: Published | None = None  # weights of the whole, trained on COCO
    smallest: int = 64  # params' `detector.size` may be this or more,
    largest: int | None = None  # and this or less
    usual: int  # its authors' own
    # Modules of `model` that hold convolutions and linear layers and nothing else, and may compute in bfloat16. The
    # last layers, which give scores and changes of boxes, are left out: they cost little.
    dense: tuple[str, ...] = ()
    described: str = ""  # of a family: the file beside a user's weights that says which model they are of
    description: str = ""  # what that file says; given to `__init__` after `size`
    classes: tuple[str, ...] = ()  # that it names: those of weights which name none themselves
    model: nn.Module  # whose weights a checkpoint holds

    @abstractmethod
    def __init__(self, classes: int, size: int) -> None:
        """Build `model` with heads not yet trained.

        `classes` counts the objects' classes, background not among them; `size` is params' `detector.size`.
        """
        super().__init__()

    def train(self, mode: bool = True) -> "Adapter":
        """BatchNorm keeps its statistics: batches are too small to estimate them anew."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    @abstractmethod
    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        """The weights `state` of a model for the classes `known` as those of `model`, which is for `classes`.

        The heads' rows are matched by class name: a class that `known` lacks has the fresh weights of `model`. Raises
        `RuntimeError` or `IndexError` where `state` is another detector's, unless `load_state_dict` will.
        """

    @abstractmethod
    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """The losses of a step by name, whose sum is trained on; in training mode, images of any sizes.

        Of several `processes` each is given its share of the batch, and trains on the mean of their losses. Buffers
        keep their values.
        """

    def optimizer(self, solver: Solver) -> torch.optim.Optimizer:
        """What moves the weights that are trained; the rate of each of its groups rises and falls as `solver` says."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.SGD(trained, solver.lr, solver.momentum, weight_decay=solver.weight_decay)

    @abstractmethod
    def layers(self) -> set[str]:
        """The modules of `model` that may be explained: each gives a tensor [B, C, h, w], its grid laid on the image.

        A transformer's adapter puts a module into `model` that gives its sequence of cells this shape.
        """

    @abstractmethod
    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        """What is found in each image; in evaluation mode, with gradients where these are on."""

    @abstractmethod
    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        """What `detect` finds and all that explains it, in one pass; in evaluation mode.

        `images` are of one size, since padding to a common one would make a result depend on its batch; raises
        ValueError where they are not. `layer` is one of `layers`. Without `detections`, `found` and `candidates` are
        empty, and nothing is computed but what a map needs. With `gradients`, what the candidates' log-odds hang on
        can be asked of autograd.
        """

    def forward(self, images: Sequence[Tensor] | Tensor) -> list[Found]:
        return self.detect(list(images))

    @contextmanager
    def outputs(self, layer: str) -> Iterator[list[Tensor]]:
        """What a module of `model` gives, each time that it runs within the block."""
        kept: list[Tensor] = []
        hook = self.model.get_submodule(layer).register_forward_hook(
            lambda _module, _given, output: kept.append(output)
        )
        try:
            yield kept
        finally:
            hook.remove()
