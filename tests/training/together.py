"""What `test_processes` computes in one process, and lets torchrun's compute as a program: `together FOLDER TREE`."""

import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.test_engine import SOLVER, Line, Points
from toolkit import processes
from toolkit.detectors.adapter import Adapter, Target
from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.detectors.retinanet_resnet50_fpn import RetinaNetResNet50FPN
from toolkit.detectors.ssdlite320_mobilenet_v3_large import SSDLite320MobileNetV3
from toolkit.detectors.torchvision import Torchvision
from toolkit.voc import VOC_CLASSES, Tree
from training import engine
from training.data import Examples
from training.engine import fit

CLASSES = len(VOC_CLASSES)
FAMILIES = {
    "R-CNN": lambda: FasterRCNNLite0(CLASSES, 96),
    "RetinaNet": lambda: RetinaNetResNet50FPN(CLASSES, 96),
    "SSD": lambda: SSDLite320MobileNetV3(CLASSES, 320),
    "FCOS": lambda: Torchvision(CLASSES, 96, "builder: fcos_resnet50_fpn"),
}


def line(state: Path, stop: int | None = None) -> tuple[Tensor, list[dict[str, float]]]:
    """The slope and the losses of a fit that saves a state every two steps and fails as it begins its step `stop`."""
    torch.manual_seed(0)
    model, begun = Line(), count()

    def objective(adapter: Adapter, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        if next(begun) == stop:
            raise InterruptedError
        return adapter.losses(images, targets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SAVE_EVERY", 2)
        history = fit(model, objective, Points(), 5, SOLVER, 3, state, "line")
    return model.slope.weight.detach(), history


def gradient(family: str, tree: Tree) -> tuple[Tensor, Tensor]:
    """A fresh detector's losses of four images, and their gradient."""
    torch.manual_seed(0)
    adapter = FAMILIES[family]().train()
    data = Examples(tree, tree.ids("train"), VOC_CLASSES)
    torch.manual_seed(1)
    batch = [data[view] for view in processes.share([(0, False), (1, True), (2, False), (3, False)])]
    losses = adapter.losses([image.float() / 255 for image, _ in batch], [target for _, target in batch])
    sum(losses.values()).backward()
    rows = torch.stack([*losses.values()]).detach()
    moved = torch.cat([parameter.grad.flatten() for parameter in adapter.parameters() if parameter.grad is not None])
    processes.average([rows, moved])
    return rows, moved


def main(folder: Path, tree: Tree) -> None:
    found = {family: gradient(family, tree) for family in FAMILIES}
    found["whole"] = line(folder / "whole.pt")
    found["resumed"] = line(folder / "one.pt")
    if processes.rank() == 0:
        torch.save(found, folder / "found.pt")
    processes.first(lambda: None)
    line(folder / "two.pt", stop=4)


if __name__ == "__main__":
    processes.run(lambda: main(Path(sys.argv[1]), Tree(sys.argv[2])))
