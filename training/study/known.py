"""The detectors that there are, as a table: what a person asks before choosing one."""

import pandas as pd

from toolkit import detectors
from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput
from toolkit.voc import VOC_CLASSES


def table() -> pd.DataFrame:
    """A row a detector; of one whose extra is missing how it is had, of a family what it reads."""
    return (
        pd.DataFrame([{"detector": name, **_about(name)} for name in detectors.names()])
        .fillna("")
        .set_index("detector")
    )


def _about(name: str) -> dict[str, str]:
    try:
        kind = detectors.find(name)
    except BadInput as error:
        return {"weights": f"{error.problems[0].fault}: {error.problems[0].mend}"}
    about = {
        "explained layer": "" if kind.described else kind.layer,
        "licence": kind.licence,
        "weights": _weights(kind),
    }
    if kind.described:
        return about
    model = kind(len(VOC_CLASSES), kind.usual).model
    count = sum(parameter.numel() for parameter in model.parameters())
    return about | {"size": str(kind.usual), "parameters": f"{count / 1e6:.1f} M"}


def _weights(kind: type[Adapter]) -> str:
    """What its weights may be, and whether they are here; those of one's own come last."""
    if kind.described:
        return f"a folder of yours with {kind.described}"
    here = {"imagenet": " (embedded)"}
    if kind.coco:
        here["coco"] = " (on disk)" if kind.coco.file().exists() else " (not on disk yet)"
    own, *others = detectors.weights_of(kind)
    return ", ".join(f"{name}{here.get(name, '')}" for name in (*others, own))
