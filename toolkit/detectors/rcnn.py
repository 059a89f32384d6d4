"""torchvision's R-CNNs with a feature pyramid (transform, backbone, rpn, roi_heads): all that their adapters share."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import clip_boxes_to_image

from toolkit.detectors.adapter import Adapter, Found, Look, Target
from toolkit.detectors.candidates import Candidates, log_odds


class RCNN(Adapter):
    """The evidence is the region proposal network's objectness; the candidates are its proposals."""

    model: GeneralizedRCNN
    dense = ("backbone", "rpn.head.conv", "roi_heads.box_head")
    heads = (("roi_heads.box_predictor.cls_score", 1), ("roi_heads.box_predictor.bbox_pred", 4))  # and rows a class

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        fresh, matched = self.model.state_dict(), dict(state)
        pairs = [(0, 0)] + [(1 + classes.index(name), 1 + known.index(name)) for name in classes if name in known]
        for key, rows in ((f"{head}.{kind}", rows) for head, rows in self.heads for kind in ("weight", "bias")):
            if key in state:
                target, source = fresh[key].clone().unflatten(0, (-1, rows)), state[key].unflatten(0, (-1, rows))
                for new, old in pairs:
                    target[new] = source[old]
                matched[key] = target.flatten(0, 1)
        return matched

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return self.model(images, targets)

    @torch.inference_mode()
    def layers(self) -> set[str]:
        """The backbone's modules that give a grid when it runs."""
        grids: set[str] = set()

        def note(name: str, module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                grids.add(name)

        backbone = self.model.backbone
        named = backbone.named_modules(prefix="backbone")
        hooks = [module.register_forward_hook(partial(note, name)) for name, module in named]
        backbone(next(backbone.parameters()).new_zeros(1, 3, 64, 64))
        for hook in hooks:
            hook.remove()
        return grids

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        return self.model(list(images))

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        """Without `detections`, the pyramid's finer levels are not made, and the box head is not run."""
        if len({image.shape for image in images}) > 1:
            raise ValueError("a batch must be of one image size")
        with torch.inference_mode(not gradients):
            return self._look(images, layer, detections)

    def _look(self, images: Sequence[Tensor], layer: str, detections: bool) -> Look:
        batch, _ = self.model.transform(list(images))
        with self.outputs(layer) as kept:
            pyramid = self.model.backbone(batch.tensors) if detections else self._level_of(kept, batch.tensors)
        activations = kept[-1]
        cells = activations.shape[-2:]
        # The level that hangs on the explained layer has its size; the nearest one stands in for a layer between levels
        level = min(pyramid.values(), key=lambda features: _apart(features, activations))
        objectness = self.model.rpn.head([level])[0][0].amax(dim=1, keepdim=True)  # of a cell's anchors the largest
        if objectness.shape[-2:] != cells:
            objectness = F.interpolate(objectness, cells, mode="bilinear", align_corners=False)
        padded, shown = batch.tensors.shape[-2:], batch.image_sizes[0]
        covered = (0.0, 0.0, shown[0] / padded[0] * cells[0], shown[1] / padded[1] * cells[1])
        found, candidates = self._detected(batch, pyramid, images[0].shape[-2:]) if detections else ([], [])
        return Look(found, candidates, activations, objectness[:, 0], covered)

    def _level_of(self, kept: list[Tensor], images: Tensor) -> dict[str, Tensor]:
        """Of the pyramid [B, C, h, w] the level that is nearest in size to the activations that `kept` holds by then.

        A feature pyramid is made from the coarsest level down, and its finest level costs as much as half of a ResNet:
        what is finer than the wanted one is left out.
        """
        fpn, features = self.model.backbone.fpn, self.model.backbone.body(images)
        stages = list(features.values()) if isinstance(features, dict) else features
        if not kept:  # the layer is one of the pyramid's own
            return fpn(OrderedDict((str(number), stage) for number, stage in enumerate(stages)))
        level = min(range(len(stages)), key=lambda number: _apart(stages[number], kept[-1]))
        merged = fpn.get_result_from_inner_blocks(stages[-1], -1)
        for number in range(len(stages) - 2, level - 1, -1):
            lateral = fpn.get_result_from_inner_blocks(stages[number], number)
            merged = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
        return {str(level): fpn.get_result_from_layer_blocks(merged, level)}

    def _detected(
        self, batch: ImageList, pyramid: dict[str, Tensor], size: Sequence[int]
    ) -> tuple[list[Found], list[Candidates]]:
        """What `model` makes of a pyramid, and what its box head said of every proposal; boxes in images of `size`."""
        heads, shapes = self.model.roi_heads, batch.image_sizes
        proposals, _ = self.model.rpn(batch, pyramid)
        logits, changes = heads.box_predictor(heads.box_head(heads.box_roi_pool(pyramid, proposals, shapes)))
        chosen = zip(*heads.postprocess_detections(logits, changes, proposals, shapes), strict=True)
        found = [{"boxes": boxes, "labels": labels, "scores": scores} for boxes, scores, labels in chosen]
        found = self.model.transform.postprocess(found, shapes, [size] * len(shapes))
        counts = [len(proposed) for proposed in proposals]
        considered = heads.box_coder.decode(changes, proposals)[:, 1:].split(counts)  # the first is background's
        sure = log_odds(logits)[:, 1:].split(counts)
        boxes = [
            resize_boxes(clip_boxes_to_image(decoded, shape).flatten(0, 1), shape, size).view_as(decoded)
            for decoded, shape in zip(considered, shapes, strict=True)
        ]
        return found, list(map(Candidates, boxes, sure))


def _apart(grid: Tensor, other: Tensor) -> float:
    """How far apart two grids' sizes are."""
    return abs(math.log(grid.shape[-1] / other.shape[-1]))
