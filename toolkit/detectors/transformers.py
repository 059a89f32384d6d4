"""DETR (Carion et al., End-to-End Object Detection with Transformers, ECCV 2020) as transformers has it.

A user's own, and what `detr_resnet50` is built of.
"""

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import box_convert, clip_boxes_to_image
from transformers import DetrConfig, DetrForObjectDetection
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.loss.loss_for_object_detection import HungarianMatcher, ImageLoss
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.detr.modeling_detr import DetrEncoder

from toolkit.detectors.adapter import Adapter, Covered, Found, Look, Target
from toolkit.detectors.candidates import Candidates, log_odds
from toolkit.detectors.grids import Passed, grids_of, require_one_size
from toolkit.errors import BadInput, Problem
from toolkit.params import Solver

# The paper trains the transformer by AdamW at 1e-4 and the backbone at 1e-5 (section 4), where the torchvision
# detectors are fine-tuned by SGD at 5e-3: what params say is brought to that scale, so that one preset serves both.
SLOWER, BACKBONE_SLOWER = 50, 10


class Encoder(DetrEncoder):
    """Its sequence of cells passes through `cells` as the grid [B, C, h, w] that it was made of: layers are explained
    as grids.
    """

    def __init__(self, config: DetrConfig) -> None:
        super().__init__(config)
        self.cells, self.shape = nn.Identity(), (0, 0)

    def shape_of(self, _projection: nn.Module, _given: object, grid: Tensor) -> None:
        """A hook of the module that makes the grid from which the sequence is made."""
        self.shape = (grid.shape[-2], grid.shape[-1])

    def forward(self, *arguments: Any, **given: Any) -> BaseModelOutput:
        outputs = super().forward(*arguments, **given)
        grid = self.cells(outputs.last_hidden_state.mT.unflatten(2, self.shape))
        return BaseModelOutput(last_hidden_state=grid.flatten(2).mT)


class Transformers(Adapter):
    """Its candidates are the queries, each with one box for all classes and a softmax over these and no object."""

    described = "config.json"
    layer = "deepest"  # of the backbone
    licence = "Apache-2.0 (transformers), and that of the weights"
    usual = 800
    model: Any

    def __init__(self, classes: int, size: int, description: str) -> None:
        """`size`: images are scaled so that their shorter side has this many pixels.

        `description` is the model's own JSON, whose id2label names the classes of the weights.
        """
        super().__init__(classes, size)
        config = _validated(description)
        self.description = description
        self.classes = tuple(name for _, name in sorted(config.id2label.items()))
        config.num_labels = classes
        try:
            self.model = DetrForObjectDetection(config)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, AssertionError) as error:
            raise _refused(f"describes no model that transformers can build ({error})"[:300]) from None
        core = self.model.model
        core.encoder = Encoder(config)
        core.input_projection.register_forward_hook(core.encoder.shape_of)
        parts = [f"model.backbone.model.{part}" for part in core.backbone.model.feature_info.module_name()]
        self.dense = tuple(parts)
        self.model.deepest = Passed()
        self.model.deepest.follow(self.model.get_submodule(parts[-1]))
        self.transform = GeneralizedRCNNTransform(
            size, round(size * 5 / 3), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, size_divisible=1
        )

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        fresh, matched = self.model.state_dict(), self._renamed(state)
        pairs = [(classes.index(name), known.index(name)) for name in classes if name in known]
        for key in ("class_labels_classifier.weight", "class_labels_classifier.bias"):
            if key in matched:
                source, target = matched[key], fresh[key].clone()
                if len(source) != len(known) + 1:
                    raise IndexError(f"{key} has rows for {len(source) - 1} classes, not for {len(known)}")
                for new, old in [(-1, -1), *pairs]:  # the last is no object's
                    target[new] = source[old]
                matched[key] = target
        return matched

    def _renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights by their names in the installed transformers, which stores them by older ones."""
        renamings = get_model_conversion_mapping(self.model, add_legacy=False)
        named = {rename_source_key(name, renamings, [])[0]: tensor for name, tensor in state.items()}
        return {name: tensor for name, tensor in named.items() if not name.endswith("num_batches_tracked")}

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Those of every decoder layer, as in the paper.

        transformers' own switch for them (`auxiliary_loss`) feeds each layer the normalised output of the one before,
        which the network was never made for: here the layers' outputs are only looked at.
        """
        core, config = self.model.model, self.model.config
        with ExitStack() as hooks:
            names = [f"model.decoder.layers.{number}" for number in range(config.decoder_layers - 1)]
            earlier = [hooks.enter_context(self.outputs(name)) for name in names]
            last, _ = self._run(images)
        hidden = [core.decoder.layernorm(output) for (output,) in earlier]
        criterion = ImageLoss(
            HungarianMatcher(config.class_cost, config.bbox_cost, config.giou_cost),
            config.num_labels, config.eos_coefficient, ["labels", "boxes"],
        ).to(images[0].device)  # fmt: skip
        predicted = {
            "logits": last.logits,
            "pred_boxes": last.pred_boxes,
            "auxiliary_outputs": [
                {
                    "logits": self.model.class_labels_classifier(layer),
                    "pred_boxes": self.model.bbox_predictor(layer).sigmoid(),
                }
                for layer in hidden
            ],
        }
        truth = [
            {
                "class_labels": target["labels"] - 1,
                "boxes": box_convert(target["boxes"] / _sides(image), "xyxy", "cxcywh"),
            }
            for image, target in zip(images, targets, strict=True)
        ]
        each = criterion(predicted, truth)
        weights = {"loss_ce": 1, "loss_bbox": config.bbox_loss_coefficient, "loss_giou": config.giou_loss_coefficient}
        return {
            name: weight * torch.stack([loss for key, loss in each.items() if key.startswith(name)]).sum()
            for name, weight in weights.items()
        }

    def optimizer(self, solver: Solver) -> torch.optim.Optimizer:
        rate = solver.lr / SLOWER
        slow = {id(parameter) for parameter in self.model.model.backbone.parameters()}
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            {"params": [parameter for parameter in trained if id(parameter) not in slow], "lr": rate},
            {"params": [parameter for parameter in trained if id(parameter) in slow], "lr": rate / BACKBONE_SLOWER},
        ]
        return torch.optim.AdamW(groups, rate, weight_decay=solver.weight_decay)

    def layers(self) -> set[str]:
        """The backbone's modules that give a grid, and the encoder's `cells`."""
        blank = next(self.model.parameters()).new_zeros(1, 3, self.smallest, self.smallest)
        return grids_of(self.model, lambda: self.model(blank))

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        outputs, _ = self._run(images)
        return _found(outputs, images)

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        require_one_size(images)
        with torch.inference_mode(not gradients):
            with self.outputs(layer) as kept:
                outputs, shown = self._run(images)
            activations = kept[-1]
            covered = _covered(shown, activations.shape[-2:])
            objects = 1 - outputs.logits.softmax(dim=-1)[..., -1]
            evidence = painted(outputs.pred_boxes, objects, covered, activations.shape[-2:])
            if not detections:
                return Look([], [], activations, evidence, covered)
            candidates = [
                Candidates(boxes[:, None].expand(-1, logits.shape[-1] - 1, -1), log_odds(logits)[:, :-1])
                for boxes, logits in zip(_boxes(outputs, images), outputs.logits, strict=True)
            ]
            return Look(_found(outputs, images), candidates, activations, evidence, covered)

    def _run(self, images: Sequence[Tensor]) -> tuple[Any, tuple[int, int]]:
        """What the network gives for images, and the size of the first one as the network sees it."""
        batch, _ = self.transform(list(images))
        mask = torch.zeros_like(batch.tensors[:, 0])
        for own, (height, width) in zip(mask, batch.image_sizes, strict=True):
            own[:height, :width] = 1
        return self.model(batch.tensors, None if mask.all() else mask), batch.image_sizes[0]


def painted(boxes: Tensor, objects: Tensor, covered: Covered, cells: Sequence[int]) -> Tensor:
    """How much of an object the queries see in each cell of a grid, [B, *cells].

    `boxes` [B, Q, 4]: centre, width and height in shares of the image, which has the part `covered` of the grid;
    `objects` [B, Q]: how probable it is that each is one. DETR has no dense head: each query's probability is painted
    into its box, falling from the centre to an eighth at the edges, so that a box as large as the image still says
    where its middle is; a cell has the largest. A box is not painted narrower than a cell.
    """
    weights = objects[..., None]
    shares = []
    for count, end, middle, side in (
        (cells[0], covered[2], boxes[..., 1:2], boxes[..., 3:4]),
        (cells[1], covered[3], boxes[..., 0:1], boxes[..., 2:3]),
    ):
        centres = (torch.arange(count, device=boxes.device) + 0.5) / end
        shares.append((-0.5 * ((centres - middle) / (side / 4).clamp(min=0.5 / end)).square()).exp())
    down, across = shares
    return ((weights * down)[..., None] * across[..., None, :]).amax(dim=1)


def _boxes(outputs: Any, images: Sequence[Tensor]) -> list[Tensor]:
    """Each query's box [Q, 4] in pixels of each image."""
    return [
        clip_boxes_to_image(box_convert(boxes, "cxcywh", "xyxy") * _sides(image), tuple(image.shape[-2:]))
        for boxes, image in zip(outputs.pred_boxes, images, strict=True)
    ]


def _found(outputs: Any, images: Sequence[Tensor]) -> list[Found]:
    """Every query with the class that it is surest of, as transformers' own, without a threshold."""
    scores, labels = outputs.logits.softmax(dim=-1)[..., :-1].max(dim=-1)
    return [
        {"boxes": boxes, "labels": own + 1, "scores": sure}
        for boxes, own, sure in zip(_boxes(outputs, images), labels, scores, strict=True)
    ]


def _sides(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return image.new_tensor([width, height] * 2)


def _covered(shown: Sequence[int], cells: Sequence[int]) -> Covered:
    """What an image of `shown` pixels covers of a grid of so many rows and columns.

    DETR's images are not padded to the grid's stride, which is the least power of two by which the cells cover them.
    """
    longer = int(shown[1] > shown[0])
    stride = 2 ** math.ceil(math.log2(shown[longer] / cells[longer]))
    return 0.0, 0.0, shown[0] / stride, shown[1] / stride


def _validated(text: str) -> DetrConfig:
    """A description of a DETR with one of timm's backbones; raises `BadInput`.

    transformers asks the hub for any other that is told by its name alone.
    """
    try:
        about = json.loads(text)
        kind, named, backbone = (about.get(key) for key in ("model_type", "id2label", "backbone_config"))
        timms = backbone["model_type"] == "timm_backbone" if backbone else about.get("use_timm_backbone", True)
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise _refused(f"is no model's JSON ({type(error).__name__}: {error})"[:300]) from None
    if kind != "detr":
        raise _refused(f"describes a model of the type {kind!r}, which is not detr")
    if not named:
        raise _refused("names no classes (id2label)")
    if not timms:
        raise _refused("has a backbone that is not timm's (use_timm_backbone)")
    about.pop("backbone_kwargs", None)  # of older files, which say what is so anyway
    try:
        return DetrConfig.from_dict(about)
    except Exception as error:  # its checks raise what each field's type does
        raise _refused(f"describes no DETR ({type(error).__name__}: {error})"[:300]) from None


def _refused(fault: str) -> BadInput:
    mend = "put the config.json of a DETR into the folder: docs/detectors.md"
    return BadInput(Problem(Transformers.described, fault, mend))
