"""The base detector: what it is made from, unless it is fine-tuned on the base split; killed, it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import ROOT, part_of
from toolkit import detectors, places, voc
from toolkit.files import read_image, write
from toolkit.params import Params
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree
from training import base
from training.data import Examples
from training.engine import fit
from training.objectives import OBJECTIVES

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def source(sample: Tree, workplace: Path) -> Tree:
    """The sample's images, the first six of train as the base split."""
    ids = sample.ids("train")
    splits = {"base": ids[:6], "train": ids[6:], "test": sample.ids("test")}
    return part_of(sample, workplace / places.SOURCE, splits)


def trained(settings: Params, steps: int) -> Params:
    """From ImageNet's weights, so many steps."""
    own = {
        "detector": settings.detector.model_copy(update={"weights": "imagenet"}),
        "base": settings.base.model_copy(update={"steps": steps, "batch": 2}),
        "data": settings.data.model_copy(update={"base_split": "other"}),
    }
    return settings.model_copy(update=own)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name].cpu(), b[name].cpu()) for name in a)


@pytest.mark.parametrize("weights", ["checkpoint", "imagenet"])
def test_of_no_steps_it_is_the_detector_itself(sample: Tree, settings: Params, weights: str) -> None:
    """And wants no base split: the sample has none."""
    params = settings.model_copy(update={"detector": settings.detector.model_copy(update={"weights": weights})})
    base.build(sample, params, places.BASE_WEIGHTS)
    image = to_tensor(read_image(sample.image(sample.ids("test")[0]))).to(device())
    ours, theirs = (
        detectors.load(p.detector, p.data.classes) for p in (params.with_weights(places.BASE_WEIGHTS), params)
    )
    assert same(ours.model.state_dict(), theirs.model.state_dict())
    with torch.inference_mode():
        (found,), (known,) = ours.detect([image]), theirs.detect([image])
    assert same(found, known)


def test_its_steps_are_a_fit_on_the_base_split_and_teach_it(source: Tree, settings: Params) -> None:
    params = trained(settings, 12)
    base.build(source, params, places.BASE_WEIGHTS)
    adapter = detectors.load(params.detector, params.data.classes)
    data = Examples(source, source.ids("base"), params.data.classes)
    losses = fit(adapter, OBJECTIVES["detection"], data, 6, params.base, params.base.seed, Path("alone.pt"), "alone")
    assert np.mean([step["loss"] for step in losses[-3:]]) < 0.8 * np.mean([step["loss"] for step in losses[:3]])
    if not torch.cuda.is_available():  # a GPU adds up in any order
        assert same(load_file(places.BASE_WEIGHTS), adapter.model.state_dict())


def test_it_hangs_on_its_own_images_and_is_never_trained_twice(source: Tree, settings: Params) -> None:
    def stored() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in Path(".salvoc").rglob("*.safetensors")}

    params = trained(settings, 1)
    base.build(source, params, places.BASE_WEIGHTS)
    first = stored()
    write(source.annotation(source.ids("test")[0]), "another test image")
    base.build(source, params, Path("again"))
    assert stored() == first
    voc.write_ids(source.split("base"), source.ids("base")[1:])
    base.build(source, params, Path("other"))
    assert len(stored()) == len(first) + 1


def test_killed_it_goes_on_to_the_same_weights(source: Tree, settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    params = trained(settings, 55)
    write(places.PARAMS, yaml.safe_dump(params.model_dump()))
    command, env = [sys.executable, "-m", "commands", "base"], os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not any(Path(".salvoc").rglob("*.pt")):
            assert process.poll() is None and time.monotonic() < deadline, "nothing was saved to go on from"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert not places.BASE.exists()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "50/55" in done.stderr and " 0/55" not in done.stderr
    assert not any(Path(".salvoc").rglob("*.pt"))
    if not torch.cuda.is_available():
        monkeypatch.setenv("SALVOC_STORE", "elsewhere")
        base.build(source, params, Path("whole"))
        assert same(load_file(places.BASE_WEIGHTS), load_file("whole"))
