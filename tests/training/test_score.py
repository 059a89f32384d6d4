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
from toolkit import maps, voc
from toolkit.agreement import TRUTHS
from toolkit.bootstrap import Estimate
from toolkit.files import write
from toolkit.metrics import METRICS
from toolkit.params import Params
from toolkit.voc import VOC_CLASSES, Annotation, Object, Tree, render
from training.average_precision import Detection, Truth
from training.comparison import Score, interval
from training.detections import Detections
from training.score import Predictions, Run, build, by_class, headline, judged, listed, scored, surer, truth_of


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
    "test_matching": [
        run(0.9, [0.0, 0.1], cue_looked_at=[0.5, 0.7]),
        run(0.8, [0.0, 0.2], cue_looked_at=[0.5, 0.7]),
    ],
    "test_random": [
        run(0.4, [-0.1, 0.3], cue_looked_at=[0.1, 0.3], cue_log_odds=[1.0, np.nan]),
        run(0.2, [0.0, 0.1], cue_looked_at=[0.4, 0.0], cue_log_odds=[2.0, 4.0]),
    ],
}
NOTHING = Detections(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


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


def test_reliance_in_log_odds_is_each_seeds_mean_over_the_scenes_that_have_it(scores: dict[str, Score]) -> None:
    assert scores["cue.log_odds"].values == pytest.approx([1, 3])


def objects(**log_odds: float) -> pd.DataFrame:
    """A table of one annotated object an image."""
    return pd.DataFrame({"id": log_odds.keys(), "log_odds": log_odds.values()})


def test_a_scene_tells_how_much_surer_the_matching_cue_makes_the_detector() -> None:
    table = objects(a_matching=3.0, b_matching=-1.0, a_random=0.5, b_random=1.0, a=9.0)
    assert surer(table, ["b_matching", "a_matching"], ["b_random", "a_random"]).tolist() == [-2, 2.5]


def test_the_first_object_of_a_scene_is_the_one_that_is_asked_about() -> None:
    table = pd.concat([objects(a_matching=3.0, a_random=1.0), objects(a_matching=9.0, a_random=-9.0)])
    assert surer(table, ["a_matching"], ["a_random"]).tolist() == [2]


def test_a_scene_without_a_candidate_in_either_condition_says_nothing() -> None:
    known = {"a_matching": -np.inf, "b_matching": 1.0, "c_matching": -np.inf, "d_matching": 1.0}
    table = objects(**known, a_random=1.0, b_random=-np.inf, c_random=-np.inf, d_random=0.25)
    found = surer(table, [f"{scene}_matching" for scene in "abcd"], [f"{scene}_random" for scene in "abcd"])
    assert found.tolist() == pytest.approx([np.nan, np.nan, np.nan, 0.75], nan_ok=True)


def test_without_a_cue_nothing_is_said_of_one(settings: Params) -> None:
    assert not any(name.startswith("cue.") for name in scored({"test": RUNS["test"]}, settings.score))


def test_an_arm_has_at_most_six_numbers_with_four_decimals(scores: dict[str, Score]) -> None:
    both = {f"{truth}.{name}": Score(np.array([1 / 3]), np.ones((1, 3)), 2) for truth in TRUTHS for name in METRICS}
    assert headline(scores | both) == {
        "map50": 0.6, "map": 0.3, "mae": 0.3333, "iou": 0.3333, "reliance": 0.55, "log_odds": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize(("known", "expected"), [(2, (0.2, 0.1)), (1, (0.8, 0.7))], ids=["in every image", "in some"])
def test_agreement_is_with_people_only_where_they_are_known_in_every_test_image(
    known: int, expected: tuple[float, float]
) -> None:
    """Else with the gaze predictor, so that the number is of as many images as the others."""

    def one(value: float, images: int) -> Score:
        return Score(np.array([value]), np.array([[value, value]]), images)

    people = {"human.mae": one(0.2, known), "human.iou": one(0.1, known)}
    gaze = {"gaze.mae": one(0.8, 2), "gaze.iou": one(0.7, 2)}
    found = headline({"detection.map50": one(0.5, 2), **people, **gaze})
    assert (found["mae"], found["iou"]) == expected


def test_what_was_not_measured_is_not_among_an_arm_s_numbers(settings: Params) -> None:
    assert set(headline(scored({"test": RUNS["test"]}, settings.score))) == {"map50", "map"}


def test_every_score_is_listed_with_its_spread_and_interval(scores: dict[str, Score]) -> None:
    table = listed(scores, RUNS["test"])
    assert list(table.columns) == ["metric", "of", "value", "sd", "lo", "hi", "seeds", "images"]
    own = table[table["of"] == "detector"].set_index("metric")
    assert list(own.index) == list(scores)
    row = own.loc["gaze.cc"]
    assert (row["value"], row["sd"], row["seeds"], row["images"]) == pytest.approx((0.3, 0.08**0.5, 2, 1))
    assert (row["lo"], row["hi"]) == interval(scores["gaze.cc"])
    assert own["value"].to_dict() == {name: pytest.approx(score.value) for name, score in scores.items()}


def test_baselines_are_listed_after_the_detector_as_means_over_images_and_seeds(scores: dict[str, Score]) -> None:
    known = [0.1, np.nan]
    runs = [run(0.5, [0, 0], human_chance_iou=[0.05, c], gaze_constant_cc=known, gaze_centre_cc=known) for c in (0, 1)]
    rows = listed(scores, runs)[len(scores) :]
    assert rows[["metric", "of", "seeds", "images"]].to_numpy().tolist() == [
        ["human.iou", "chance", 2, 2],
        ["gaze.cc", "centre", 2, 1],
        ["gaze.cc", "constant", 2, 1],
    ]
    assert rows["value"].tolist() == pytest.approx([(0.05 + 0 + 0.05 + 1) / 4, 0.1, 0.1])
    assert rows[["sd", "lo", "hi"]].isna().all(axis=None)


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
    assert json.loads((out / "metrics.json").read_text()) == {"map50": 1, "map": 1, "reliance": 0}
    table = pd.read_csv(out / "scores.csv")
    assert set(table["of"]) == {"detector"}
    assert pd.read_parquet(out / "failures.parquet").empty
    assert not set(pd.read_parquet(out / "images.parquet")) & {"pointed", "in_boxes", "boxes_area"}
    scores = table.set_index("metric")["value"]
    assert scores["cue.map50_random"] == 0
    assert {"cue.log_odds", "cue.looked_at"}.isdisjoint(scores.index)


def test_the_failures_of_each_seed_and_whether_its_map_points_at_an_object_are_kept_of_the_plain_test_split(
    predictions: Path, sample: Tree, settings: Params, tmp_path: Path
) -> None:
    """Seed 1 finds everything and its maps say nothing, seed 2 finds nothing and looks at each first object."""
    scenes = {scene: voc.read(sample.annotation(scene)) for scene in sample.ids("test")}
    for scene, known in scenes.items():
        heatmap = np.zeros((known.height, known.width), np.float32)
        for seed in (1, 2):
            for split in ("", "_matching", "_random"):
                write(tmp_path / "heatmaps" / f"seed-{seed}" / f"{scene}{split}.png", maps.encode(heatmap))
            x0, y0, x1, y1 = map(round, known.objects[0].box)
            heatmap[(y0 + y1) // 2, (x0 + x1) // 2] = 1
    of = Predictions(predictions / "detections.parquet", predictions / "heatmaps", [1, 2])
    build(of, sample, tmp_path / "attention", VOC_CLASSES, settings.score, tmp_path / "metrics.json", tmp_path)
    failures = pd.read_parquet(tmp_path / "failures.parquet")
    assert list(failures) == ["id", "kind", "label", "score", "x0", "y0", "x1", "y1", "run"]
    expected = [(scene, o.name, 1, "missed") for scene, known in scenes.items() for o in known.objects]
    assert list(failures[["id", "label", "run", "kind"]].itertuples(index=False, name=None)) == expected
    images = pd.read_parquet(tmp_path / "images.parquet")
    test = images[images["split"] == "test"].groupby("run")
    assert [set(own["pointed"]) for _, own in test] == [{False}, {True}]
    assert [set(own["in_boxes"]) for _, own in test] == [{0}, {1}]
    assert images.loc[images["split"] == "test", "boxes_area"].between(0, 1, inclusive="neither").all()
    assert images.loc[images["split"] != "test", "pointed"].isna().all()


def test_the_log_odds_of_main_objects_are_compared_scene_by_scene_and_seed_by_seed(
    predictions: Path, sample: Tree, settings: Params, tmp_path: Path
) -> None:
    """With seed 1 every detector is surer by 1 with the matching cue, with seed 2 by 2, and scene 0 says nothing."""
    scenes = sample.ids("test")
    rows = [
        (f"{scene}_{condition}", seed, (-np.inf if n == 0 else n) + seed * (condition == "matching"))
        for n, scene in enumerate(scenes)
        for condition in ("random", "matching")
        for seed in (1, 2)
    ]
    pd.DataFrame(rows, columns=["id", "seed", "log_odds"]).to_parquet(tmp_path / "objects.parquet")
    found, nowhere = predictions / "detections.parquet", predictions / "heatmaps"
    of = Predictions(found, nowhere, [1, 2], objects=tmp_path / "objects.parquet")
    scores = build(of, sample, tmp_path, VOC_CLASSES, settings.score, tmp_path / "metrics.json", tmp_path)
    assert scores["cue.log_odds"].values.tolist() == [1, 2]
    assert scores["cue.log_odds"].images == len(scenes) - 1
    assert json.loads((tmp_path / "metrics.json").read_text())["log_odds"] == 1.5
    images = pd.read_parquet(tmp_path / "images.parquet").dropna(subset="cue_log_odds")
    assert set(images["id"]) == set(sample.ids("test_random")[1:])


def test_scoring_imports_no_torch() -> None:
    """It takes seconds to import, and what a detector made is there already."""
    code = "import sys, training.score; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_surest_detection_that_overlaps_the_largest_object_says_what_became_of_it() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 60, 60], [0, 0, 99, 99]], np.float64)
    truth = Truth(boxes, np.array([0, 1, 0]), np.array([False, False, True]), 100, 100)  # the largest is difficult
    there, elsewhere = [20.0, 20, 60, 50], [0.0, 0, 30, 30]

    def verdict(*found: tuple[list[float], int, float]) -> list[str | None]:
        own = Detections(*(np.array(column) for column in zip(*found, strict=True))) if found else NOTHING
        return judged([truth], [own], ["cat", "dog"]).loc[0].tolist()

    assert verdict((there, 1, 0.4), (there, 0, 0.3)) == ["dog", "right class"]
    assert verdict((there, 1, 0.4), (there, 0, 0.5)) == ["dog", "wrong class"]
    assert verdict((elsewhere, 1, 0.9)) == ["dog", "not found"]
    assert verdict() == ["dog", "not found"]
    nobody = Truth(boxes[:0], np.zeros(0, np.int64), np.zeros(0, bool), 100, 100)
    assert judged([nobody], [NOTHING], ["cat", "dog"]).loc[0].tolist() == [None, None]
