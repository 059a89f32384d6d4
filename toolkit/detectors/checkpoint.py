"""Detector weights on disk: tensors and nothing else, their heads matched to the wanted classes by name."""

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput, Problem
from toolkit.files import replacing
from toolkit.voc import voc_name

PICKLED = (b"PK", b"\x80")  # how files of torch.save begin: a zip's, or a pickle's own
TORCH = ("*.pt", "*.pth", "*.bin")  # its files' usual endings
WITHIN = ("ema", "model", "state_dict", "model_state_dict")  # where training scripts keep weights; averaged ones first


def save_checkpoint(adapter: Adapter, path: Path, classes: Sequence[str]) -> None:
    """Store the weights as safetensors: tensors only, so that loading a stranger's file runs no code."""
    state = {name: tensor.contiguous().cpu() for name, tensor in adapter.model.state_dict().items()}
    about = {"classes": json.dumps(list(classes))} | ({"description": adapter.description} if adapter.described else {})
    with replacing(path) as partial:
        save_file(state, partial, about)


def load_checkpoint(adapter: Adapter, path: Path, classes: Sequence[str]) -> None:
    """Fill `adapter` from a checkpoint: safetensors (see `save_checkpoint`), or what torch reads as weights only.

    The heads' rows are matched by class name, COCO's by those that VOC has for them: a class that the checkpoint does
    not know keeps its fresh weights. Where it names no classes, its rows are taken to be of those that the adapter's
    description names.
    """
    state, named = read(path)
    known = [name if name in classes else voc_name(name) for name in named or adapter.classes]
    try:
        fill(adapter, state, known, classes)
    except (RuntimeError, IndexError) as error:
        mend = "set detector.name to the one it was made with"
        raise BadInput(Problem(str(path), f"is another detector's checkpoint ({error})"[:300], mend)) from None


def fill(adapter: Adapter, state: dict[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> None:
    """Take on weights for the classes `known`; raises as `Adapter.with_classes` and `load_state_dict`."""
    adapter.model.load_state_dict(adapter.with_classes(state, known, classes))


def read(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a checkpoint, and the classes that it names; raises `BadInput` where it cannot be read safely."""
    path = weights_file(path)
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith(PICKLED) and start[8:] != b"{":  # safetensors begin with any eight bytes, and then a brace
        return _weights_only(path), []
    try:
        with safe_open(path, "pt") as tensors:
            known = json.loads((tensors.metadata() or {}).get("classes", "[]"))
            if not (isinstance(known, list) and all(isinstance(name, str) for name in known)):
                raise ValueError("its classes are not a list of names")
            return {name: tensors.get_tensor(name) for name in tensors.keys()}, known  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, RecursionError) as error:
        mend = "fetch or make the checkpoint again"
        raise BadInput(Problem(str(path), f"is not a safetensors checkpoint ({error})", mend)) from None


def _weights_only(path: Path) -> dict[str, Tensor]:
    """What `torch.save` wrote, if it is weights and no code."""
    mend = f"where you trust it, `salvoc convert {path} NEW.safetensors` makes tensors of it"
    try:
        return weights_of(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        raise BadInput(Problem(str(path), "is a pickle that would run code of its own", mend)) from None
    except (RuntimeError, ValueError, EOFError, KeyError) as error:
        raise BadInput(Problem(str(path), f"is no checkpoint ({error})"[:300], "fetch or make it again")) from None


def weights_of(stored: Any) -> dict[str, Tensor]:
    """The weights in what `torch.save` stored: a state dict, or one among other things; ValueError where there is none.

    A model that was stored whole gives its own.
    """
    if isinstance(stored, torch.nn.Module):
        stored = stored.float().state_dict()
    if isinstance(stored, Mapping):
        if stored and all(isinstance(tensor, Tensor) for tensor in stored.values()):
            return {str(name): tensor for name, tensor in stored.items()}
        for name in WITHIN:
            if stored.get(name) is not None:
                return weights_of(stored[name])
    raise ValueError("it holds no weights")


def description(path: Path, name: str) -> str:
    """What the model is whose weights lie at `path`: the text of the file `name` in a user's folder.

    A checkpoint that salvoc has stored carries it. Raises `BadInput` where there is none.
    """
    mend = f"name a folder in detector.checkpoint that holds {name} and the weights: docs/detectors.md"
    if path.is_dir():
        if not (path / name).is_file():
            raise BadInput(Problem(str(path / name), "does not exist", mend))
        return (path / name).read_text("utf-8")
    try:
        with safe_open(weights_file(path), "pt") as tensors:
            return (tensors.metadata() or {})["description"]
    except (SafetensorError, KeyError):
        raise BadInput(Problem(str(path), "does not say what model its weights are of", mend)) from None


def weights_file(path: Path) -> Path:
    """The file of a checkpoint, which may be the only one of its kind in a folder; raises `BadInput` where none is."""
    if path.is_file():
        return path
    found = sorted(path.glob("*.safetensors")) or sorted(file for kind in TORCH for file in path.glob(kind))
    if len(found) == 1:
        return found[0]
    mend = "name one that is there in detector.checkpoint; `dvc repro sample_base` makes the sample's own"
    fault = f"holds {len(found)} files of weights" if found else "the detector's checkpoint is missing"
    raise BadInput(Problem(str(path), fault, mend))
