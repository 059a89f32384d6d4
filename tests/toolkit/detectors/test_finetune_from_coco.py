"""What the study did to its detectors: weights of COCO's classes, heads for VOC's, and a few steps of training.

The weights are random ones, laid out as the published ones of each detector.
"""

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from tests.toolkit.detectors.test_contract import built, installed, photos
from toolkit.detectors import names
from toolkit.detectors.adapter import Adapter, Target
from toolkit.detectors.candidates import Candidates
from toolkit.detectors.checkpoint import fill
from toolkit.params import Solver
from toolkit.voc import VOC_CLASSES, voc_name
from training.engine import View, fit
from training.objectives import OBJECTIVES

NUMBERED = [voc_name(name) for name in FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]]  # from 1 to 90
COUNTED = [name for name in NUMBERED if name != "N/A"]  # the 80 that there are
# Rows of the published heads, and the classes that they are of; elsewhere a row for each number
ROWS = {
    "retinanet_resnet50_fpn": (91, NUMBERED),
    "detr_resnet50": (91, ["N/A", *NUMBERED]),
    "yolov5s": (80, COUNTED),
    "ultralytics": (80, COUNTED),
}


class Two:
    """A dataset of two images, with an object and with none."""

    def __getitem__(self, view: View) -> tuple[Tensor, Target]:
        index, _ = view
        box = torch.tensor([[8.0, 20.0, 60.0, 90.0]])[: 1 - index]
        image = (photos()[index] * 255).byte()
        return image, {"boxes": box, "labels": torch.tensor([12])[: 1 - index]}


def of_each_other(candidates: Candidates, classes: list[int]) -> Tensor:
    """How much surer a detector is of these classes than of the first of them, whatever others there are."""
    sure = logsigmoid(candidates.log_odds[:, classes])
    return sure - sure[:, :1]


@pytest.mark.parametrize("name", names())
def test_it_is_fine_tuned_on_voc_from_coco(name: str, tmp_path: Path) -> None:
    rows, known = ROWS.get(name, (90, NUMBERED))
    kind = installed(name)
    torch.manual_seed(0)
    theirs = built(kind, classes=rows)
    ours = built(kind, classes=len(VOC_CLASSES))
    fill(ours, theirs.model.state_dict(), known, VOC_CLASSES)
    image = photos()[:1]
    (before,), (after,) = (adapter.look(image, adapter.layer).candidates for adapter in (theirs, ours))
    shared = [known.index(voc) + rows - len(known) for voc in VOC_CLASSES]
    assert torch.allclose(of_each_other(before, shared), of_each_other(after, [*range(20)]), atol=1e-3)
    assert torch.allclose(before.boxes[:, shared], after.boxes, atol=1e-3)
    trained(ours, tmp_path / "state.pt")


def trained(adapter: Adapter, state: Path) -> None:
    """Three steps change what is trained, and nothing else."""
    before = copy.deepcopy(adapter.state_dict())
    solver = Solver(steps=3, batch=1, lr=0.005, momentum=0.9, weight_decay=0.0005)
    history = fit(adapter, OBJECTIVES["detection"], Two(), 2, solver, 1, state, "from COCO")  # type: ignore[arg-type]
    assert len(history) == 3
    assert all(math.isfinite(loss) for step in history for loss in step.values())
    moved = {name for name, tensor in adapter.state_dict().items() if not torch.equal(tensor.cpu(), before[name])}
    assert moved
    assert moved <= {name for name, parameter in adapter.named_parameters() if parameter.requires_grad}
