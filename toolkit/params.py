"""params.yaml as typed, validated models: an unknown key, a wrong type or a value out of range stops at once."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

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
VariantName = Literal["none", "erasing", "inpainting", "nontrivial", "random", "random_inpainting", "oracle"]
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)


class Section(BaseModel):
    """A part of params.yaml; what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    source: Literal["sample", "folder", "voc2012"]
    path: str  # the folder source's VOC tree
    train: str  # names of splits in ImageSets/Main
    test: str
    classes: Distinct[str]
    on_error: Literal["stop", "skip"]


class Cue(Section):
    correlation: Share
    place: Literal["corner", "near", "overlapping"]
    size: Annotated[float, Field(gt=0, le=0.5)]
    ambiguous: Share


class Sample(Section):
    seed: int
    size: Annotated[int, Field(ge=64, le=1024, multiple_of=32)]
    train: Count
    test: Count
    cue: Cue


class Detector(Section):
    name: str
    weights: Literal["checkpoint", "coco", "imagenet"]
    checkpoint: str
    size: Annotated[int, Field(ge=64)]


class Solver(Section):
    steps: Count
    batch: Count
    lr: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]


class Base(Solver):
    seed: int


class Attention(Section):
    predictor: Literal["gaze_lite0", "deepgaze2e", "bottom_up", "spectral_residual", "centre"]
    human: str  # a folder of people's own attention


class Saliency(Section):
    method: str
    layer: str
    sign: Literal["objectness", "raw"]
    batch: Count


class Inpaint(Section):
    engine: Literal["dip", "telea"]
    preset: Literal["fast", "study"]


class Aug(Section):
    threshold: Share
    against: Literal["known", "human", "gaze"]
    erase_percent: Annotated[float, Field(gt=0, lt=100)]
    seed: int
    inpaint: Inpaint
    policy: Literal["v0", "v1", "v2", "v3"]
    engine: Literal["torchvision", "imgaug"]


class Train(Solver):
    seeds: Distinct[int]


class Evaluate(Section):
    resamples: Count
    seed: int


class Params(Section):
    data: Data
    sample: Sample
    detector: Detector
    base: Base
    attention: Attention
    saliency: Saliency
    aug: Aug
    variants: Distinct[VariantName]
    train: Train
    evaluate: Evaluate


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check a params file; raises `BadInput` that names each key that is wrong."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(Problem(str(path), "does not exist", "`salvoc preset sample` writes one")) from None
    except yaml.YAMLError as error:
        raise BadInput(Problem(str(path), f"is not YAML ({error})", "mend it by hand or write a preset")) from None
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise BadInput(
            Problem(f"{path}: {'.'.join(map(str, e['loc']))}", f"{e['msg']} (it is {e['input']!r})", _mend(e["type"]))
            for e in error.errors()
        ) from None


def _mend(kind: str) -> str:
    return {
        "extra_forbidden": "no such key: remove it or mend its spelling",
        "missing": "add it; presets/ has every key with its default",
    }.get(kind, "presets/ has the default and says what is allowed")


def with_path(text: str, path: str) -> str:
    """A params file's text with `data.path` set, its comments kept."""
    quoted = json.dumps(str(Path(path).expanduser()))
    return re.sub(r"(?m)^(  path: )[^#\n]*?( *#.*)?$", lambda m: f"{m[1]}{quoted}{m[2] or ''}", text, count=1)
