"""Somebody else's detections: a COCO results file is scored as an arm is, and a wrong one is refused by its fault."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from toolkit import voc
from toolkit.errors import BadInput
from toolkit.params import Params
from toolkit.voc import VOC_CLASSES, Tree
from training import coco_results

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(name: str, content: Any) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    return write


def labels_of(sample: Tree) -> dict[str, Any]:
    images = [{"id": n, "file_name": f"data/{i}.jpg"} for n, i in enumerate(sample.ids("test"), 7)]
    return {"images": images, "categories": [{"id": n, "name": name} for n, name in enumerate(VOC_CLASSES, 1)]}


def found_in(sample: Tree) -> list[dict[str, Any]]:
    """Every object of the test split, where it is."""
    return [
        {
            "image_id": number,
            "category_id": VOC_CLASSES.index(known.name) + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": 0.5,
        }
        for number, image_id in enumerate(sample.ids("test"), 7)
        for known in voc.read(sample.annotation(image_id)).objects
        for x0, y0, x1, y1 in [known.box]
    ]


def test_what_finds_everything_scores_1(sample: Tree, settings: Params, written: Written, tmp_path: Path) -> None:
    results, labels = written("results", found_in(sample)), written("labels", labels_of(sample))
    text = coco_results.build(results, labels, sample.root, settings, tmp_path / "out")
    assert "| mAP@[.5:.95] ↑ |   1.000 |" in text
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics == {"map50": 1, "map": 1}  # no maps, and no split with a cue
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(scores["of"]) == {"detector"}
    assert set(scores["metric"]) == {"detection.map50", "detection.map", "detection.map50_voc"}


def test_what_finds_nothing_scores_0(sample: Tree, settings: Params, written: Written, tmp_path: Path) -> None:
    coco_results.build(written("r", []), written("l", labels_of(sample)), sample.root, settings, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == {"map50": 0, "map": 0}


def test_nothing_is_overwritten(sample: Tree, settings: Params, written: Written, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="exists already"):
        coco_results.build(written("r", []), written("l", labels_of(sample)), sample.root, settings, tmp_path)


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        ({"no": "list"}, "cannot be read"),
        ([{"image_id": 7}], "cannot be read"),
        ([{"image_id": 999, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], "cannot be read"),
        ([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1], "score": 1}], "cannot be read"),
        ([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, "x"], "score": 1}], "cannot be read"),
    ],
)
def test_what_is_no_results_file_is_refused(
    sample: Tree, settings: Params, written: Written, tmp_path: Path, results: Any, fault: str
) -> None:
    with pytest.raises(BadInput, match=fault):
        coco_results.build(
            written("r", results), written("l", labels_of(sample)), sample.root, settings, tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_labels_that_lack_an_image_or_have_other_classes_are_refused(
    sample: Tree, settings: Params, written: Written, tmp_path: Path
) -> None:
    fewer, other = labels_of(sample), labels_of(sample)
    del fewer["images"][0]
    other["categories"] = [category | {"name": f"my {category['name']}"} for category in other["categories"]]
    with pytest.raises(BadInput, match="lacks 1 images of the test split"):
        coco_results.build(written("r", []), written("l", fewer), sample.root, settings, tmp_path / "out")
    with pytest.raises(BadInput, match=r"has classes that params\.yaml lacks: my "):
        coco_results.build(written("r", found_in(sample)), written("l", other), sample.root, settings, tmp_path / "out")
