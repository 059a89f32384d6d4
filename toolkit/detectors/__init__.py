"""The detectors: every module here but those in `SHARED` is one (see `adapter`), and its name is the detector's."""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from toolkit.detectors.adapter import Adapter
from toolkit.detectors.checkpoint import description, fill, load_checkpoint, weights_file
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import digest, sha256
from toolkit.params import Detector
from toolkit.provenance import code
from toolkit.tensors import device

SHARED = {
    "adapter", "batches", "candidates", "checkpoint", "convert", "grids", "imported", "precision", "published", "rcnn",
    "shares", "single_shot", "torchvision_model",
}  # fmt: skip
EXTRAS = {"transformers": "detr", "ultralytics": "yolo"}  # packages, and the extra of pyproject.toml that brings each
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
        package = str(error.name).partition(".")[0]
        extra = EXTRAS.get(package)
        mend = f"`uv pip install -e '.[{extra}]'` in the clone" if extra else "install it"
        fault = f"{name} needs the package {package}"
        raise BadInput(Problem("detector.name", fault, f"{mend}, or choose another detector")) from None
    own = [item for item in vars(module).values() if getattr(item, "__module__", None) == module.__name__]
    (found,) = (item for item in own if isinstance(item, type) and issubclass(item, Adapter))
    return found


def load(settings: Detector, classes: Sequence[str]) -> Adapter:
    """The base detector that params ask for, on the `device`, in evaluation mode, its heads for `classes`.

    Weights that come from no file are the same each time: the global generator neither decides them nor is moved.
    """
    kind = find(settings.name)
    _require(kind, settings)
    own = [description(Path(settings.checkpoint), kind.described)] if kind.described else []
    with torch.random.fork_rng(devices=()):  # it is built on the CPU
        torch.default_generator.manual_seed(FRESH_SEED)
        adapter = kind(len(classes), settings.size, *own)
    if settings.weights == "checkpoint":
        load_checkpoint(adapter, Path(settings.checkpoint), classes)
    elif settings.weights == "coco" and kind.coco:
        fill(adapter, *kind.coco.load(), classes)
    adapter.to(device()).to(memory_format=torch.channels_last)  # a quarter faster on CPUs, and what tensor cores want
    return adapter.eval()


def weights_of(kind: type[Adapter]) -> list[str]:
    """What `detector.weights` may be for a detector."""
    return ["checkpoint", *(["coco"] if kind.coco else []), "imagenet" if kind.imagenet else "none"]


def _require(kind: type[Adapter], settings: Detector) -> None:
    """Raise `BadInput` where params ask for what a detector does not have."""
    name, size = settings.name, settings.size
    problems = []
    if settings.weights not in weights_of(kind):
        mend = f"use one of: {', '.join(weights_of(kind))}; or another detector"
        problems.append(Problem("detector.weights", f"{name} has no {settings.weights} weights", mend))
    if size < kind.smallest or (kind.largest and size > kind.largest):
        least = str(kind.smallest) if kind.smallest == kind.largest else f"{kind.smallest} or more"
        problems.append(Problem("detector.size", f"{name} cannot take {size} pixels", f"use {least}"))
    if problems:
        raise BadInput(problems)


def fingerprint(settings: Detector, classes: Sequence[str]) -> str:
    """What makes the base detector the one it is: part of the key of all that is made with it.

    Its own module's code is in it, which no import of this package's names: detectors do not share their changes.
    """
    kind, path = find(settings.name), Path(settings.checkpoint)
    weights = sha256(weights_file(path)) if settings.weights == "checkpoint" else settings.weights
    own = description(path, kind.described) if kind.described else ""
    return digest(settings.name, own, settings.size, weights, list(classes), code(f"{__name__}.{settings.name}"))
