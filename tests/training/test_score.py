"""Scores: what an arm's runs come to, by hand."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from toolkit import voc
from toolkit.bootstrap import Estimate
from toolkit.files import write
from toolkit.params import Params
from toolkit.voc import VOC_CLASSES, Annotation, Object, Tree, render
from training.average_precision import Detection, Truth
from training.comparison import Score
from training.score import Predictions, Run, baselines, build, by_class, nested, scored, truth_of


def run(map50: float, moved: Sequence[float], **columns: Sequence[float]) -> Run:
    """One seed's run on two images, whose mAP@0.5 the resamples move by so much; `map` is half, VOC's a fifth of it."""
    samples = map50 + np.array(moved)
    estimates = {"map50": map50, "map": map50 / 2, "map50_voc": map50 / 5}
    detection = Detection(
        **{name: Estimate(value, value - 0.1, value + 0.1) for name, value in estimates.items()},
        per_class={"cat": map50},
        samples={"map50": samples, "map": samples / 2, "map50_voc": samples / 5},
    )
    return Run(detection, pd.DataFrame({"id": ["a", "b"], **columns}))


RUNS = {
    "test": [
        run(0.5, [-0.1, 0.1], human_iou=[0.2, 0.4], gaze_cc=[0.1, np.nan], human_chance_iou=[0.05, 0.07]),
        run(0.7, [-0.2, 0.2], human_iou=[0.6, 0.8], gaze_cc=[0.5, np.nan], human_chance_iou=[0.05, 0.07]),
    ],
    "test_matching": [run(0.9, [0.0, 0.1], on_cue=[0.5, 0.7]), run(0.8, [0.0, 0.2], on_cue=[0.5, 0.7])],
    "test_random": [run(0.4, [-0.1, 0.3], on_cue=[0.1, 0.3]), run(0.2, [0.0, 0.1], on_cue=[0.4, 0.0])],
}


@pytest.fixture
def scores(settings: Params) -> dict[str, Score]:
    return scored(RUNS, settings.score)


def test_each_seed_keeps_its_own_detection_scores_and_resamples(scores: dict[str, Score]) -> None:
    assert scores["detection.map50"].values == pytest.approx([0.5, 0.7])
    assert scores["detection.map50"].samples == pytest.approx(np.array([[0.4, 0.6], [0.5, 0.9]]))
    assert scores["detection.map"].values == pytest.approx([0.25, 0.35])
    assert scores["detection.map50_voc"].values == pytest.approx([0.1, 0.14])
    assert scores["detection.map50"].images == 2


def test_agreement_is_each_seeds_mean_over_the_images_that_have_it(scores: dict[str, Score]) -> None:
    assert scores["human.iou"].values == pytest.approx([0.3, 0.7])
    assert scores["gaze.cc"].values == pytest.approx([0.1, 0.5])
    assert (scores["human.iou"].images, scores["gaze.cc"].images) == (2, 1)
    assert {name.split(".")[0] for name in scores} == {"detection", "human", "gaze", "cue"}
    assert "human.mae" not in scores


def test_seeds_are_resampled_on_the_same_images(settings: Params, scores: dict[str, Score]) -> None:
    first, second = scores["human.iou"].samples
    assert first.shape == (settings.score.resamples,)
    assert second == pytest.approx(first + 0.4)  # every image scores .4 more with the second seed
    assert set(np.round(first, 6)) == {0.2, 0.3, 0.4}  # the first image twice, both, the second twice


def test_reliance_is_what_a_matching_cue_gives_over_a_random_one(scores: dict[str, Score]) -> None:
    assert scores["cue.map50_matching"].values == pytest.approx([0.9, 0.8])
    assert scores["cue.map50_random"].values == pytest.approx([0.4, 0.2])
    assert scores["cue.reliance"].values == pytest.approx([0.5, 0.6])
    assert scores["cue.reliance"].samples == pytest.approx(np.array([[0.6, 0.3], [0.6, 0.7]]))


def test_a_matching_cue_helps_and_a_random_one_harms(scores: dict[str, Score]) -> None:
    assert scores["cue.gain"].values == pytest.approx([0.9 - 0.5, 0.8 - 0.7])
    assert scores["cue.harm"].values == pytest.approx([0.5 - 0.4, 0.7 - 0.2])
    assert scores["cue.gain"].samples == pytest.approx(np.array([[0.5, 0.4], [0.3, 0.1]]))
    assert scores["cue.harm"].samples == pytest.approx(np.array([[0.1, -0.1], [0.3, 0.6]]))


def test_looking_at_the_cue_is_measured_where_it_is_random(scores: dict[str, Score]) -> None:
    assert scores["cue.looked_at"].values == pytest.approx([0.2, 0.2])


def test_without_a_cue_nothing_is_said_of_one(settings: Params) -> None:
    assert not any(name.startswith("cue.") for name in scored({"test": RUNS["test"]}, settings.score))


def test_scores_are_written_with_six_places_and_the_ends_of_their_intervals() -> None:
    samples = np.linspace(0, 1, 1001)
    single, several = (
        Score(np.array([1 / 3]), samples[None], 9),
        Score(np.array([0.0, 2.0]), np.array([[0, 0], [2, 2]]), 9),
    )
    assert nested({"human.iou": single, "human.cc": several, "cue.gain": single}) == {
        "human": {"iou": 0.333333, "iou_lo": 0.025, "iou_hi": 0.975, "cc": 1, "cc_lo": -11.706205, "cc_hi": 13.706205},
        "cue": {"gain": 0.333333, "gain_lo": 0.025, "gain_hi": 0.975},
    }


def test_baselines_are_means_over_images_and_seeds() -> None:
    assert baselines(RUNS["test"]) == {"human_chance_iou": 0.06}


def test_a_class_has_its_mean_precision_over_the_seeds_and_its_number_of_objects_that_are_not_difficult() -> None:
    box = np.zeros((3, 4))
    truths = [
        Truth(box, np.array([1, 1, 0]), np.array([False, False, True]), 9, 9),
        Truth(box, np.array([1, 0, 2]), np.array([True, True, True]), 9, 9),
    ]
    table = by_class(RUNS["test"], truths, ["dog", "cat", "sofa"])
    assert (table["ap50_voc"].to_dict(), table["objects"].to_dict()) == ({"cat": pytest.approx(0.6)}, {"cat": 2})


def test_the_truth_is_the_annotation_in_half_open_pixels(tmp_path: Path) -> None:
    known = (Object("dog", (0, 1, 10, 20)), Object("cat", (3, 4, 5, 6), difficult=True))
    tree = Tree(tmp_path)
    write(tree.annotation("a"), render(Annotation("a.jpg", 60, 40, known)))
    write(tree.annotation("b"), render(Annotation("b.jpg", 60, 40, ())))
    truth = truth_of(tree, "a", ["cat", "dog"])
    assert truth.boxes.tolist() == [[0, 1, 10, 20], [3, 4, 5, 6]]
    assert truth.classes.tolist() == [1, 0]
    assert truth.difficult.tolist() == [False, True]
    assert (truth.width, truth.height) == (60, 40)
    assert truth_of(tree, "b", ["cat", "dog"]).boxes.shape == (0, 4)


@pytest.fixture
def predictions(sample: Tree, tmp_path: Path) -> Path:
    """Every object of the test split found where it is, with its own class, and nothing in the other splits."""
    truths = {image_id: voc.read(sample.annotation(image_id)).objects for image_id in sample.ids("test")}
    rows = [("test", 1, image_id, o.name, 0.9, *o.box) for image_id, known in truths.items() for o in known]
    table = pd.DataFrame(rows, columns=["split", "seed", "id", "label", "score", "x0", "y0", "x1", "y1"])
    table.to_parquet(tmp_path / "detections.parquet")
    return tmp_path


def test_predictions_without_maps_are_scored_for_what_they_find(
    predictions: Path, sample: Tree, settings: Params, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    of = Predictions(predictions / "detections.parquet", predictions / "heatmaps", [1])
    build(of, sample, tmp_path / "attention", VOC_CLASSES, settings.score, out / "metrics.json", out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics) == {"detection", "cue", "baseline"}
    assert metrics["detection"]["map50"] == metrics["detection"]["map"] == 1
    assert metrics["cue"]["map50_random"] == 0
    assert "looked_at" not in metrics["cue"]


def test_scoring_imports_no_torch() -> None:
    """It takes seconds to import, and what a detector made is there already."""
    code = "import sys, training.score; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
