"""params.yaml as typed, validated models: an unknown key, a wrong type or a value out of range stops at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import BadInput, Problem

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Item = TypeVar("Item")


def _distinct(items: list[Item]) -> list[Item]:
    if len(set(items)) < len(items):
        raise ValueError("has an entry twice")
    return items


Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_distinct)]
Weights = Literal["checkpoint", "coco", "imagenet", "none"]
Name = Annotated[str, Field(pattern=r"^\w+$")]  # part of paths and of stages' names


class Section(BaseModel):
    """A part of params.yaml; what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Plant(Section):
    correlation: Share
    place: Literal["corner", "near", "overlapping"]
    side: Annotated[float, Field(gt=0, le=0.5)]


class Data(Section):
    source: str  # one of toolkit.sources.SOURCES
    path: str  # the VOC tree, of the folder source or of VOC 2012; or the COCO folder
    split: Literal["listed", "recorded", "tested"]  # see toolkit.sources.recorded
    train_split: str  # names in ImageSets/Main, or COCO's
    test_split: str
    base_split: str  # none, half, or another name there
    plant: Plant | None
    classes: Distinct[str]
    on_error: Literal["stop", "skip"]


class Solver(Section):
    steps: Count
    batch: Count
    lr: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]


class StandIn(Solver):
    seed: int


class Cue(Plant):
    ambiguous: Share


class Sample(Section):
    seed: int
    size: Annotated[int, Field(ge=64, le=1024, multiple_of=32)]
    train_scenes: Count
    test_scenes: Count
    cue: Cue
    base: StandIn


class Detector(Section):
    name: str
    weights: Weights
    checkpoint: str
    size: Annotated[int, Field(ge=64)]
    at_once: Count


class Base(Solver):
    seed: int
    steps: Annotated[int, Field(ge=0)]


class Attention(Section):
    predictor: str  # one of toolkit.attention.PREDICTORS
    human: str  # a folder of people's own attention


class Saliency(Section):
    method: Annotated[str, AfterValidator(str.lower)]  # one of toolkit.saliency.methods()
    layer: str
    sign: Literal["objectness", "raw"]


def _ascending(shares: list[float]) -> list[float]:
    if shares != sorted(set(shares)):
        raise ValueError("must rise from one to the next")
    return shares


class Faithfulness(Section):
    images: Count
    fills: Distinct[Literal["mean", "blur"]]
    shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1), AfterValidator(_ascending)]
    drise: bool


class Inpaint(Section):
    method: Literal["dip", "telea"]
    preset: Literal["fast", "study"]


class Nontrivial(Section):
    policy: Literal["v0", "v1", "v2", "v3"]
    engine: Literal["torchvision", "imgaug"]


class Aug(Section):
    threshold: Share
    against: Literal["known", "human", "gaze"]
    erase_percent: Annotated[float, Field(gt=0, lt=100)]
    seed: int
    inpaint: Inpaint
    nontrivial: Nontrivial


class Arm(Section):
    """One detector of the study: what it is fine-tuned on, to what end, and for how long."""

    variant: str  # one of toolkit.variants.rules.RULES
    objective: str = "detection"  # one of training.objectives.OBJECTIVES
    steps: Annotated[int, Field(ge=0)] | None = None  # as train.steps says
    aug: dict[str, Any] = {}  # what differs from `aug`


class Train(Solver):
    seeds: Distinct[int]
    processes: Count


class Score(Section):
    objects: Count
    resamples: Count
    seed: int


class Workers(Section):
    engine: Literal["local", "ray"]
    address: str | None  # of a Ray cluster


class Compared(Section):
    """A detector that is compared with people; what is left out is as its authors have it, or as `detector` says."""

    name: str | None = None  # one of toolkit.detectors.names(); by default the row's own
    weights: Weights | None = None  # by default as `study` says
    checkpoint: str | None = None
    size: Annotated[int, Field(ge=64)] | None = None  # by default as `study` says where the detector can take that


class Images(Section):
    """Images that detectors are compared with people on."""

    path: str  # a folder of images, or of a VOC tree
    human: str | None = None  # people's attention to them; by default attention.human
    split: str = "test"  # of a VOC tree
    published: Literal["mit1003", "voc2012"] | None = None  # whose figures in the study's tables they may stand beside


class Study(Section):
    weights: Weights
    size: Annotated[int, Field(ge=64)] | None = None
    detectors: Annotated[dict[Name, Compared], Field(min_length=1)]
    datasets: Annotated[dict[Name, Images], Field(min_length=1)]
    images: Count
    methods: Distinct[Annotated[str, AfterValidator(str.lower)]]  # some of toolkit.saliency.methods()
    tested: Count
    tested_methods: Distinct[Annotated[str, AfterValidator(str.lower)]]


class Params(Section):
    data: Data
    sample: Sample
    detector: Detector
    base: Base
    attention: Attention
    saliency: Saliency
    faithfulness: Faithfulness
    aug: Aug
    arms: Annotated[dict[Name, Arm], Field(min_length=1)]
    train: Train
    score: Score
    workers: Workers
    study: Study

    def with_weights(self, checkpoint: Path) -> "Params":
        """The same, but for the detector's weights: those of a checkpoint."""
        weights = {"weights": "checkpoint", "checkpoint": str(checkpoint)}
        return self.model_copy(update={"detector": self.detector.model_copy(update=weights)})

    def aug_of(self, arm: str) -> Aug:
        """The settings by which an arm's train images are selected and changed: `aug`, and what differs in its row."""
        return Aug.model_validate(merged(self.aug.model_dump(), self.arms[arm].aug))

    def train_of(self, arm: str) -> Train:
        """How an arm is fine-tuned; one of no steps has one seed, for nothing in it is drawn, and one process."""
        steps = self.arms[arm].steps
        if steps is None:
            return self.train
        alone = {} if steps else {"seeds": self.train.seeds[:1], "processes": 1}
        return self.train.model_copy(update={"steps": steps} | alone)

    @property
    def base_processes(self) -> int:
        """How many processes make the base detector: those of `train`, where it is trained."""
        return self.train.processes if self.base.steps else 1


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the changes, section by section; what is changed to None is left out."""
    both = dict(values)
    for key, change in changes.items():
        both[key] = merged(both.get(key) or {}, change) if isinstance(change, dict) else change
    return {key: value for key, value in both.items() if value is not None}


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check a params file; raises `BadInput` that names each key that is wrong."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(Problem(str(path), "does not exist", "`salvoc preset sample` writes one")) from None
    except yaml.YAMLError as error:
        raise BadInput(Problem(str(path), f"is not YAML ({error})", "mend it by hand or write a preset")) from None
    where = f"{path}: "
    try:
        params = Params.model_validate(values)
        for arm in params.arms:
            where = f"{path}: arms.{arm}.aug."
            params.aug_of(arm)
    except ValidationError as error:
        raise BadInput(
            Problem(where + ".".join(map(str, e["loc"])), f"{e['msg']} (it is {e['input']!r})", _mend(e["type"]))
            for e in error.errors()
        ) from None
    if params.base.steps and params.data.base_split == "none":
        fault = f"is {params.base.steps}, but data.base_split is none: there is nothing to train on"
        mend = "set data.base_split to half or to a third split of your tree, or base.steps to 0"
        raise BadInput(Problem(f"{path}: base.steps", fault, mend))
    for name, solver, count in (
        ("base", params.base, params.base_processes),
        ("train", params.train, params.train.processes),
    ):
        if solver.batch % count:
            fault = f"is {solver.batch}, which {count} processes (train.processes) cannot share alike"
            raise BadInput(Problem(f"{path}: {name}.batch", fault, f"use a multiple of {count}"))
    return params


def _mend(kind: str) -> str:
    return {
        "extra_forbidden": "no such key: remove it or mend its spelling",
        "missing": "add it; presets/ has every key with its default",
    }.get(kind, "presets/ has the default and says what is allowed")
