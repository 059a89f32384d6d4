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
from toolkit.errors import BadInput
from toolkit.files import sha256, write
from toolkit.params import Arm, Params
from toolkit.voc import Tree
from training import finetune
from training.data import Examples
from training.engine import fit
from training.objectives import OBJECTIVES

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
    trees = {name: Tree(place / "variants" / name) for name in ("none", "oracle")}
    for name, tree in trees.items():
        variants.build(name, name, sample, place / "saliency", selection, params.aug, tree.root)
    return trees


@pytest.fixture(scope="module")
def arm(trees: dict[str, Tree], params: Params, place: Path) -> Path:
    """The arm `none`: two seeds, three steps each."""
    finetune.build("none", trees["none"], params, place / "arm", place / "logs")
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
    data = Examples(tree, tree.ids("train"), classes)
    expected = fit(adapter, OBJECTIVES["detection"], data, len(data), params.train, 2, place / "alone.pt", "alone")
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


def test_a_finished_arm_is_found_again_with_its_curves(
    arm: Path, trees: dict[str, Tree], params: Params, place: Path, tmp_path: Path
) -> None:
    before = weights_in(place)
    assert len(before) >= 2
    finetune.build("none", trees["none"], params, tmp_path / "again", tmp_path / "logs")
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
    finetune.build("none", trees["none"], params, tmp_path / "again", tmp_path / "logs")
    assert curve(tmp_path / "logs", 1)["step"].tolist() == [0]


def test_all_arms_start_from_the_weights_of_the_arm_of_no_steps(
    trees: dict[str, Tree], params: Params, tmp_path: Path
) -> None:
    standing = params.train.model_copy(update={"seeds": [1], "steps": 1, "lr": NO_RATE})
    detector = params.detector.model_copy(update={"weights": "imagenet"})  # its heads come from no file
    without = params.model_copy(update={"train": standing, "detector": detector})
    for arm, variant in (("base", "none"), ("none", "none"), ("oracle", "oracle")):
        finetune.build(arm, trees[variant], without, tmp_path / arm, tmp_path / "logs" / arm)
    base, none, oracle = (load_file(tmp_path / arm / "seed-1.safetensors") for arm in ("base", "none", "oracle"))
    assert same(base, none)
    assert same(base, oracle)


def test_the_arm_of_no_steps_is_the_base_detector(trees: dict[str, Tree], params: Params, tmp_path: Path) -> None:
    finetune.build("base", trees["none"], params, tmp_path / "base", tmp_path / "logs")
    assert [path.name for path in (tmp_path / "base").iterdir()] == ["seed-1.safetensors"]
    base = detectors.load(params.detector, params.data.classes).model.state_dict()
    assert same(load_file(tmp_path / "base" / "seed-1.safetensors"), base)


def test_an_unknown_objective_is_refused_with_those_there_are(
    trees: dict[str, Tree], params: Params, tmp_path: Path
) -> None:
    arms = {"mine": Arm(variant="none", objective="beauty")}
    with pytest.raises(BadInput, match="knows no objective 'beauty' -- choose one of: detection"):
        finetune.build("mine", trees["none"], params.model_copy(update={"arms": arms}), tmp_path, tmp_path)
