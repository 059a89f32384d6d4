"""torchvision's detectors that score grids of anchors at once (transform, backbone, head): what they share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import logsigmoid
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import clip_boxes_to_image

from toolkit.detectors.adapter import Found, Target
from toolkit.detectors.candidates import Candidates, log_odds
from toolkit.detectors.grids import nearest
from toolkit.detectors.shares import matched_alike
from toolkit.detectors.torchvision_model import Levels, TorchvisionModel


class SingleShot(TorchvisionModel):
    """The candidates are the anchors, each with one box for all classes."""

    model: Any  # with an `anchor_generator`, a `head` and a `box_coder` besides
    dense = ("backbone",)
    background = 1  # classes of the head before the first object's
    scores: tuple[str, ...]  # the head's modules whose rows are classes, anchor by anchor

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        fresh, matched = self.model.state_dict(), dict(state)
        first = self.background
        for key in (f"{head}.{kind}" for head in self.scores for kind in ("weight", "bias")):
            if key in state:
                target = fresh[key].clone().unflatten(0, (-1, first + len(classes)))  # [anchors, classes, ...]
                source = state[key].unflatten(0, (len(target), -1))
                before = source.shape[1] - len(known)  # torchvision's RetinaNet has a row for background, unused
                if before < first:
                    raise IndexError(f"{key} has rows for {source.shape[1]} classes, not for {len(known)}")
                pairs = [(first + classes.index(name), before + known.index(name)) for name in classes if name in known]
                for new, old in [(row, row) for row in range(first)] + pairs:
                    target[:, new] = source[:, old]
                matched[key] = target.flatten(0, 1)
        return matched

    def detected(self, batch: ImageList, levels: Levels, size: Sequence[int]) -> tuple[list[Found], list[Candidates]]:
        shapes, features = batch.image_sizes, list(levels.values())
        outputs, anchors = self.model.head(features), self.model.anchor_generator(batch, features)
        found = self.model.transform.postprocess(
            self.chosen(outputs, anchors, shapes, features), shapes, [size] * len(shapes)
        )
        candidates = []
        for changes, sure, own, shape in zip(
            outputs["bbox_regression"], self.odds(outputs), anchors, shapes, strict=True
        ):
            boxes = clip_boxes_to_image(self.decoded(changes, own), shape)
            boxes = resize_boxes(boxes, shape, size)
            candidates.append(Candidates(boxes[:, None].expand(-1, sure.shape[1], -1), sure))
        return found, candidates

    @abstractmethod
    def chosen(
        self, outputs: dict[str, Tensor], anchors: list[Tensor], shapes: list[tuple[int, int]], features: list[Tensor]
    ) -> list[Found]:
        """What `model` chooses among the anchors, as it gives it itself."""

    @abstractmethod
    def odds(self, outputs: dict[str, Tensor]) -> Tensor:
        """The log-odds of each class [B, N, K] that the head's outputs say, background not among them."""

    def decoded(self, changes: Tensor, anchors: Tensor) -> Tensor:
        """The boxes [N, 4] that the head makes of an image's anchors."""
        return self.model.box_coder.decode_single(changes, anchors)


class SSD(SingleShot):
    """A softmax over the classes and background, of which the evidence is what speaks against background."""

    def shared_losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        with matched_alike(self.model):
            return super().shared_losses(images, targets)

    def evidence(self, levels: Levels, activations: Tensor) -> Tensor:
        features, head = list(levels.values()), self.model.head.classification_head
        level = nearest(features, activations)
        logits = head.module_list[level](features[level]).unflatten(1, (-1, head.num_columns))  # [B, anchors, C, h, w]
        return (logits[:, :, 1:].logsumexp(dim=2) - logits[:, :, 0]).amax(dim=1)

    def chosen(
        self, outputs: dict[str, Tensor], anchors: list[Tensor], shapes: list[tuple[int, int]], features: list[Tensor]
    ) -> list[Found]:
        return self.model.postprocess_detections(outputs, anchors, shapes)

    def odds(self, outputs: dict[str, Tensor]) -> Tensor:
        return log_odds(outputs["cls_logits"])[..., 1:]


class Retina(SingleShot):
    """A sigmoid for each class, of which the evidence is the largest; it has no background."""

    background = 0
    scores = ("head.classification_head.cls_logits",)

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return super().losses(images, [target | {"labels": target["labels"] - 1} for target in targets])

    def detect(self, images: Sequence[Tensor]) -> list[Found]:
        return [found | {"labels": found["labels"] + 1} for found in self.model(list(images))]

    def evidence(self, levels: Levels, activations: Tensor) -> Tensor:
        features = list(levels.values())
        level = features[nearest(features, activations)]
        logits = self.model.head.classification_head([level])  # [B, h * w * anchors, K]
        return logits.unflatten(1, (*level.shape[-2:], -1)).amax(dim=(3, 4))

    def chosen(
        self, outputs: dict[str, Tensor], anchors: list[Tensor], shapes: list[tuple[int, int]], features: list[Tensor]
    ) -> list[Found]:
        cells = [level.shape[-2] * level.shape[-1] for level in features]
        each = anchors[0].shape[0] // sum(cells)
        counts = [count * each for count in cells]
        split = {name: list(output.split(counts, dim=1)) for name, output in outputs.items()}
        found = self.model.postprocess_detections(split, [list(own.split(counts)) for own in anchors], shapes)
        return [one | {"labels": one["labels"] + 1} for one in found]

    def odds(self, outputs: dict[str, Tensor]) -> Tensor:
        return outputs["cls_logits"]


class FCOS(Retina):
    """Besides a class's sigmoid it has one of how central an anchor is: the root of their product is the score."""

    def shared_losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        with matched_alike(self.model.head):
            return super().shared_losses(images, targets)

    def odds(self, outputs: dict[str, Tensor]) -> Tensor:
        score = (logsigmoid(outputs["cls_logits"]) + logsigmoid(outputs["bbox_ctrness"])) / 2  # its logarithm
        return score - (-score.expm1()).log()

    def decoded(self, changes: Tensor, anchors: Tensor) -> Tensor:
        return self.model.box_coder.decode(changes, anchors)
