"""torchvision's R-CNNs with a feature pyramid (transform, backbone, rpn, roi_heads): all that their adapters share."""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import clip_boxes_to_image

from toolkit import processes
from toolkit.detectors.adapter import Found, Target
from toolkit.detectors.candidates import Candidates, log_odds
from toolkit.detectors.grids import nearest
from toolkit.detectors.shares import pooled_alike, sampled_alike
from toolkit.detectors.torchvision_model import Levels, TorchvisionModel

RPN = ("loss_objectness", "loss_rpn_box_reg")  # the region proposal network's losses


class RCNN(TorchvisionModel):
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

    def shared_losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        rpn, heads, transform = self.model.rpn, self.model.roi_heads, self.model.transform
        for _ in range((processes.count() - 1) * len(images)):
            transform.torch_choice(transform.min_size)  # it draws, for each image of the batch, among one size
        with sampled_alike(rpn) as anchors, sampled_alike(heads) as proposals, pooled_alike(heads.box_roi_pool):
            losses = super().shared_losses(images, targets)
        return {name: loss * (anchors if name in RPN else proposals).weight for name, loss in losses.items()}

    def levels(self, images: Tensor, kept: list[Tensor], detections: bool) -> Levels:
        """Of the pyramid, without `detections`, only the level that is nearest in size to the explained layer.

        A feature pyramid is made from the coarsest level down, and its finest level costs as much as half of a ResNet:
        what is finer than the wanted one is left out.
        """
        if detections:
            return self.model.backbone(images)
        fpn, features = self.model.backbone.fpn, self.model.backbone.body(images)
        stages = list(features.values()) if isinstance(features, dict) else features
        if not kept:  # the layer is one of the pyramid's own
            return fpn(OrderedDict((str(number), stage) for number, stage in enumerate(stages)))
        level = nearest(stages, kept[-1])
        merged = fpn.get_result_from_inner_blocks(stages[-1], -1)
        for number in range(len(stages) - 2, level - 1, -1):
            lateral = fpn.get_result_from_inner_blocks(stages[number], number)
            merged = lateral + F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
        return {str(level): fpn.get_result_from_layer_blocks(merged, level)}

    def evidence(self, levels: Levels, activations: Tensor) -> Tensor:
        # The level that hangs on the explained layer has its size; the nearest one stands in for a layer between levels
        own = list(levels.values())
        return self.model.rpn.head([own[nearest(own, activations)]])[0][0].amax(dim=1)  # of a cell's anchors

    def detected(self, batch: ImageList, levels: Levels, size: Sequence[int]) -> tuple[list[Found], list[Candidates]]:
        heads, shapes = self.model.roi_heads, batch.image_sizes
        proposals, _ = self.model.rpn(batch, levels)
        logits, changes = heads.box_predictor(heads.box_head(heads.box_roi_pool(levels, proposals, shapes)))
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
