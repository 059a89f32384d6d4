"""Fine-tuning: every arm starts from the same bytes, ends in weights of its own, and is never trained twice."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import ROOT
from toolkit import detectors, maps, variants
from toolkit.files import sha256, write
from toolkit.params import Params
from toolkit.voc import Tree
from training import evaluate, finetune
from training.data import Detections
from training.engine import fit

NO_RATE = 1e-300  # nothing in float32: a step at this rate leaves every weight as it was


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store of its own, shared by this file's tests."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("arms")
        patch.setenv("SALVOC_STORE", str(place / "store"))
        yield place


@pytest.fixture(scope="module")
def params(settings: Params) -> Params:
    checkpoint = str(ROOT / settings.detector.checkpoint)
    detector = settings.detector.model_copy(update={"checkpoint": checkpoint})
    train = settings.train.model_copy(update={"seeds": [1, 2]})
    return settings.model_copy(update={"detector": detector, "train": train})


@pytest.fixture(scope="module")
def trees(sample: Tree, params: Params, place: Path) -> dict[str, Tree]:
    """Two variants: the untouched images, and those without their cue."""
    ids = sample.ids("train")
    for number, image_id in enumerate(ids):
        coarse = np.random.default_rng(number).random((6, 6))
        write(place / "saliency" / f"{image_id}.png", maps.encode(maps.normalise(coarse)))
    selection = pd.DataFrame({"id": ids, "selected": True})
    made = {name: Tree(place / "variants" / name) for name in ("none", "oracle")}
    for name, tree in made.items():
        variants.build(name, sample, place / "saliency", selection, params.aug, tree.root)
    return made


@pytest.fixture(scope="module")
def arm(trees: dict[str, Tree], params: Params, place: Path) -> Path:
    """The arm `none`: two seeds, three steps each."""
    finetune.build(trees["none"], params, place / "arm", place / "logs")
    return place / "arm"


def curve(logs: Path, seed: int, loss: str = "loss") -> pd.DataFrame:
    return pd.read_csv(logs / f"seed-{seed}" / "plots" / "metrics" / f"{loss}.tsv", sep="\t")


def weights_in(place: Path) -> dict[Path, int]:
    """All stored weights, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in (place / "store" / "training").rglob("*.safetensors")}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name].cpu(), b[name].cpu()) for name in a)


def test_a_seed_s_weights_and_losses_are_those_of_a_fit_from_the_base_detector(
    arm: Path, trees: dict[str, Tree], params: Params, place: Path
) -> None:
    classes, tree = params.data.classes, trees["none"]
    adapter = detectors.load(params.detector, classes)
    data = Detections(tree, tree.ids("train"), classes)
    expected = fit(adapter, data, len(data), params.train, 2, place / "alone.pt", lambda step, losses: None, "alone")
    for loss in ("loss", "loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"):
        logged = curve(place / "logs", 2, loss)
        assert logged["step"].tolist() == [0, 1, 2]
        assert logged[loss].tolist() == pytest.approx([values[loss] for values in expected], rel=1e-2)
    if not torch.cuda.is_available():  # a GPU adds up in any order
        assert same(load_file(arm / "seed-2.safetensors"), adapter.model.state_dict())
        assert curve(place / "logs", 2)["loss"].tolist() == [values["loss"] for values in expected]


def test_seeds_end_in_different_weights_and_both_have_learned(arm: Path, params: Params) -> None:
    base = detectors.load(params.detector, params.data.classes).model.state_dict()
    first, second = (load_file(arm / f"seed-{seed}.safetensors") for seed in (1, 2))
    assert not same(first, second)
    assert not same(first, base)
    assert not same(second, base)


def test_the_evaluation_gets_each_seed_s_own_weights(arm: Path, params: Params) -> None:
    for seed, adapter in zip((1, 2), evaluate.models(arm.name, arm.parent, params), strict=True):
        assert same(adapter.model.state_dict(), load_file(arm / f"seed-{seed}.safetensors"))


def test_a_finished_arm_is_found_again_with_its_curves(
    arm: Path, trees: dict[str, Tree], params: Params, place: Path, tmp_path: Path
) -> None:
    before = weights_in(place)
    assert len(before) >= 2
    finetune.build(trees["none"], params, tmp_path / "again", tmp_path / "logs")
    assert weights_in(place) == before
    for seed in (1, 2):
        name = f"seed-{seed}.safetensors"
        assert sha256(tmp_path / "again" / name) == sha256(arm / name)
        found, first = curve(tmp_path / "logs", seed), curve(place / "logs", seed)
        assert found[["step", "loss"]].equals(first[["step", "loss"]])


def test_a_finished_arm_leaves_no_state_to_go_on_from(arm: Path, place: Path) -> None:
    assert list((place / "store").rglob("*.pt")) == []


def test_a_long_curve_is_thinned(
    arm: Path, trees: dict[str, Tree], params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "LOGGED", 1)  # of three steps
    finetune.build(trees["none"], params, tmp_path / "again", tmp_path / "logs")
    assert curve(tmp_path / "logs", 1)["step"].tolist() == [0]


def test_all_arms_start_from_the_bytes_that_base_is_evaluated_with(
    trees: dict[str, Tree], params: Params, tmp_path: Path
) -> None:
    standing = params.train.model_copy(update={"seeds": [1], "steps": 1, "lr": NO_RATE})
    detector = params.detector.model_copy(update={"weights": "imagenet"})  # its heads come from no file
    without = params.model_copy(update={"train": standing, "detector": detector})
    for name, tree in trees.items():
        finetune.build(tree, without, tmp_path / name, tmp_path / "logs" / name)
    started = [tmp_path / name / "seed-1.safetensors" for name in trees]
    assert sha256(started[0]) == sha256(started[1])
    (base,) = evaluate.models("base", tmp_path, without)
    assert same(base.model.state_dict(), load_file(started[0]))
