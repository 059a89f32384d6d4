"""The weights that torchvision publishes for its detectors, trained on COCO."""

from urllib.error import URLError

from torch import Tensor
from torchvision.models import WeightsEnum

from toolkit.errors import BadInput, Problem

# VOC's names for COCO's categories, where they differ
VOC_NAMES = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}


def download(weights: WeightsEnum) -> tuple[dict[str, Tensor], list[str]]:
    """The weights, and by VOC's names the classes that they know; raises `BadInput` where they cannot be had."""
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError) as error:
        mend = (
            "check the connection, put the file into ~/.cache/torch/hub/checkpoints by hand, or start from another "
            "detector (detector.name, detector.weights)"
        )
        raise BadInput(Problem(weights.url, f"cannot be downloaded ({error})", mend)) from None
    return state, [VOC_NAMES.get(name, name) for name in weights.meta["categories"][1:]]
