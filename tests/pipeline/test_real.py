"""The whole pipeline on real photographs, as `presets/photographs.yaml` has it."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import part_of
from tests.pipeline.conftest import Repository, new_repository
from toolkit import maps, voc
from toolkit.files import read_image
from toolkit.voc import Tree

PHOTOGRAPHS = {
    "base.steps": 3,
    "base.batch": 2,
    "aug.threshold": 0.2,
    "arms": {
        "base": {"variant": "none", "steps": 0},
        "none": {"variant": "none"},
        "inpainting": {"variant": "inpainting"},
        "nontrivial": {"variant": "nontrivial"},
    },
    "train.steps": 3,
    "train.batch": 2,
    "train.seeds": [1],
    "score.resamples": 20,
    "faithfulness.images": 2,
    "detector.size": 128,
}


def some_photographs(real: Path, root: Path) -> Tree:
    """A small VOC tree of the real one's first images."""
    whole = Tree(real / "voc2012_mini")
    return part_of(whole, root, {"train": whole.ids("train")[:16], "test": whole.ids("val")[:5]})


def test_real_photographs_go_all_the_way(real: Path, tmp_path: Path) -> None:
    photographs = some_photographs(real, tmp_path / "photographs")
    repository: Repository = new_repository(tmp_path / "repository", {})
    repository.run(f"salvoc preset photographs --path {photographs.root}")
    repository.set(PHOTOGRAPHS)
    repository.commit("folder")
    repository.run("dvc repro")

    datasets, reports = repository.root / "datasets", repository.root / "reports"
    about = json.loads((datasets / "source" / "source.json").read_text())
    assert (about["train"] + about["base"], about["test"], about["attention"], about["skipped"]) == (16, 5, 0, [])
    selection = pd.read_parquet(datasets / "selection.parquet", filters=[("arm", "==", "inpainting")])
    assert set(selection["truth"]) == {"gaze"}  # nobody's own attention is known
    for image_id in Tree(datasets / "source").all_ids():
        assert 0 < maps.load(datasets / "saliency" / f"{image_id}.png").mean() < 1
    inpainted = Tree(datasets / "variants" / "inpainting")
    for image_id in selection["id"][selection["selected"]]:
        before, after = read_image(photographs.image(image_id)), read_image(inpainted.image(image_id))
        assert 0 < (before != after).any(axis=2).mean() < 0.03
    for arm in ("base", "none", "inpainting", "nontrivial"):
        metrics = json.loads((reports / "metrics" / f"{arm}.json").read_text())
        assert set(metrics) == {"map50", "map", "mae", "iou"}  # against the gaze predictor
        assert 0 <= metrics["iou"] <= 1
    results = (reports / "study" / "results.md").read_text()
    assert "\n\nDid the controls work? There is none here" in results
    assert "\n\nIs the map true?" in results
    assert "## The base detector: AP@0.5 by class" in results
    objects = pd.read_csv(reports / "scores" / "base" / "per_class.csv", index_col="class")["objects"]
    known = [o for i in photographs.ids("test") for o in voc.read(photographs.annotation(i)).objects]
    assert objects.to_dict() == Counter(o.name for o in known if not o.difficult)
    assert (datasets / "fiftyone" / "samples.json").exists()


def of_known_gaze(real: Path, root: Path, preset: str, arms: list[str], stage: str) -> Path:
    """A repository after a stage, on some of POET's photographs; people's own gaze is in their own proportions."""
    whole, recording = Tree(real / "poet" / "voc"), real / "poet" / "etData"
    splits = {"train": whole.ids("train")[:18], "test": whole.ids("test")[:6]}
    photographs = part_of(whole, root / "photographs", splits)
    repository: Repository = new_repository(root / "repository", {})
    repository.run(f"salvoc preset {preset} --path {photographs.root} --human {recording}")
    known = yaml.safe_load((repository.root / "params.yaml").read_text())["arms"]
    repository.set(PHOTOGRAPHS | {"arms": {arm: known[arm] for arm in arms}, "score.objects": 1})
    repository.commit(preset)
    repository.run(f"dvc repro {stage}")

    datasets = repository.root / "datasets"
    source = Tree(datasets / "source")
    assert sorted(source.ids("train") + source.ids("base")) == sorted(splits["train"])
    assert sorted(source.ids("test")) == sorted(splits["test"])
    for image_id in splits["test"]:
        height, width = read_image(source.image(image_id)).shape[:2]
        seen = maps.load(datasets / "attention" / "human" / f"{image_id}.png")
        assert seen.shape[0] / seen.shape[1] == pytest.approx(height / width, rel=0.02)
        assert (datasets / "attention" / "fixations" / f"{image_id}.csv").exists()
    return repository.root


def test_photographs_whose_gaze_is_known_are_selected_against_people_or_the_predictor(
    real: Path, tmp_path: Path
) -> None:
    root = of_known_gaze(real, tmp_path, "poet", ["none", "erasing", "erasing_gaze"], "select")
    selection = pd.read_parquet(root / "datasets" / "selection.parquet").set_index("arm")["truth"]
    assert {arm: set(selection[[arm]]) for arm in ("erasing", "erasing_gaze")} == {
        "erasing": {"human"}, "erasing_gaze": {"gaze"},
    }  # fmt: skip


def test_photographs_with_a_planted_cue_go_all_the_way(real: Path, tmp_path: Path) -> None:
    reports = of_known_gaze(real, tmp_path, "poet-planted", ["none", "oracle"], "report") / "reports"
    metrics = json.loads((reports / "metrics" / "oracle.json").read_text())
    assert {"map50", "map", "mae", "iou", "reliance"} <= set(metrics)
    results = (reports / "study" / "results.md").read_text()
    assert "There is none here" not in results
    assert "IoU human" in results
