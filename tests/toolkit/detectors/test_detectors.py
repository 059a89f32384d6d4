"""Detectors: what is not read from a file is drawn from a seed of its own, the same for whoever asks."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from toolkit import detectors
from toolkit.detectors import lite0
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.errors import BadInput
from toolkit.params import Detector, Params
from toolkit.voc import VOC_CLASSES

ANIMALS = ("dog", "cow", "unicorn")


@pytest.fixture(params=["imagenet", "checkpoint of other classes"])
def partly_fresh(request: pytest.FixtureRequest, settings: Params, tmp_path: Path) -> Detector:
    """A detector of which some weights, or all of its heads', come from no file."""
    if request.param == "imagenet":
        return settings.detector.model_copy(update={"weights": "imagenet"})
    path = tmp_path / "animals.safetensors"
    save_checkpoint(lite0.build(len(ANIMALS), settings.detector.size), path, ANIMALS)
    return settings.detector.model_copy(update={"checkpoint": str(path)})


def loaded(detector: Detector, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return detectors.load(detector, VOC_CLASSES).state_dict()


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
    with pytest.raises(BadInput, match="knows no detector 'yolo' -- choose one of: fasterrcnn_lite0, fasterrcnn_res"):
        detectors.load(settings.detector.model_copy(update={"name": "yolo"}), VOC_CLASSES)


@pytest.mark.parametrize(
    ("name", "weights", "fault"),
    [
        ("fasterrcnn_lite0", "coco", "fasterrcnn_lite0 has no COCO weights"),
        ("fasterrcnn_resnet50_fpn", "imagenet", "fasterrcnn_resnet50_fpn has no ImageNet weights"),
    ],
)
def test_weights_that_a_detector_does_not_have_are_refused(
    name: str, weights: str, fault: str, settings: Params
) -> None:
    with pytest.raises(BadInput, match=fault):
        detectors.load(settings.detector.model_copy(update={"name": name, "weights": weights}), VOC_CLASSES)
