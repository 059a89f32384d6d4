"""torchvision's SSD on VGG-16: of the study's seven the one whose map was nearest to people's."""

from torchvision.models.detection import SSD300_VGG16_Weights, ssd300_vgg16

from toolkit.detectors.published import Torchvision
from toolkit.detectors.single_shot import SSD

LEVELS = 6
FROZEN = 5  # modules of VGG-16's first stage, which torchvision does not train


class SSD300VGG16(SSD):
    """It squeezes every image into 300 x 300 pixels: its anchors are made for these."""

    layer = "backbone.extra.1"  # the study's, of 10 x 10 cells
    joined = "+".join(("backbone.features", *(f"backbone.extra.{number}" for number in range(3))))
    stages = ("backbone.features", *(f"backbone.extra.{number}" for number in range(3)))
    licence = "BSD-3-Clause; the weights are trained on COCO"
    coco = Torchvision(SSD300_VGG16_Weights.COCO_V1)
    smallest = largest = usual = 300
    scores = tuple(f"head.classification_head.module_list.{level}" for level in range(LEVELS))

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes, size)
        self.model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=classes + 1)
        for parameter in self.model.backbone.features[:FROZEN].parameters():
            parameter.requires_grad = False
