"""torchvision's Faster R-CNN with a ResNet-50 feature pyramid: the study's detector, for real photographs."""

from torchvision.models.detection import FasterRCNN, FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from toolkit.detectors.published import Torchvision
from toolkit.detectors.rcnn import RCNN


class FasterRCNNResNet50FPN(RCNN):
    """It is made as torchvision makes the one that it fills with COCO weights.

    Three of the backbone's stages are trained, BatchNorm keeps its statistics and adds no epsilon. torchvision's own
    function does so only while it downloads them.
    """

    # the deepest, as in the study; how true its map is with COCO's weights, `salvoc layers` says where these can be had
    layer = "backbone.body.layer4"
    joined = "+".join(f"backbone.fpn.layer_blocks.{number}" for number in range(4))
    stages = tuple(f"backbone.body.layer{number}" for number in range(1, 5))
    licence = "BSD-3-Clause; the weights are trained on COCO"
    coco = Torchvision(FasterRCNN_ResNet50_FPN_Weights.COCO_V1)
    usual = 800

    def __init__(self, classes: int, size: int) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels."""
        super().__init__(classes, size)
        backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=3)
        overwrite_eps(backbone, 0.0)
        self.model = FasterRCNN(backbone, num_classes=classes + 1, min_size=size, max_size=round(size * 5 / 3))
