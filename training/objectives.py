"""What a detector is trained towards: from a batch to the losses of one step, which are added up."""

from collections.abc import Callable

from torch import Tensor

from toolkit.detectors.adapter import Adapter, Target
from toolkit.errors import BadInput, Problem

Objective = Callable[[Adapter, list[Tensor], list[Target]], dict[str, Tensor]]

OBJECTIVES: dict[str, Objective] = {
    "detection": lambda adapter, images, targets: adapter.losses(images, targets),
}


def objective(name: str) -> Objective:
    """The objective that an arm's row names; raises `BadInput` that lists the known ones."""
    if name not in OBJECTIVES:
        raise BadInput(Problem("arms", f"knows no objective {name!r}", f"choose one of: {', '.join(OBJECTIVES)}"))
    return OBJECTIVES[name]
