"""torchvision's Mask R-CNN with a ResNet-50 feature pyramid, for its boxes."""

from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

from toolkit.detectors.fasterrcnn_resnet50_fpn import FasterRCNNResNet50FPN
from toolkit.detectors.published import Torchvision


class MaskRCNNResNet50FPN(FasterRCNNResNet50FPN):
    """A Faster R-CNN whose weights have learned masks as well.

    The branch that draws the masks is left out: it comes after the boxes and changes none of them, VOC's images have
    no masks to train it with, and nothing here looks at one.
    """

    licence = "BSD-3-Clause; the weights are trained on COCO"
    coco = Torchvision(MaskRCNN_ResNet50_FPN_Weights.COCO_V1, unused=("roi_heads.mask_",))
