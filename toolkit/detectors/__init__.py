"""The detectors: every module here but those in `SHARED` is one (see `adapter`), and its name is the detector's."""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from toolkit.detectors.adapter import Adapter
from toolkit.detectors.checkpoint import load_checkpoint, present
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import digest, sha256
from toolkit.params import Detector
from toolkit.provenance import code
from toolkit.tensors import device

SHARED = {"adapter", "batches", "candidates", "checkpoint", "coco", "precision", "rcnn"}
FRESH_SEED = 0  # any would do, if it is one for all: arms that start from different heads cannot be compared


def names() -> list[str]:
    """The detectors there are, none of them imported: some may need an extra."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - SHARED)


def find(name: str) -> type[Adapter]:
    """The detector of this name; raises `BadInput` where there is none, or a package that it needs is missing."""
    require_known("detector.name", "detector", name, names())
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        mend = "install it (pyproject.toml may have it as an extra), or choose another detector"
        raise BadInput(Problem("detector.name", f"{name} needs the package {error.name}", mend)) from None
    own = [item for item in vars(module).values() if getattr(item, "__module__", None) == module.__name__]
    (found,) = (item for item in own if isinstance(item, type) and issubclass(item, Adapter))
    return found


def load(settings: Detector, classes: Sequence[str]) -> Adapter:
    """The base detector that params ask for, on the `device`, in evaluation mode, its heads for `classes`.

    Weights that come from no file are the same each time: the global generator neither decides them nor is moved.
    """
    kind = find(settings.name)
    known = ("checkpoint", *kind.published)
    if settings.weights not in known:
        fault = f"{settings.name} has no {settings.weights} weights"
        raise BadInput(Problem("detector.weights", fault, f"use one of: {', '.join(known)}; or another detector"))
    if settings.size < kind.smallest:
        fault = f"{settings.name} cannot take {settings.size} pixels"
        raise BadInput(Problem("detector.size", fault, f"use {kind.smallest} or more"))
    with torch.random.fork_rng(devices=()):  # it is built on the CPU
        torch.default_generator.manual_seed(FRESH_SEED)
        adapter = kind(len(classes), settings.size)
    if settings.weights == "checkpoint":
        load_checkpoint(adapter, Path(settings.checkpoint), classes)
    else:
        adapter.fill(settings.weights, classes)
    adapter.to(device()).to(memory_format=torch.channels_last)  # a quarter faster on CPUs, and what tensor cores want
    return adapter.eval()


def fingerprint(settings: Detector, classes: Sequence[str]) -> str:
    """What makes the base detector the one it is: part of the key of all that is made with it.

    Its own module's code is in it, which no import of this package's names: detectors do not share their changes.
    """
    file = sha256(present(Path(settings.checkpoint))) if settings.weights == "checkpoint" else settings.weights
    return digest(settings.name, settings.size, file, list(classes), code(f"{__name__}.{settings.name}"))
