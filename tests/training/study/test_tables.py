"""The tables: means with intervals, chance and trivial maps beside them, and whose weights are random."""

import numpy as np
import pandas as pd
import pytest

from toolkit.params import Params
from training.study import tables
from training.study.published import PUBLISHED
from training.study.tables import Look


def look(name: str = "detr_resnet50", weights: str = "coco", **columns: list[float]) -> Look:
    rows = pd.DataFrame({"id": ["a", "b"], "method": "eigencam", "empty": [False, True]} | columns)
    return Look(name, {"detector": {"weights": weights}}, rows, pd.DataFrame())


AGREED = {
    "human_mae": [0.1, 0.3], "human_iou": [0.5, 0.7], "human_chance_iou": [0.05, 0.06], "human_centre_iou": [0.2, 0.2],
    "human_constant_mae": [0.3, 0.3], "people_iou": [0.8, 0.9],
}  # fmt: skip


def test_a_row_is_a_detector_method_and_metric_with_its_mean_and_interval(settings: Params) -> None:
    table = tables.agreement([look(**AGREED)], "human", settings.score)
    iou = table[table["metric"] == "iou"].iloc[0]
    assert (iou["detector"], iou["method"], iou["images"]) == ("detr_resnet50", "eigencam", 2)
    assert iou["value"] == pytest.approx(0.6)
    assert 0.5 <= iou["lo"] <= iou["value"] <= iou["hi"] <= 0.7
    assert (iou["chance"], iou["centre"]) == pytest.approx((0.055, 0.2))


def test_images_without_the_truth_do_not_count(settings: Params) -> None:
    known = look(human_iou=[0.5, np.nan], gaze_iou=[np.nan, np.nan])
    assert tables.agreement([known], "human", settings.score)["images"].tolist() == [1]
    assert tables.agreement([known], "gaze", settings.score).empty


def test_trivial_maps_and_people_stand_below_and_random_weights_are_marked(settings: Params) -> None:
    looks = [look(**AGREED), look("yolov5s", "none", **AGREED)]
    read = tables.shown(tables.agreement(looks, "human", settings.score), looks, "human")
    assert list(read.index) == ["detr_resnet50", "yolov5s (random weights)", "centre", "constant", "people"]
    assert read.loc["detr_resnet50", "images"] == "2, 1 maps empty"
    assert read.loc["centre", "human.iou"] == "0.200"
    assert read.loc["constant", "human.mae"] == "0.300"
    assert read.loc["people", "human.iou"] == "0.850"
    assert read.loc["detr_resnet50", "IoU by chance"] == "0.055"
    assert "IoU, published" not in read


def test_the_study_s_figures_stand_beside_those_of_its_data_and_detectors(settings: Params) -> None:
    looks = [look(**AGREED), look("fasterrcnn_lite0", **AGREED)]
    read = tables.shown(tables.agreement(looks, "human", settings.score), looks, "human", of="voc2012")
    assert read["IoU, published"].tolist()[:2] == ["0.2100", ""]
    assert read["MAE, published"].tolist()[:2] == ["0.1519", ""]


def test_the_study_s_tables_have_its_seven_detectors() -> None:
    assert [len(table) for table in PUBLISHED.values()] == [7, 7, 7]
    assert {min(table, key=lambda name: table[name][0]) for table in PUBLISHED.values()} == {
        "detr_resnet50", "fasterrcnn_resnet50_fpn",
    }  # fmt: skip
    assert {max(table, key=lambda name: table[name][1]) for table in PUBLISHED.values()} == {"ssd300_vgg16"}
