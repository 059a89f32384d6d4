"""torchvision's SSDlite on MobileNetV3: the smallest of the study's seven."""

from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights, ssdlite320_mobilenet_v3_large

from toolkit.detectors.published import Torchvision
from toolkit.detectors.single_shot import SSD

LEVELS = 6


class SSDLite320MobileNetV3(SSD):
    """It squeezes every image into 320 x 320 pixels."""

    layer = "backbone.features.1"  # the last that a level is made of directly, of 10 x 10 cells
    joined = "backbone.features.0+backbone.features.1"
    stages = ("backbone.features.0", "backbone.features.1", "backbone.extra.0")
    licence = "BSD-3-Clause; the weights are trained on COCO"
    coco = Torchvision(SSDLite320_MobileNet_V3_Large_Weights.COCO_V1)
    smallest = largest = usual = 320
    scores = tuple(f"head.classification_head.module_list.{level}.1" for level in range(LEVELS))

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes, size)
        self.model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)
