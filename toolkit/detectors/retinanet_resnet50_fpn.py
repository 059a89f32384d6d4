"""torchvision's RetinaNet with a ResNet-50 feature pyramid."""

from torchvision.models.detection import RetinaNet, RetinaNet_ResNet50_FPN_Weights
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from toolkit.detectors.published import Torchvision
from toolkit.detectors.single_shot import Retina


class RetinaNetResNet50FPN(Retina):
    """It is made as torchvision makes the one that it fills with COCO weights (see `fasterrcnn_resnet50_fpn`)."""

    layer = "backbone.body.layer4"  # the deepest, as in the study
    joined = "+".join(f"backbone.fpn.layer_blocks.{number}" for number in range(3))
    stages = tuple(f"backbone.body.layer{number}" for number in range(1, 5))
    licence = "BSD-3-Clause; the weights are trained on COCO"
    coco = Torchvision(RetinaNet_ResNet50_FPN_Weights.COCO_V1)
    usual = 800

    def __init__(self, classes: int, size: int) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels."""
        super().__init__(classes, size)
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, trainable_layers=3, returned_layers=[2, 3, 4],
            extra_blocks=LastLevelP6P7(256, 256),
        )  # fmt: skip
        overwrite_eps(backbone, 0.0)
        self.model = RetinaNet(backbone, num_classes=classes, min_size=size, max_size=round(size * 5 / 3))
