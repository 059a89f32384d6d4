"""A variant copied out is what other tools read, and holds nothing of an export before it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.toolkit.browse.made import IDS, TRAIN, make
from toolkit import sources
from toolkit.export import LAYOUTS, export
from toolkit.files import write
from toolkit.params import Params
from toolkit.voc import VOC_CLASSES, Tree, read, write_ids

SPLITS = {"train": TRAIN, "test": IDS[len(TRAIN) :]}
IMAGES = {"voc": "JPEGImages", "yolo": "images/{}", "coco": "{}/data"}


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A variant of five images; nothing of the real database stays in the environment."""
    root = tmp_path_factory.mktemp("repository")
    make(root)
    tree = Tree(root / "datasets/variants/erasing")
    for split, ids in SPLITS.items():
        write_ids(tree.split(split), ids)
    write(tree.root / "variant.json", "{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        yield tree


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_holds_every_split_and_nothing_of_one_that_was_killed(
    variant: Tree, tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    for left in ("images/train/killed.jpg", "train/data/killed.jpg", "JPEGImages/killed.jpg", "dataset.yaml"):
        write(tmp_path / ".out.partial" / left, "names: {0: killed}")
    export(variant, tmp_path / "out", layout, VOC_CLASSES)
    assert {path.name for path in (tmp_path / "out").rglob("*.jpg")} == {f"{image_id}.jpg" for image_id in IDS}
    for split, ids in SPLITS.items():
        images = (tmp_path / "out" / IMAGES[layout].format(split)).iterdir()
        assert {path.stem for path in images} == set(IDS if layout == "voc" else ids)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_yolo_export_may_be_moved(variant: Tree, tmp_path: Path) -> None:
    """Its file named the temporary folder that it was made in."""
    export(variant, tmp_path / "out", "yolo", VOC_CLASSES)
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    about = yaml.safe_load((moved / "dataset.yaml").read_text())
    assert about["names"] == dict(enumerate(VOC_CLASSES))
    for split, ids in SPLITS.items():
        assert {path.stem for path in (moved / about.get("path", "") / about[split]).iterdir()} == set(ids)


def test_a_yolo_export_validates_on_the_test_split(variant: Tree, tmp_path: Path) -> None:
    """YOLO trains with nothing that names no `val`."""
    export(variant, tmp_path / "out", "yolo", VOC_CLASSES)
    config = yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())
    assert config["val"] == config["test"]
    assert (tmp_path / "out" / config["val"]).is_dir()


def test_a_coco_export_has_every_box(variant: Tree, tmp_path: Path) -> None:
    """COCO's box is x, y, width and height in pixels."""
    export(variant, tmp_path / "out", "coco", VOC_CLASSES)
    labels = json.loads((tmp_path / "out" / "test" / "labels.json").read_text())
    names = {category["id"]: category["name"] for category in labels["categories"]}
    images = {image["id"]: Path(image["file_name"]).stem for image in labels["images"]}
    found = sorted(
        (images[a["image_id"]], names[a["category_id"]], *map(round, a["bbox"])) for a in labels["annotations"]
    )
    assert found == sorted(
        (image_id, o.name, *map(round, (o.box[0], o.box[1], o.box[2] - o.box[0], o.box[3] - o.box[1])))
        for image_id in SPLITS["test"]
        for o in read(variant.annotation(image_id)).objects
    )


def test_a_coco_export_is_read_back_as_the_same_images_and_boxes(
    variant: Tree, tmp_path: Path, settings: Params
) -> None:
    """By `data.source: coco`; FiftyOne stores boxes as shares of the image, so that their last digits change."""
    export(variant, tmp_path / "coco", "coco", VOC_CLASSES)
    (tmp_path / "out").mkdir()
    data = settings.data.model_copy(update={"source": "coco", "path": str(tmp_path / "coco")})
    sources.build(settings.model_copy(update={"data": data}), tmp_path / "out")
    back = Tree(tmp_path / "out")
    assert back.splits() == SPLITS
    for image_id in IDS:
        assert back.image(image_id).read_bytes() == variant.image(image_id).read_bytes()
        was, now = (sorted(read(tree.annotation(image_id)).objects, key=str) for tree in (variant, back))
        assert [known.name for known in now] == [known.name for known in was]
        for before, after in zip(was, now, strict=True):
            assert after.box == pytest.approx(before.box, abs=1e-6)
