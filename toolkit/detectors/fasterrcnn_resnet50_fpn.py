"""torchvision's Faster R-CNN with a ResNet-50 feature pyramid: the study's detector, for real photographs."""

from collections.abc import Sequence
from urllib.error import URLError

from torchvision.models.detection import FasterRCNN, FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from toolkit.detectors.checkpoint import with_classes
from toolkit.errors import BadInput, Problem

COCO = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
# VOC's names for COCO's categories, where they differ
VOC_NAMES = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}


def build(classes: int, size: int) -> FasterRCNN:
    """The detector with fresh weights; images are scaled so that their shorter side is `size` (torchvision: 800).

    It is made as torchvision makes the one that it fills with COCO weights: three of the backbone's stages are trained,
    BatchNorm keeps its statistics and adds no epsilon. Its own function does so only while it downloads them.
    """
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=3)
    overwrite_eps(backbone, 0.0)
    return FasterRCNN(backbone, num_classes=classes + 1, min_size=size, max_size=round(size * 5 / 3))


def load_coco(model: FasterRCNN, classes: Sequence[str]) -> None:
    """Fill `model` with torchvision's COCO weights; the heads keep the rows of the classes that COCO has."""
    try:
        state = COCO.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError) as error:
        mend = (
            "check the connection, put the file into ~/.cache/torch/hub/checkpoints by hand, or start from another "
            "detector (detector.name, detector.weights)"
        )
        raise BadInput(Problem(COCO.url, f"cannot be downloaded ({error})", mend)) from None
    known = [VOC_NAMES.get(name, name) for name in COCO.meta["categories"][1:]]
    with_classes(state, model, known, classes)
    model.load_state_dict(state)
