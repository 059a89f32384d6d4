"""Ultralytics' detectors with the head of YOLOv8 (YOLOv5u, v8, v9, 11): a user's own, and what `yolov5s` is built of.

The package is AGPL-3.0: nothing but this module and `yolov5s` imports it.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torchvision.ops import box_convert, clip_boxes_to_image

from toolkit.detectors.adapter import Adapter, Covered, Found, Look, Target
from toolkit.detectors.candidates import Candidates
from toolkit.detectors.grids import Passed, grids_of, nearest, require_one_size, sized
from toolkit.detectors.imported import unchanged
from toolkit.errors import BadInput, Problem

with unchanged():
    from ultralytics.nn import modules
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import DEFAULT_CFG
    from ultralytics.utils.loss import v8DetectionLoss
    from ultralytics.utils.nms import non_max_suppression

GREY = 114 / 255  # of the padding, as ultralytics'
LEAST, OVERLAP, MOST = 0.001, 0.7, 300  # of its validation: a detection's score, two boxes' IoU, detections an image
ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Z]\w*\([\w=., ]*\)")  # all that its parser is given to evaluate


class Ultralytics(Adapter):
    """Its candidates are the anchor points of all scales, each with one box for all classes and a sigmoid for each."""

    described = "model.yaml"
    layer = "deepest"  # of the backbone
    licence = "AGPL-3.0 (ultralytics), and that of the weights"
    usual = 640
    model: Any

    def __init__(self, classes: int, size: int, description: str) -> None:
        """`size`: images are scaled so that their longer side has this many pixels.

        `description` is the model's own YAML: nc, backbone and head, and where the weights name no classes their
        `names`.
        """
        super().__init__(classes, size)
        about = _validated(description)
        names = about.get("names", [])
        self.description, self.size = description, size
        self.classes = tuple(names.values() if isinstance(names, dict) else names)
        try:
            self.model = DetectionModel(about, verbose=False)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, AssertionError) as error:
            raise _refused(f"describes no model that ultralytics can build ({error})"[:300]) from None
        self.model.args = DEFAULT_CFG  # the weights of its losses
        head = self.head
        # Branches are as wide as those of a checkpoint, whose classes the description counts; only the last layers are
        # for the wanted ones.
        for branch in head.cv3:
            branch[-1] = nn.Conv2d(branch[-1].in_channels, classes, 1)
        head.nc, head.no = classes, classes + 4 * head.reg_max
        head.bias_init()
        head.dynamic = True  # anchors that one pass without gradients had kept could not be used by one with them
        self.stride = int(self.model.stride.max())
        self.last = f"model.{len(self.model.model) - 1}"
        self.dense = tuple(f"model.{number}" for number in range(len(self.model.model) - 1))
        self.model.deepest = Passed()
        self.model.deepest.follow(self.model.model[len(about["backbone"]) - 1])

    @property
    def head(self) -> Any:
        return self.model.model[-1]

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        fresh, matched = self.model.state_dict(), dict(state)
        pairs = [(classes.index(name), known.index(name)) for name in classes if name in known]
        heads = [f"{self.last}.cv3.{level}.{len(branch) - 1}" for level, branch in enumerate(self.head.cv3)]
        for key in (f"{head}.{kind}" for head in heads for kind in ("weight", "bias")):
            if key in state:
                if len(state[key]) != len(known):
                    raise IndexError(f"{key} has rows for {len(state[key])} classes, not for {len(known)}")
                target = fresh[key].clone()
                for new, old in pairs:
                    target[new] = state[key][old]
                matched[key] = target
        return matched

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        batch, frames = self._batch(images)
        sides = batch.new_tensor([batch.shape[3], batch.shape[2]] * 2)
        laid = [frame.lay(target["boxes"]) / sides for target, frame in zip(targets, frames, strict=True)]
        counts = torch.tensor([len(boxes) for boxes in laid], device=batch.device)
        truth = {
            "batch_idx": torch.arange(len(images), device=batch.device).repeat_interleave(counts),
            "cls": torch.cat([target["labels"] for target in targets]) - 1,
            "bboxes": box_convert(torch.cat(laid), "xyxy", "cxcywh"),
        }
        box, kind, distribution = v8DetectionLoss(self.model)(self.model(batch), truth)[0]
        return {"box": box, "class": kind, "distribution": distribution}

    def layers(self) -> set[str]:
        """The modules of backbone and neck that give a grid."""
        blank = next(self.model.parameters()).new_zeros(1, 3, self.smallest, self.smallest)
        return {name for name in grids_of(self.model, lambda: self.model(blank)) if not name.startswith(self.last)}

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        batch, frames = self._batch(images)
        return _chosen(self.model(batch)[0], frames)

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        require_one_size(images)
        with torch.inference_mode(not gradients):
            batch, frames = self._batch(images)
            with self.outputs(layer) as kept:
                predicted, raw = self.model(batch)
            activations, levels, logits = kept[-1], raw["feats"], raw["scores"]  # [B, K, N]
            near = nearest(levels, activations)
            cells = logits.split([level[0, 0].numel() for level in levels], dim=2)[near].amax(dim=1)
            evidence = sized(cells.unflatten(1, levels[near].shape[-2:]), activations)
            covered = frames[0].covered(batch.shape[-2:], activations.shape[-2:])
            if not detections:
                return Look([], [], activations, evidence, covered)
            candidates = [
                Candidates(frame.boxes(boxes.mT)[:, None].expand(-1, len(odds), -1), odds.mT)
                for frame, boxes, odds in zip(frames, predicted[:, :4], logits, strict=True)
            ]
            return Look(_chosen(predicted, frames), candidates, activations, evidence, covered)

    def _batch(self, images: Sequence[Tensor]) -> tuple[Tensor, list["Frame"]]:
        """The images [B, 3, H, W], scaled and padded on all sides, as ultralytics does it."""
        scales = [self.size / max(image.shape[-2:]) for image in images]
        sizes = [
            [max(round(side * scale), 1) for side in image.shape[-2:]]
            for image, scale in zip(images, scales, strict=True)
        ]
        height, width = (-(-max(sides) // self.stride) * self.stride for sides in zip(*sizes, strict=True))
        laid, frames = [], []
        for image, (rows, columns) in zip(images, sizes, strict=True):
            top, left = (height - rows) // 2, (width - columns) // 2
            scaled = F.interpolate(image[None], (rows, columns), mode="bilinear", align_corners=False)
            laid.append(F.pad(scaled, (left, width - columns - left, top, height - rows - top), value=GREY))
            frames.append(Frame(top, left, rows, columns, image.shape[-2:]))
        return torch.cat(laid), frames


class Frame(NamedTuple):
    """Where an image of `size` (height and width) lies in its batch, in pixels of the batch."""

    top: int
    left: int
    rows: int
    columns: int
    size: Sequence[int]

    def lay(self, boxes: Tensor) -> Tensor:
        """Boxes [N, 4] of the image in the batch."""
        height, width = self.size
        scale = boxes.new_tensor([self.columns / width, self.rows / height] * 2)
        return boxes * scale + boxes.new_tensor([self.left, self.top] * 2)

    def boxes(self, laid: Tensor) -> Tensor:
        """Boxes (centre, width, height) [N, 4] of the batch in the image."""
        return self.cut(box_convert(laid, "cxcywh", "xyxy"))

    def cut(self, laid: Tensor) -> Tensor:
        """Boxes [N, 4] of the batch in the image, which they do not leave."""
        height, width = self.size
        scale = laid.new_tensor([width / self.columns, height / self.rows] * 2)
        return clip_boxes_to_image((laid - laid.new_tensor([self.left, self.top] * 2)) * scale, (height, width))

    def covered(self, batch: Sequence[int], cells: Sequence[int]) -> Covered:
        """What the image covers of a grid of so many rows and columns, which covers the batch."""
        down, across = (count / side for count, side in zip(cells, batch, strict=True))
        bottom, right = self.top + self.rows, self.left + self.columns
        return self.top * down, self.left * across, bottom * down, right * across


def _chosen(predicted: Tensor, frames: Sequence[Frame]) -> list[Found]:
    """What ultralytics' own suppression leaves of its predictions [B, 4 + K, N].

    It takes images one by one: of a batch it leaves out the last ones when it has taken too long.
    """
    found = []
    for one, frame in zip(predicted, frames, strict=True):
        (left,) = non_max_suppression(one[None], LEAST, OVERLAP, multi_label=True, max_det=MOST)
        boxes, scores, labels = left.split((4, 1, 1), dim=1)
        found.append({"boxes": frame.cut(boxes), "labels": labels[:, 0].long() + 1, "scores": scores[:, 0]})
    return found


def _validated(text: str) -> dict[str, Any]:
    """A description that names layers alone; raises `BadInput`.

    ultralytics' parser evaluates `activation`, and calls whatever a layer's name finds in it.
    """
    try:
        about = yaml.safe_load(text)
        layers = [*about["backbone"], *about["head"]]
        kinds = [kind for _, _, kind, _ in layers]
        names = about.get("names", [])
        counted = int(about["nc"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise _refused(f"is no model's YAML ({type(error).__name__}: {error})"[:300]) from None
    unknown = {str(kind) for kind in kinds if not _is_layer(str(kind))}
    if unknown:
        raise _refused(f"names layers that ultralytics does not have: {', '.join(sorted(unknown))}")
    if about.get("activation") is not None and not ACTIVATION.fullmatch(str(about["activation"])):
        raise _refused(f"has the activation {about['activation']!r}, which is no torch.nn module with plain arguments")
    if kinds[-1] != "Detect" or about.get("end2end"):
        raise _refused("ends in another head than YOLOv8's")
    if names and len(names) != counted:
        raise _refused(f"names {len(names)} classes, and counts {counted} (nc)")
    return about


def _is_layer(name: str) -> bool:
    kind = getattr(nn, name.removeprefix("nn."), None) if name.startswith("nn.") else getattr(modules, name, None)
    return isinstance(kind, type) and issubclass(kind, nn.Module)


def _refused(fault: str) -> BadInput:
    mend = "write the YAML of an ultralytics detector (YOLOv5u, v8, v9, 11) into it: docs/detectors.md"
    return BadInput(Problem(Ultralytics.described, fault, mend))
