"""Detector weights on disk: safetensors, their heads matched to the wanted classes by name."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput, Problem
from toolkit.files import replacing


def save_checkpoint(adapter: Adapter, path: Path, classes: Sequence[str]) -> None:
    """Store the weights as safetensors: tensors only, so that loading a stranger's file runs no code."""
    state = {name: tensor.contiguous().cpu() for name, tensor in adapter.model.state_dict().items()}
    with replacing(path) as partial:
        save_file(state, partial, {"classes": json.dumps(list(classes))})


def load_checkpoint(adapter: Adapter, path: Path, classes: Sequence[str]) -> None:
    """Fill `adapter` from a checkpoint of `save_checkpoint`.

    The heads' rows are matched by class name: a class that the checkpoint does not know keeps its fresh weights.
    """
    try:
        with safe_open(present(path), "pt") as file:
            known = json.loads((file.metadata() or {}).get("classes", "[]"))
            if not (isinstance(known, list) and all(isinstance(name, str) for name in known)):
                raise ValueError("its classes are not a list of names")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, RecursionError) as error:
        mend = "fetch or make the checkpoint again"
        raise BadInput(Problem(str(path), f"is not a safetensors checkpoint ({error})", mend)) from None
    try:
        adapter.model.load_state_dict(adapter.with_classes(state, known, classes))
    except (RuntimeError, IndexError) as error:
        mend = "set detector.name to the one it was made with"
        raise BadInput(Problem(str(path), f"is another detector's checkpoint ({error})"[:300], mend)) from None


def present(path: Path) -> Path:
    """The checkpoint's path; raises `BadInput` where it is not there."""
    if not path.is_file():
        mend = "name one that is there in detector.checkpoint; `dvc repro sample_base` makes the sample's own"
        raise BadInput(Problem(str(path), "the detector's checkpoint is missing", mend))
    return path
