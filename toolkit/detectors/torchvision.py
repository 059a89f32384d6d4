"""torchvision's detectors as their own builders make them: a user's own."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torchvision
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from toolkit.detectors.adapter import Adapter, Found, Look, Target
from toolkit.detectors.grids import Passed
from toolkit.detectors.rcnn import RCNN
from toolkit.detectors.single_shot import FCOS, SSD, Retina
from toolkit.detectors.torchvision_model import TorchvisionModel
from toolkit.errors import BadInput, Problem

# Beginnings of the builders' names: who reads such a model, and how many classes it has beside the objects' own.
READERS: dict[str, tuple[type[TorchvisionModel], int]] = {
    "fasterrcnn_": (RCNN, 1),
    "maskrcnn_": (RCNN, 1),
    "retinanet_": (Retina, 0),
    "fcos_": (FCOS, 0),
    "ssd300_": (SSD, 1),
    "ssdlite320_": (SSD, 1),
}
SSD_LAYERS = {"ssd300_": "backbone.extra.1", "ssdlite320_": "backbone.features.1"}  # of 10 x 10 cells, as the study's
MASKS = ("roi_heads.mask_roi_pool", "roi_heads.mask_head", "roi_heads.mask_predictor")  # nothing here looks at a mask


class Description(BaseModel):
    """A `model.yaml`."""

    model_config = ConfigDict(extra="forbid")

    builder: str  # one of torchvision's
    arguments: dict[str, Any] = Field(default_factory=dict)  # of it
    classes: list[str] = Field(default_factory=list)  # of the weights, background not among them


class Torchvision(Adapter):
    """The reader of the model's family does the work."""

    described = "model.yaml"
    layer = "deepest"  # of the backbone, or the SSDs' of 10 x 10 cells
    licence = "BSD-3-Clause (torchvision), and that of the weights"
    usual = 800

    def __init__(self, classes: int, size: int, description: str) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels; an SSD has but one.

        `description` is YAML: a torchvision `builder`, its `arguments`, the `classes` of the weights.
        """
        super().__init__(classes, size)
        about = _validated(description)
        self.description, self.classes = description, tuple(about.classes)
        (family,) = (start for start in READERS if about.builder.startswith(start))
        reader, besides = READERS[family]
        scaled = {} if reader is SSD else {"min_size": size, "max_size": round(size * 5 / 3)}
        try:
            model = torchvision.models.get_model(
                about.builder, weights=None, weights_backbone=None, num_classes=classes + besides, **scaled,
                **about.arguments,
            )  # fmt: skip
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise _refused(f"has arguments that {about.builder} does not take ({error})"[:300]) from None
        # builders pass on what they do not know, and nobody after them minds it
        taken = {
            *signature(model.__class__).parameters,
            *signature(torchvision.models.get_model_builder(about.builder)).parameters,
        }
        if unknown := about.arguments.keys() - taken:
            raise _refused(f"has arguments that {about.builder} does not take: {', '.join(sorted(unknown))}")
        if model.transform.fixed_size and size != model.transform.fixed_size[0]:
            mend = f"use {model.transform.fixed_size[0]}"
            raise BadInput(Problem("detector.size", f"{about.builder} cannot take {size} pixels", mend))
        if family == "maskrcnn_":
            model.roi_heads.mask_roi_pool = model.roi_heads.mask_head = model.roi_heads.mask_predictor = None
        model.deepest = Passed()
        model.deepest.follow(model.get_submodule(SSD_LAYERS.get(family) or _last_of_body(model)))
        self.reader = reader(classes, size, model)
        self.dense = self.reader.dense
        if isinstance(self.reader, SSD):
            heads = model.head.classification_head.module_list
            self.reader.smallest = size
            self.reader.scores = tuple(
                f"head.classification_head.module_list.{number}" + ".1" * isinstance(head, nn.Sequential)
                for number, head in enumerate(heads)
            )

    @property
    def model(self) -> Any:  # type: ignore[override]
        return self.reader.model

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        boxes = {name: tensor for name, tensor in state.items() if not name.startswith(MASKS)}
        return self.reader.with_classes(boxes, known, classes)

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return self.reader.losses(images, targets)

    def layers(self) -> set[str]:
        return self.reader.layers() | {self.layer}

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        return self.reader.detect(images)

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        return self.reader.look(images, layer, detections, gradients)


def _last_of_body(model: Any) -> str:
    """The last part of the backbone that is below a pyramid."""
    return f"backbone.body.{[*model.backbone.body][-1]}"


def _validated(text: str) -> Description:
    """A description of a model that salvoc can explain; raises `BadInput`."""
    try:
        about = Description.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise _refused(f"is no description of a model ({error})"[:300]) from None
    there = torchvision.models.list_models(module=torchvision.models.detection)
    known = [name for name in there if name.startswith(tuple(READERS))]
    if about.builder not in known:
        raise _refused(f"knows no builder {about.builder!r}", f"choose one of: {', '.join(known)}")
    return about


def _refused(fault: str, mend: str = "write builder, arguments and classes into it: docs/detectors.md") -> BadInput:
    return BadInput(Problem(Torchvision.described, fault, mend))
