"""A detector whose evidence is known by construction: how bright one patch of the object's box is, and nothing else."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from toolkit.detectors.adapter import Adapter, Look, Target
from toolkit.detectors.candidates import Candidates, log_odds
from toolkit.faithfulness.cases import Case

SIDE = 64
BOX = (16, 16, 56, 48)  # x0, y0, x1, y1 of the object
PATCH = (slice(20, 28), slice(40, 52))  # rows and columns that the score reads, inside the box
SHARE = 8 * 12 / SIDE**2  # of the image


class Toy(Adapter):
    """It has one candidate, the box, whose one class is the likelier the brighter the patch is."""

    layer, licence = "shown", "none"

    def __init__(self, classes: int = 1, size: int = SIDE) -> None:
        super().__init__(classes, size)
        self.model = nn.ModuleDict({"shown": nn.Identity(), "weigh": nn.Linear(1, 2)})
        self.model["weigh"].load_state_dict({"weight": torch.tensor([[0.0], [20.0]]), "bias": torch.tensor([0.0, -8])})

    def with_classes(self, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> dict[str, Tensor]:
        return state

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return {}

    def layers(self) -> set[str]:
        return {"shown"}

    def detect(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        return self.look(images, "shown").found

    def look(self, images: Sequence[Tensor], layer: str, detections: bool = True, gradients: bool = False) -> Look:
        with torch.inference_mode(not gradients):
            shown = self.model["shown"](torch.stack(list(images)))
            brightness = shown[:, :, PATCH[0], PATCH[1]].mean(dim=(1, 2, 3))
            odds = log_odds(self.model["weigh"](brightness[:, None]))[:, 1:]
            boxes = torch.tensor([BOX], dtype=torch.float32)
            found = [{"boxes": boxes, "labels": torch.tensor([1]), "scores": one.sigmoid()} for one in odds]
            candidates = [Candidates(boxes[:, None], one[None]) for one in odds]
            return Look(found, candidates, shown, shown.mean(dim=1), (0.0, 0.0, float(SIDE), float(SIDE)))


def seen(number: int) -> Case:
    """An image of noise, darker outside the patch, so that edges lie all over it."""
    noise = np.random.default_rng(number).random((3, SIDE, SIDE)).astype(np.float32) * 0.6
    noise[:, PATCH[0], PATCH[1]] += 0.4
    image = torch.from_numpy(noise)
    toy = Toy().eval()
    score = float(toy.look([image], "shown").found[0]["scores"])
    return Case(f"image {number}", image, torch.tensor(BOX, dtype=torch.float32), torch.tensor(0), score)


def true_map(case: Case) -> np.ndarray:
    """What the detector really uses."""
    heatmap = np.zeros((SIDE, SIDE), np.float32)
    heatmap[PATCH] = 1
    return heatmap
