"""What a detector is trained towards: from a batch to the losses of one step, which are added up."""

from collections.abc import Callable, Sequence

from toolkit.detectors.adapter import Adapter, Target
from torch import Tensor

from toolkit.errors import BadInput, Problem

Objective = Callable[[Adapter, Sequence[Tensor], Sequence[Target]], dict[str, Tensor]]

OBJECTIVES: dict[str, Objective] = {
    "detection": Adapter.losses,  # the detector's own
}


def objective(name: str) -> Objective:
    """The objective that an arm's row names; raises `BadInput` that lists the known ones."""
    if name not in OBJECTIVES:
        raise BadInput(Problem("arms", f"know no objective {name!r}", f"choose one of: {', '.join(OBJECTIVES)}"))
    return OBJECTIVES[name]
