"""Detectors compared with people: the study's tables 1 to 3, of any detectors on any images (`salvoc study`)."""

from collections.abc import Sequence

from toolkit import detectors
from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput, Problem
from toolkit.params import Detector, Params, Saliency


def detector_of(params: Params, row: str) -> Detector:
    """The detector that a row of `study.detectors` asks for; raises `BadInput` where it cannot be had."""
    own = params.study.detectors[row]
    kind = detectors.find(own.name or row)
    weights = own.weights or params.study.weights
    if own.checkpoint is None and (weights == "checkpoint" or kind.described):
        mend = "name its file in `checkpoint`, or set `weights` to coco or none"
        raise BadInput(Problem(f"study.detectors.{row}", "has no checkpoint", mend))
    return Detector(
        name=own.name or row,
        weights=weights,
        checkpoint=own.checkpoint or "",
        size=own.size or _size(kind, params.study.size),
        at_once=params.detector.at_once,
    )


def _size(kind: type[Adapter], wanted: int | None) -> int:
    """The wanted size where a detector can take it, else its authors' own."""
    takes = wanted is not None and kind.smallest <= wanted <= (kind.largest or wanted)
    return wanted if wanted is not None and takes else kind.usual


def explaining(params: Params, methods: Sequence[str]) -> list[Saliency]:
    """The settings of each method: at the detector's own layer, with the sign that params want."""
    return [params.saliency.model_copy(update={"method": method, "layer": "default"}) for method in methods]
