"""What a detector finds and where it looks: kept by image, resumed, and shared with the pipeline's store."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit import maps
from toolkit.errors import BadInput
from toolkit.params import Compared, Params
from toolkit.voc import Annotation, Object, Tree
from training.predict import predicted
from training.study import detector_of, explaining, looks, tables


def compared(settings: Params, **rows: Compared) -> Params:
    study = settings.study.model_copy(update={"detectors": rows, "images": 2})
    return settings.model_copy(update={"study": study})


@pytest.fixture
def params(settings: Params, workplace: Path) -> Params:
    return compared(
        settings,
        ours=Compared(name="fasterrcnn_lite0", weights="checkpoint", checkpoint="datasets/base.safetensors", size=256),
    )


def test_of_every_image_and_method_the_agreement_is_kept(params: Params, dataset: Path, tmp_path: Path) -> None:
    methods = explaining(params, ["eigencam", "odam"])
    looks.build(dataset, "ours", detector_of(params, "ours"), methods, 2, params.data.classes, tmp_path / "ours")
    look = tables.read(tmp_path / "ours")
    assert look.label == "ours"
    assert look.agreement.groupby("method").size().to_dict() == {"eigencam": 2, "odam": 2}
    eigencam, odam = (own for _, own in look.agreement.groupby("method", sort=False))
    assert eigencam[["human_iou", "gaze_iou", "gaze_chance_iou", "on_objects"]].notna().all(axis=None)
    assert eigencam.filter(like="box_").isna().all(axis=None)  # its map is of the whole image
    assert odam["box_human_cc"].notna().any()
    assert look.about["layers"]["eigencam"] == "backbone.body.blocks.6"
    for image_id in eigencam["id"]:
        assert maps.load(tmp_path / "ours" / "heatmaps" / "odam" / f"{image_id}.png").max() <= 1


def test_what_the_pipeline_has_made_is_not_made_again(
    params: Params, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, (method,) = detector_of(params, "ours"), explaining(params, ["eigencam"])
    looks.build(dataset, "ours", own, [method], 2, params.data.classes, tmp_path / "first")
    monkeypatch.setattr("toolkit.detectors.load", lambda *_: pytest.fail("it was made before"))
    looks.build(dataset, "ours", own, [method], 2, params.data.classes, tmp_path / "again")
    first, again = (pd.read_parquet(tmp_path / name / "agreement.parquet") for name in ("first", "again"))
    pd.testing.assert_frame_equal(first, again)
    source = Tree(dataset / "source")
    known = {i: looks.voc.read(source.annotation(i)) for i in first["id"]}
    predicted(own, source, known, method, params.data.classes, "as the stage predict asks")


def test_a_map_is_higher_on_objects_or_it_is_not() -> None:
    left = Annotation("a.jpg", 20, 10, (Object("cat", (0, 0, 10, 10)),))
    heatmap = np.zeros((10, 20), np.float32)
    heatmap[:, :10] = 1
    assert looks.on_objects(heatmap, left) == 1
    assert looks.on_objects(1 - heatmap, left) == 0
    assert np.isnan(looks.on_objects(heatmap, Annotation("a.jpg", 20, 10, ())))
    assert np.isnan(looks.on_objects(heatmap, Annotation("a.jpg", 20, 10, (Object("cat", (0, 0, 20, 10)),))))


def test_a_detector_is_as_its_authors_have_it_unless_its_row_says_otherwise(settings: Params) -> None:
    params = compared(settings, ssd300_vgg16=Compared(), mine=Compared(name="fasterrcnn_resnet50_fpn", size=320))
    params = params.model_copy(update={"study": params.study.model_copy(update={"weights": "coco", "size": 256})})
    ssd, mine = (detector_of(params, row) for row in ("ssd300_vgg16", "mine"))
    assert (ssd.name, ssd.weights, ssd.size) == ("ssd300_vgg16", "coco", 300)
    assert (mine.name, mine.size) == ("fasterrcnn_resnet50_fpn", 320)
    theirs = detector_of(compared(params, fasterrcnn_resnet50_fpn=Compared()), "fasterrcnn_resnet50_fpn")
    assert theirs.size == 256


def test_a_row_without_its_checkpoint_is_refused(settings: Params) -> None:
    params = compared(settings, fasterrcnn_lite0=Compared(weights="checkpoint"))
    with pytest.raises(BadInput, match=r"study\.detectors\.fasterrcnn_lite0: has no checkpoint -- name its file"):
        detector_of(params, "fasterrcnn_lite0")
