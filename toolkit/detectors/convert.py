"""A pickle that its owner trusts, turned into tensors: `salvoc convert`."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from toolkit.detectors.checkpoint import weights_of
from toolkit.detectors.imported import unchanged
from toolkit.errors import BadInput, Problem
from toolkit.files import replacing


def convert(pickled: Path, out: Path, classes: Sequence[str] = ()) -> list[str]:
    """Write the weights in what `torch.save` stored as safetensors; running whatever code the pickle has.

    `classes` are the names of the heads' rows, background not among them; by default those that a model which was
    stored whole has itself (`names`, as ultralytics'). Returns those that were written.
    """
    if out.exists():
        raise BadInput(Problem(str(out), "exists already", "give a file that does not exist yet"))
    if not pickled.is_file():
        raise BadInput(Problem(str(pickled), "does not exist", "give a file that torch.save wrote"))
    try:
        with unchanged():
            stored = torch.load(pickled, map_location="cpu", weights_only=False)
        weights = weights_of(stored)
    except ModuleNotFoundError as error:
        mend = f"install the package that it was made with ({error.name}): docs/detectors.md"
        raise BadInput(Problem(str(pickled), f"needs the module {error.name}", mend)) from None
    except (pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError) as error:
        mend = "give a file that torch.save wrote"
        raise BadInput(Problem(str(pickled), f"cannot be read ({error})"[:300], mend)) from None
    known = list(classes) or _names(stored)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as partial:
        about = {"classes": json.dumps(known)} if known else {}
        save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, partial, about)
    return known


def _names(stored: Any) -> list[str]:
    """The classes that a model names, stored whole or in one of a training script's places; none where it does not."""
    places = [stored, *stored.values()] if isinstance(stored, dict) else [stored]
    for place in places:
        names = getattr(place, "names", None)
        if isinstance(names, dict):
            return [str(name) for _, name in sorted(names.items())]
        if isinstance(names, list | tuple):
            return [str(name) for name in names]
    return []
