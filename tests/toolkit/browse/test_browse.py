"""The dataset for FiftyOne: its bytes, its paths, and what its samples say."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.toolkit.browse.made import CUED, ERASED, IDS, SIZE, TEST, make, run
from toolkit import browse, maps, voc
from toolkit.errors import BadInput
from toolkit.voc import Tree

EXPORT = """
import sys
from pathlib import Path
from tests.toolkit.browse.made import export, make
make(Path(sys.argv[1]))
export(Path(sys.argv[1]))
"""
MAPS = ("human_attention", "gaze_attention", "saliency", "saliency_erasing")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sample_of(dataset: Any, image_id: str, name: str = "source") -> Any:
    """A group's sample, by the id of its image as it is and by its slice."""
    return dataset.select_group_slices(name).match({"image": image_id}).first()


def test_export_has_no_path_of_its_machine(root: Path) -> None:
    for name in ("samples.json", "metadata.json", "evaluations/eval_none.json"):
        assert "/tmp" not in (root / "datasets/fiftyone" / name).read_text("utf-8")
        assert ".partial" not in (root / "datasets/fiftyone" / name).read_text("utf-8")


def test_another_process_in_another_place_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONHASHSEED": "7", "FIFTYONE_DATABASE_URI": ""}
    subprocess.run([sys.executable, "-c", EXPORT, str(tmp_path / "other")], check=True, env=env)
    assert contents(tmp_path / "other/datasets/fiftyone") == contents(root / "datasets/fiftyone")


def test_every_path_lies_in_the_clone(root: Path, dataset: Any) -> None:
    every = dataset.select_group_slices()
    paths = every.values("filepath")
    for field in MAPS:
        paths += [path for path in every.values(f"{field}.map_path") if path]
    for field in ("parts", "changed"):
        paths += [path for path in every.values(f"{field}.mask_path") if path]
    images = len(IDS) + 2 * len(TEST)
    assert len(paths) == (images + 1) + (images - 1) + images + images + 3 * len(TEST) + images + 1
    assert all(Path(path).is_relative_to(root) and Path(path).is_file() for path in paths)


def test_a_group_is_an_image_with_what_was_made_of_it(dataset: Any) -> None:
    slices = {
        image_id: {
            name for name in dataset.group_slices if dataset.select_group_slices(name).match({"image": image_id})
        }
        for image_id in IDS
    }
    conditions = {"source", "matching cue", "random cue"}
    assert slices == {
        "a": {"source", "erasing"}, "b": {"source"}, "c": {"source"}, "d": conditions, "e": conditions, "f": {"source"}
    }  # fmt: skip
    assert dataset.default_group_slice == "source" and len(dataset) == len(IDS)
    random = sample_of(dataset, "e", "random cue")
    assert Path(random.filepath).stem == CUED["test_random"][1]
    assert (random.split, random.condition) == ("test_random", "random cue")


def test_a_train_image_says_whether_it_was_selected_and_why(root: Path, dataset: Any) -> None:
    sample = sample_of(dataset, "a")
    annotation = voc.read(Tree(root / "datasets/source").annotation("a"))
    assert (sample.split, sample.variant) == ("train", "source")
    assert (sample.selected, sample.reason) == (True, "low; high")
    assert sample.human_mae == pytest.approx(0.05)
    assert sample["prediction_erasing"] is None
    for shown, known in zip(sample.ground_truth.detections, annotation.objects, strict=True):
        x, y, w, h = (SIZE * share for share in shown.bounding_box)
        assert (shown.label, shown.difficult, shown.truncated) == (known.name, False, False)
        assert (x, y, x + w, y + h) == pytest.approx(known.box)


def test_a_variant_shows_which_pixels_it_changed(dataset: Any) -> None:
    sample = sample_of(dataset, "a", "erasing")
    assert (sample.variant, sample.split, sample.selected, sample.reason) == ("erasing", "train", True, "low")
    mask = cv2.imread(sample.changed.mask_path, cv2.IMREAD_UNCHANGED)
    known = np.zeros((SIZE, SIZE), np.uint8)
    known[ERASED] = 1
    assert (mask == known).all()
    assert dataset.mask_targets["changed"] == {1: "changed"}
    assert dataset.mask_targets["parts"] == {1: "object", 2: "cue"}


def test_predictions_are_evaluated_and_their_evaluation_is_registered(dataset: Any) -> None:
    found, empty = sample_of(dataset, "d"), sample_of(dataset, "e")
    objects = len(found.ground_truth.detections)
    true, false = found["prediction_none"].detections  # one of 0.2 is not shown
    assert (true.confidence, true["eval_none"], true["eval_none_iou"]) == (0.9, "tp", pytest.approx(1))
    assert (false.confidence, false["eval_none"]) == (0.5, "fp")
    assert false.bounding_box == [0, 0.25, 0.5, 0.75]
    matched = found.ground_truth.detections[0]
    assert (matched["eval_none"], matched["eval_none_id"]) == ("tp", true.id)
    assert (found.eval_none_tp, found.eval_none_fp, found.eval_none_fn) == (1, 1, objects - 1)
    assert empty["prediction_none"].detections == []
    assert (empty.eval_none_tp, empty.eval_none_fn) == (0, len(empty.ground_truth.detections))
    assert dataset.list_evaluations() == ["eval_erasing", "eval_none"]
    assert dataset.load_evaluation_view("eval_none").count() == 3 * len(TEST)
    assert len(dataset.load_evaluation_results("eval_none").ypred)


def test_an_arm_s_own_scores_and_map_are_on_its_test_images(dataset: Any) -> None:
    sample = sample_of(dataset, "d")
    assert (sample.human_iou_none, sample.human_iou_erasing) == (0.4, 0.5)
    assert sample.human_gain_erasing == pytest.approx(0.1)
    assert sample.pointed_none is False
    assert sample.saliency_erasing is not None and sample_of(dataset, "a").saliency_erasing is None
    assert sample_of(dataset, "d", "random cue").cue_looked_at_none == 0.25


def test_an_image_of_the_base_split_was_neither_selected_nor_tested(dataset: Any) -> None:
    sample = sample_of(dataset, "f")
    assert (sample.split, sample.selected, sample.reason, sample["prediction_erasing"]) == ("base", None, None, None)
    assert sample.saliency is not None


def test_what_is_not_known_is_not_there(dataset: Any) -> None:
    sample = sample_of(dataset, "b")
    assert sample.human_attention is None and sample.human_iou is None
    assert sample.gaze_iou is not None


def test_a_field_that_no_image_has_is_not_there(dataset: Any) -> None:
    schema = dataset.get_field_schema()
    assert "saliency_none" not in schema and "human_gain_none" not in schema
    shown = {path.partition(".")[0] for group in dataset.app_config.sidebar_groups for path in group.paths}
    assert shown <= {*schema, "_label_tags"}
    every = dataset.select_group_slices()
    empty = [name for name in schema if name not in ("id", "tags", "group") and not every.exists(name)]
    assert not empty


def test_a_run_without_people_cue_and_masks_has_no_fields_of_them(tmp_path: Path, database: Path) -> None:
    make(tmp_path)
    for folder in ("source/Masks", "attention/human"):
        shutil.rmtree(tmp_path / "datasets" / folder)
    source = Tree(tmp_path / "datasets/source")
    for split in CUED:
        source.split(split).unlink()
    whole = run(tmp_path)
    agreement = whole.agreement[~whole.agreement["split"].isin(CUED)]
    agreement = agreement.drop(columns=[name for name in agreement if name.startswith("human_")])
    arms = {
        name: replace(arm, images=pd.DataFrame({"id": TEST, "gaze_iou": [0.2, 0.1]}))
        for name, arm in whole.arms.items()
    }
    out = tmp_path / "datasets/fiftyone"
    out.mkdir()
    browse.build(replace(whole, agreement=agreement, arms=arms), out, root=tmp_path)
    dataset = browse.load(out, "plain", root=tmp_path)
    names = ("human", "parts", "condition", "cue", "pointed")
    assert not [field for field in dataset.get_field_schema() if field.startswith(names)]
    assert dataset.list_saved_views() == ["selected for erasing", "people and detector disagree most"]
    assert dataset.group_slices == ["source", "erasing"]


def test_maps_are_8_bit_of_a_fixed_range(root: Path, dataset: Any) -> None:
    heatmap = sample_of(dataset, "a").saliency
    image = cv2.imread(heatmap.map_path, cv2.IMREAD_UNCHANGED)
    stored = maps.scale(maps.load(root / "datasets/saliency/a.png"), SIZE, SIZE)
    assert heatmap.range == [0, 255]
    assert image is not None and image.dtype == np.uint8 and image.shape == (SIZE, SIZE)
    assert np.abs(image / 255 - stored).max() <= 0.5 / 255 + 1e-6


def test_views_answer_their_questions(dataset: Any) -> None:
    views = {name: dataset.load_saved_view(name) for name in dataset.list_saved_views()}
    stems = {name: [Path(path).stem for path in view.values("filepath")] for name, view in views.items()}
    assert stems == {
        "selected for erasing": ["c", "a"],
        "people and detector disagree most": ["f", "e", "d", "c", "a"],
        "erasing: agreement gained": ["d", "e"],
        "false positives, looked away": ["d"],
        "cue looked at": ["e_random", "d_random"],
    }
    (wrong,) = views["false positives, looked away"].first()["prediction_none"].detections
    assert wrong["eval_none"] == "fp"
    assert all(view["description"] and view["color"] for view in dataset.list_saved_views(info=True))


def test_one_map_is_shown_at_first_and_attention_has_other_colours_than_saliency(dataset: Any) -> None:
    assert set(dataset.app_config.active_fields.paths) == {"ground_truth", "saliency", "changed", "prediction_none"}
    scales = {scale["path"]: np.array(scale["rgb"]) for scale in dataset.app_config.color_scheme.colorscales}
    assert set(scales) == {"human_attention", "gaze_attention", "saliency", "saliency_erasing"}
    red, _, blue = scales["saliency"].T
    assert (red > blue).all()
    red, _, blue = scales["human_attention"].T
    assert (blue > red).all()


def test_folder_without_an_export_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="dvc pull"):
        browse.load(tmp_path, "none")
