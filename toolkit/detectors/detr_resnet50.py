"""DETR with a ResNet-50: the study's only transformer."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from toolkit.detectors.published import cannot_be_had
from toolkit.detectors.transformers import Transformers
from toolkit.voc import voc_name

# By COCO's numbers, from 0 to 90; the numbers that COCO does not use are rows as well.
CATEGORIES = ["N/A", *FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]]
MODEL = json.dumps({"model_type": "detr", "backbone": "resnet50", "id2label": dict(enumerate(CATEGORIES))})
FILE = "model.safetensors"


@dataclass(frozen=True)
class Hub:
    """On the Hugging Face hub, at a commit: its name says what is in the file."""

    repository: str
    revision: str

    @property
    def url(self) -> str:
        return hf_hub_url(self.repository, FILE, revision=self.revision)

    def file(self) -> Path:
        folder = repo_folder_name(repo_id=self.repository, repo_type="model")
        return Path(constants.HF_HUB_CACHE, folder, "snapshots", self.revision, FILE)

    def load(self) -> tuple[dict[str, Tensor], list[str]]:
        try:
            file = hf_hub_download(self.repository, FILE, revision=self.revision)
            return load_file(file), [voc_name(name) for name in CATEGORIES]
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError, SafetensorError) as error:
            raise cannot_be_had(self, error) from None


class DETRResNet50(Transformers):
    """It is made as transformers makes the one that it fills with COCO weights."""

    described = ""
    layer = "model.backbone.model.layer4"  # the deepest, as in the study
    stages = (*(f"model.backbone.model.layer{number}" for number in range(1, 5)), "model.encoder.cells")
    licence = "Apache-2.0 (transformers, and its weights, which are trained on COCO)"
    coco = Hub("facebook/detr-resnet-50", "1d5f47bd3bdd2c4bbfa585418ffe6da5028b4c0b")

    def __init__(self, classes: int, size: int) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels."""
        super().__init__(classes, size, MODEL)
