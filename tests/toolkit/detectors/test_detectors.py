"""Detectors: found by their file's name, and what is not read from a file is the same for whoever asks."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from toolkit import detectors, provenance, saliency
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.errors import BadInput
from toolkit.params import Detector, Params
from toolkit.tensors import device
from toolkit.voc import VOC_CLASSES

ANIMALS = ("dog", "cow", "unicorn")
NEW = '''
"""The mean colours of an image's eighths: one box each, and whether it is bright."""

import torch
from torch import nn

from toolkit.detectors.adapter import Adapter, Look
from toolkit.detectors.candidates import Candidates, log_odds


class Bright(Adapter):
    layer, licence, imagenet, usual = "cells", "none", True, 64

    def __init__(self, classes, size):
        super().__init__(classes, size)
        self.model = nn.ModuleDict({"cells": nn.AvgPool2d(8), "classes": nn.Conv2d(3, classes + 1, 1)})

    def with_classes(self, state, known, classes):
        return state

    def losses(self, images, targets):
        return {"brightness": self.model["classes"](torch.stack(images)).mean()}

    def layers(self):
        return {"cells"}

    def detect(self, images):
        return self.look(images, "cells").found

    @torch.inference_mode()
    def look(self, images, layer, detections=True, gradients=False):
        with self.outputs(layer) as kept:
            logits = self.model["classes"](self.model["cells"](torch.stack(list(images))))
        boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
        found = [{"boxes": boxes, "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}] * len(images)
        odds = [log_odds(one.flatten(1).T)[:, 1:] for one in logits]
        candidates = [Candidates(boxes.expand(*one.shape, 4), one) for one in odds]
        return Look(found, candidates, kept[0], logits[:, 1:].amax(dim=1), (0.0, 0.0, *map(float, logits.shape[-2:])))
'''


@pytest.fixture(params=["imagenet", "checkpoint of other classes"])
def partly_fresh(request: pytest.FixtureRequest, settings: Params, tmp_path: Path) -> Detector:
    """A detector of which some weights, or all of its heads', come from no file."""
    if request.param == "imagenet":
        return settings.detector.model_copy(update={"weights": "imagenet"})
    path = tmp_path / "animals.safetensors"
    save_checkpoint(FasterRCNNLite0(len(ANIMALS), settings.detector.size), path, ANIMALS)
    return settings.detector.model_copy(update={"checkpoint": str(path)})


def loaded(detector: Detector, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return detectors.load(detector, VOC_CLASSES).model.state_dict()


def test_fresh_weights_are_the_same_whatever_was_drawn_before(partly_fresh: Detector) -> None:
    first, second = loaded(partly_fresh, seed=1), loaded(partly_fresh, seed=2)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_loading_draws_nothing_from_the_global_generator(partly_fresh: Detector) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    detectors.load(partly_fresh, VOC_CLASSES)
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_detector_is_refused_with_those_there_are(settings: Params) -> None:
    known = f"knows no detector 'unheard_of' -- choose one of: {', '.join(detectors.names())}"
    with pytest.raises(BadInput, match=known):
        detectors.load(settings.detector.model_copy(update={"name": "unheard_of"}), VOC_CLASSES)


@pytest.mark.parametrize(
    ("name", "weights", "fault"),
    [
        ("fasterrcnn_lite0", "coco", "fasterrcnn_lite0 has no coco weights -- use one of: checkpoint, imagenet"),
        (
            "fasterrcnn_resnet50_fpn",
            "imagenet",
            "fasterrcnn_resnet50_fpn has no imagenet weights -- use one of: checkpoint, coco, none",
        ),
    ],
)
def test_weights_that_a_detector_does_not_have_are_refused(
    name: str, weights: str, fault: str, settings: Params
) -> None:
    with pytest.raises(BadInput, match=fault):
        detectors.load(settings.detector.model_copy(update={"name": name, "weights": weights}), VOC_CLASSES)


def test_all_modules_of_the_package_are_detectors_or_shared() -> None:
    assert {"fasterrcnn_lite0", "fasterrcnn_resnet50_fpn"} <= set(detectors.names())
    files = {path.stem for path in Path(detectors.__file__).parent.glob("*.py")}
    assert files == {"__init__", *detectors.names(), *detectors.SHARED}


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are in the package as well, until the test is over."""
    monkeypatch.setattr(detectors, "__path__", [*detectors.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "toolkit.detectors.bright", raising=False)
    return tmp_path


def test_a_new_file_is_a_detector_that_can_be_loaded_and_explained(dropped: Path, settings: Params) -> None:
    before = detectors.names()
    (dropped / "bright.py").write_text(NEW)
    assert detectors.names() == sorted([*before, "bright"])
    adapter = detectors.load(settings.detector.model_copy(update={"name": "bright", "weights": "imagenet"}), ANIMALS)
    images = [torch.rand(3, 32, 48, device=device())]
    look = adapter.look(images, adapter.layer)
    (heatmap,) = saliency.explain(adapter, images, settings.saliency, look)
    assert (heatmap == saliency.explain(adapter, images, settings.saliency)[0]).all()
    assert heatmap.shape == (4, 6)
    assert heatmap.max() == 1


def test_a_size_that_a_detector_cannot_take_is_refused(dropped: Path, settings: Params) -> None:
    (dropped / "bright.py").write_text(NEW.replace("    layer, ", "    smallest = 300\n    layer, "))
    small = settings.detector.model_copy(update={"name": "bright", "weights": "imagenet", "size": 299})
    with pytest.raises(BadInput, match=r"detector\.size: bright cannot take 299 pixels -- use 300 or more"):
        detectors.load(small, ANIMALS)
    detectors.load(small.model_copy(update={"size": 300}), ANIMALS)


def test_a_detector_whose_package_is_missing_says_so_when_it_is_asked_for(dropped: Path, settings: Params) -> None:
    (dropped / "bright.py").write_text("import no_such_package\n" + NEW)
    assert "bright" in detectors.names()
    with pytest.raises(BadInput, match="bright needs the package no_such_package -- install it"):
        detectors.find("bright")


@pytest.mark.parametrize(("package", "extra"), detectors.EXTRAS.items())
def test_where_an_extra_brings_the_package_it_is_named(package: str, extra: str, dropped: Path) -> None:
    (dropped / "bright.py").write_text(f"raise ModuleNotFoundError(name='{package}.nn')\n" + NEW)
    with pytest.raises(BadInput, match=rf"bright needs the package {package} -- `uv pip install -e '\.\[{extra}\]'`"):
        detectors.find("bright")


def test_one_detector_s_code_is_in_no_other_s_fingerprint(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    small = settings.detector.model_copy(update={"weights": "imagenet"})
    large = settings.detector.model_copy(update={"name": "fasterrcnn_resnet50_fpn", "weights": "coco"})
    first, second = (detectors.fingerprint(each, ANIMALS) for each in (small, large))
    assert first != second
    monkeypatch.setattr(detectors, "code", lambda name: "changed" if name.endswith("lite0") else provenance.code(name))
    assert detectors.fingerprint(small, ANIMALS) != first
    assert detectors.fingerprint(large, ANIMALS) == second
    shared = provenance.modules("toolkit.detectors")
    assert not {f"toolkit.detectors.{name}" for name in detectors.names()} & set(shared)
    assert "toolkit.detectors.rcnn" in provenance.modules("toolkit.detectors.fasterrcnn_lite0")
