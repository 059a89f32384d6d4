"""Mixed precision: convolutions in bfloat16, and boxes that never see it."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from toolkit.detectors.precision import mixed_precision
from toolkit.detectors.rcnn import RCNN

SIZE = 896


class OneLayer(nn.Module):
    """The least backbone: CPUs are slow in bfloat16."""

    out_channels = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict([("0", self.conv(images))])


class Small(RCNN):
    """A Faster R-CNN with square anchors of 112 pixels every eighth pixel, the same each time."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes, size)
        torch.manual_seed(0)
        self.model = FasterRCNN(
            OneLayer(),
            min_size=size,
            max_size=size,
            rpn_anchor_generator=AnchorGenerator(((112,),), ((1.0,),)),
            rpn_pre_nms_top_n_test=300,
            box_roi_pool=MultiScaleRoIAlign(["0"], output_size=2, sampling_ratio=1),
            box_head=TwoMLPHead(4 * 2**2, 8),
            box_predictor=FastRCNNPredictor(8, classes + 1),
        )


@pytest.fixture
def adapter() -> Small:
    return Small(1, 96).eval()


@pytest.fixture
def images() -> list[Tensor]:
    return [torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(n)) for n in range(2)]


@pytest.fixture
def targets() -> list[dict[str, Tensor]]:
    return [{"boxes": torch.tensor([[8.0, 20.0, 60.0, 90.0]]), "labels": torch.tensor([1])} for _ in range(2)]


def whole(adapter: RCNN, device_type: str) -> AbstractContextManager[None]:
    """What not to do."""
    return torch.autocast(device_type, torch.bfloat16)


def dtypes(adapter: RCNN, names: list[str]) -> dict[str, torch.dtype]:
    """The types that the modules give out, filled in whenever they run."""
    seen: dict[str, torch.dtype] = {}
    for name in names:
        adapter.model.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: seen.__setitem__(name, output.dtype)
        )
    return seen


def left_edges(precision: Callable[[RCNN, str], AbstractContextManager[None]]) -> Tensor:
    """The left edges x0 of the detections that end right of 700, and not at the image's edge.

    The detector moves every anchor by a tenth of its width, and every proposal by another tenth.
    """
    adapter = Small(1, SIZE).eval()
    model = adapter.model
    box, score = model.roi_heads.box_predictor.bbox_pred, model.roi_heads.box_predictor.cls_score
    with torch.no_grad():
        for last, moved in ((model.rpn.head.bbox_pred, 0.1), (box, 1.0)):  # the box head's deltas are tenfold
            last.weight.zero_()
            last.bias.copy_(torch.tensor([moved, 0.0, 0.0, 0.0]).repeat(len(last.bias) // 4))
        score.weight.zero_()
        score.bias.copy_(torch.tensor([-3.0, 3.0]))
        with precision(adapter, "cpu"):
            boxes = adapter.detect([torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))])[0]["boxes"]
    return boxes[(boxes[:, 2] > 700) & (boxes[:, 2] < 892), 0].float()


def off(left: Tensor) -> float:
    """How far, at most, left edges are from where they belong.

    Anchors of 112 pixels lie around every eighth pixel, and 2 * 11.2 pixels were added: x0 = 8 i - 56 + 22.4.
    """
    return float(((left + 33.6 + 4) % 8 - 4).abs().max())


def test_a_box_near_800_keeps_the_accuracy_of_float32() -> None:
    left = left_edges(mixed_precision)
    assert len(left) > 3
    assert off(left) < 1e-3


def test_a_box_near_800_does_not_keep_it_where_the_whole_detector_is_autocast() -> None:
    assert off(left_edges(whole)) > 0.5


def test_convolutions_compute_in_bfloat16_and_what_gives_scores_and_deltas_in_float32(
    adapter: Small, images: list[Tensor]
) -> None:
    low = ["backbone.conv", "rpn.head.conv.0.0", "roi_heads.box_head.fc6", "roi_heads.box_head.fc7"]
    rpn, box = ["rpn.head.cls_logits", "rpn.head.bbox_pred"], ["cls_score", "bbox_pred"]
    high = ["rpn.head.conv", "roi_heads.box_head", *rpn, *(f"roi_heads.box_predictor.{name}" for name in box)]
    seen = dtypes(adapter, low + high)
    with mixed_precision(adapter, "cpu"):
        adapter.detect(images)
    assert seen == dict.fromkeys(low, torch.bfloat16) | dict.fromkeys(high, torch.float32)


def test_losses_and_gradients_are_float32_and_near_those_of_full_precision(
    adapter: Small, images: list[Tensor], targets: list[dict[str, Tensor]]
) -> None:
    adapter.train()
    torch.manual_seed(0)
    full = adapter.losses(images, targets)
    torch.manual_seed(0)
    with mixed_precision(adapter, "cpu"):
        mixed = adapter.losses(images, targets)
    sum(mixed.values()).backward()
    for name, loss in full.items():
        assert mixed[name].dtype == torch.float32
        assert float(mixed[name].detach()) == pytest.approx(float(loss.detach()), rel=0.05, abs=0.005)
        assert not torch.equal(mixed[name], loss)
    gradients = [p.grad for p in adapter.parameters() if p.requires_grad]
    assert all(g is not None and g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


def test_after_the_block_the_detector_is_as_before_to_the_bit(adapter: Small, images: list[Tensor]) -> None:
    before = adapter.detect(images)
    with pytest.raises(TypeError), mixed_precision(adapter, "cpu"):
        adapter.model(None)  # even after an error
    for first, again in zip(before, adapter.detect(images), strict=True):
        assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_detector_that_names_no_modules_computes_in_float32(adapter: Small, images: list[Tensor]) -> None:
    adapter.dense = ()
    seen = dtypes(adapter, ["backbone.conv"])
    with mixed_precision(adapter, "cpu"):
        adapter.detect(images)
    assert seen == {"backbone.conv": torch.float32}
