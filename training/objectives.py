"""What a detector is trained towards: from a batch to the losses of one step, which are added up."""

from collections.abc import Callable

from torch import Tensor

from toolkit.detectors.adapter import Adapter, Target
from toolkit.errors import require_known

Objective = Callable[[Adapter, list[Tensor], list[Target]], dict[str, Tensor]]

OBJECTIVES: dict[str, Objective] = {
    "detection": lambda adapter, images, targets: adapter.losses(images, targets),
}


def objective(name: str) -> Objective:
    """The objective that an arm's row names; raises `BadInput` that lists the known ones."""
    require_known("arms", "objective", name, OBJECTIVES)
    return OBJECTIVES[name]
