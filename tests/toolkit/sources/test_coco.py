"""A COCO folder becomes a VOC tree: its boxes and ids are kept, every offender is named by its own file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.sources.conftest import JPEG, PIXELS, files
from toolkit import sources, voc
from toolkit.errors import BadInput
from toolkit.files import png, write
from toolkit.params import Params
from toolkit.sources import coco
from toolkit.voc import Object, Tree

Build = Callable[..., dict[str, Any]]
CATEGORIES = [{"id": 1, "name": "dog"}, {"id": 7, "name": "couch"}, {"id": 9, "name": "giraffe"}]
TRAIN, VAL = "annotations/instances_train2017.json", "annotations/instances_val2017.json"


def image(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 60, "height": 40}


def box(number: int, bbox: list[float], category: int = 1, **more: object) -> dict[str, Any]:
    return {"id": 1, "image_id": number, "category_id": category, "bbox": bbox, "segmentation": [[1.0] * 8]} | more


def labels(names: list[str], objects: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Images numbered from 1, by default with a dog each."""
    given = [box(number, [0, 0, 10, 10]) for number, _ in enumerate(names, 1)] if objects is None else objects
    images = [image(number, name) for number, name in enumerate(names, 1)]
    return {"info": {}, "images": images, "annotations": given, "categories": CATEGORIES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Laid out as COCO is: `a` and `b` in train2017, `c` in val2017, 60 x 40 pixels and a dog each."""
    root = tmp_path / "coco"
    for name in ("train2017/a.jpg", "train2017/b.jpg", "val2017/c.jpg"):
        write(root / name, JPEG)
    write(root / TRAIN, json.dumps(labels(["a.jpg", "b.jpg"])))
    write(root / VAL, json.dumps(labels(["c.jpg"])))
    return root


@pytest.fixture
def build(settings: Params, folder: Path, tmp_path: Path) -> Build:
    """The source's build, of that folder, into an empty one beside it."""

    def build(out: str = "out", **changes: object) -> dict[str, Any]:
        (tmp_path / out).mkdir()
        named = {"train_split": "train2017", "test_split": "val2017"}
        data = settings.data.model_copy(update={"source": "coco", "path": str(folder)} | named | changes)
        attention = settings.attention.model_copy(update={"human": str(tmp_path / "masks")})
        return sources.build(settings.model_copy(update={"data": data, "attention": attention}), tmp_path / out)

    return build


def told(build: Build, folder: Path, **changes: object) -> list[tuple[str, str]]:
    """Every problem's file, relative to the folder, and fault."""
    with pytest.raises(BadInput) as caught:
        build(**changes)
    assert all(problem.mend for problem in caught.value.problems)
    return [(problem.file.replace(f"{folder}/", ""), problem.fault) for problem in caught.value.problems]


def test_a_folder_becomes_a_voc_tree_and_nothing_is_left_beside_it(build: Build, tmp_path: Path, folder: Path) -> None:
    about = build()
    tree = Tree(tmp_path / "out")
    assert tree.splits() == {"train": ["a", "b"], "test": ["c"]}
    assert {name: about[name] for name in ("source", "images", "train", "test", "skipped")} == {
        "source": "coco", "images": 3, "train": 2, "test": 1, "skipped": [],
    }  # fmt: skip
    assert files(tree.root) == sorted(
        [f"JPEGImages/{image_id}.jpg" for image_id in "abc"]
        + [f"Annotations/{image_id}.xml" for image_id in "abc"]
        + ["ImageSets/Main/test.txt", "ImageSets/Main/train.txt", "source.json"]
    )
    assert not any(path.is_symlink() for path in tree.root.rglob("*"))
    assert tree.image("a").read_bytes() == JPEG
    assert tree.image("a").stat().st_ino != (folder / "train2017/a.jpg").stat().st_ino


def test_boxes_names_and_crowds_are_voc_s(build: Build, folder: Path, tmp_path: Path) -> None:
    objects = [box(1, [0.5, 2, 10, 20.25]), box(1, [30, 0, 30, 40], category=7, iscrowd=1)]
    write(folder / TRAIN, json.dumps(labels(["a.jpg"], objects)))
    build()
    known = voc.read(Tree(tmp_path / "out").annotation("a"))
    assert (known.filename, known.width, known.height) == ("a.jpg", 60, 40)
    assert known.objects == (
        Object("dog", (0.5, 2.0, 10.5, 22.25)),
        Object("sofa", (30.0, 0.0, 60.0, 40.0), difficult=True),
    )


def test_a_box_that_leaves_its_image_by_less_than_a_pixel_is_cut_at_the_edge(
    build: Build, folder: Path, tmp_path: Path
) -> None:
    write(folder / TRAIN, json.dumps(labels(["a.jpg"], [box(1, [-0.4, 0.1 + 0.2, 60.9, 39.7])])))
    build()
    (known,) = voc.read(Tree(tmp_path / "out").annotation("a")).objects
    assert known.box == pytest.approx((0.0, 0.3, 60.0, 40.0))
    assert known.box[0] >= 0 and known.box[2] <= 60 and known.box[3] <= 40


def test_other_categories_are_left_out_and_so_are_images_without_objects(
    build: Build, folder: Path, tmp_path: Path
) -> None:
    objects = [box(1, [0, 0, 5, 5]), box(1, [0, 0, 5, 5], category=9), box(2, [0, 0, 5, 5], category=9)]
    write(folder / TRAIN, json.dumps(labels(["a.jpg", "b.jpg", "empty.jpg"], objects)))
    about = build()
    assert Tree(tmp_path / "out").splits() == {"train": ["a"], "test": ["c"]}
    assert (about["images_left_out"], about["objects_left_out"]) == (2, {"giraffe": 2})


@pytest.mark.parametrize(
    ("split_labels", "images"),
    [
        ("annotations/instances_{}.json", "images/{}"),
        ("{}/_annotations.coco.json", "{}"),
        ("{}/labels.json", "{}/data"),
    ],
)
def test_it_may_lie_as_exporters_lay_it_out(
    build: Build, folder: Path, tmp_path: Path, split_labels: str, images: str
) -> None:
    for split in ("train2017", "val2017"):
        written = (folder / f"annotations/instances_{split}.json").rename(folder / "labels.json").read_text()
        moved = (folder / split).rename(tmp_path / split)
        write(folder / split_labels.format(split), written)
        for path in moved.iterdir():
            write(folder / images.format(split) / path.name, path.read_bytes())
    build()
    assert Tree(tmp_path / "out").splits() == {"train": ["a", "b"], "test": ["c"]}


def test_a_png_and_an_image_in_a_folder_of_its_own_are_taken(build: Build, folder: Path, tmp_path: Path) -> None:
    write(folder / "train2017/deeper/p.png", png(PIXELS))
    write(folder / TRAIN, json.dumps(labels(["deeper/p.png"])))
    build()
    assert Tree(tmp_path / "out").image("p").read_bytes() == png(PIXELS)


def test_a_base_split_is_a_third_one_or_half_of_train(build: Build, folder: Path, tmp_path: Path) -> None:
    write(folder / "mine/d.jpg", JPEG)
    write(folder / "annotations/instances_mine.json", json.dumps(labels(["d.jpg"])))
    build("third", base_split="mine")
    assert Tree(tmp_path / "third").splits() == {"train": ["a", "b"], "test": ["c"], "base": ["d"]}
    names = [f"{n}.jpg" for n in range(12)]
    for name in names:
        write(folder / "train2017" / name, JPEG)
    write(folder / TRAIN, json.dumps(labels(names)))
    about = build("half", base_split="half")
    assert about["train"] + about["base"] == 12


def test_its_images_are_split_by_whose_attention_is_known(build: Build, tmp_path: Path) -> None:
    write(tmp_path / "masks" / "b.jpg", "")
    build(split="tested")
    assert Tree(tmp_path / "out").splits() == {"train": ["a", "c"], "test": ["b"]}


# ---- what is wrong with it


def test_every_offender_is_named_by_its_own_file_and_nothing_is_written(
    build: Build, folder: Path, tmp_path: Path
) -> None:
    objects = [
        box(1, [0, 0, 5, 5]),
        box(2, [50, 0, 20, 5]),
        box(3, [1, 1, 0, 5]),
        box(4, [0, 0, 5, 5]),
        box(99, [0, 0, 5, 5]),
    ]
    write(folder / TRAIN, json.dumps(labels(["a.jpg", "b.jpg", "e.jpg", "f.jpg", "../g.jpg"], objects)))
    write(folder / "train2017/e.jpg", JPEG)
    write(folder / "train2017/f.jpg", b"text")
    (folder / "train2017/a.jpg").unlink()
    assert told(build, folder) == [
        (TRAIN, "has an image (number 4) that is named '../g.jpg', which is no plain file name"),
        (TRAIN, "has 1 objects of images that it does not list, such as 99"),
        ("train2017/a.jpg", "does not exist"),
        (f"{TRAIN} (b.jpg)", "has a dog whose box (51, 1, 70, 5) leaves the image"),
        (f"{TRAIN} (e.jpg)", "has a dog whose box (2, 2, 1, 6) is empty"),
        ("train2017/f.jpg", "is not a JPEG or PNG image"),
        (TRAIN, "has no image without a problem"),
    ]
    assert files(tmp_path / "out") == []


def test_skip_leaves_them_out_and_records_why_by_the_same_names(build: Build, folder: Path, tmp_path: Path) -> None:
    write(folder / TRAIN, json.dumps(labels(["a.jpg", "b.jpg"], [box(1, [0, 0, 5, 5]), box(2, [0, 0, 0, 5])])))
    about = build(on_error="skip")
    assert Tree(tmp_path / "out").splits() == {"train": ["a"], "test": ["c"]}
    (skipped,) = about["skipped"]
    assert skipped["file"] == f"{folder / TRAIN} (b.jpg)"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'{"images": [', "is no COCO labels (Expecting value"),
        (b"[" * 100_000, "is no COCO labels (maximum recursion depth"),
        (b"\xff\xfe", "is no COCO labels ('utf-8' codec"),
        (b"[]", "it has no list of images"),
        (b'{"images": {}}', "it has no list of images"),
        (b'{"images": [3]}', "it has no list of images"),
        (b'{"images": []}', "it has no list of annotations"),
        (b'{"images": [], "annotations": []}', "it has no list of categories"),
        (b'{"images": [], "annotations": [], "categories": [{"id": 1}]}', "has no name"),
        (b'{"images": [], "annotations": [], "categories": []}', "has no image with a"),
    ],
)
def test_labels_that_are_none_are_told_once_even_where_bad_images_are_skipped(
    build: Build, folder: Path, data: bytes, fault: str
) -> None:
    write(folder / TRAIN, data)
    ((file, said),) = told(build, folder, on_error="skip")
    assert file == TRAIN
    assert fault in said


@pytest.mark.parametrize("missing", [TRAIN, "train2017"])
def test_a_split_that_is_not_there_is_told_with_the_layouts(build: Build, folder: Path, missing: str) -> None:
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(BadInput, match=r"annotations/instances_train2017\.json with train2017/ or ") as caught:
        build()
    assert [problem.fault for problem in caught.value.problems] == ["has no split 'train2017'"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"file_name": None}, "has no file_name"),
        ({"file_name": "/etc/passwd"}, "is named '/etc/passwd', which is no plain file name"),
        ({"file_name": "../../secret.jpg"}, "which is no plain file name"),
        ({"file_name": ".."}, "which is no plain file name"),
        ({"file_name": ""}, "which is no plain file name"),
        ({"file_name": "a\u0000.jpg"}, "which is no plain file name"),
        ({"file_name": "two words.jpg"}, "which is no plain file name"),
        ({"file_name": "x" * 300 + ".jpg"}, "which is no plain file name"),
        ({"id": None}, "has no id"),
        ({"id": [1]}, "has no id"),
        ({"width": "60"}, "has no number as its width"),
        ({"height": 0}, "has the height 0"),
        ({"height": float("nan")}, "has the height nan"),
        ({"height": 10**400}, "has a height beyond all numbers"),
    ],
)
def test_an_image_that_is_no_plain_one_is_told_and_never_followed(
    build: Build, folder: Path, change: dict[str, object], fault: str
) -> None:
    whole = labels(["a.jpg", "b.jpg"], [box(1, [0, 0, 5, 5])])
    whole["images"][1] |= change
    write(folder / TRAIN, json.dumps(whole))
    ((file, said),) = told(build, folder)
    assert file == TRAIN
    assert said.startswith("has an image (number 1) that ") and fault in said


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"bbox": None}, "has no bbox of four numbers"),
        ({"bbox": [1, 2, 3]}, "has no bbox of four numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "has no number as its bbox"),
        ({"bbox": [1, 2, 3, 10**400]}, "has a bbox beyond all numbers"),
        ({"category_id": None}, "has no category_id"),
        ({"category_id": 2}, "is of the category 2, which is not listed"),
    ],
)
def test_an_object_that_cannot_be_read_is_told_with_its_image(
    build: Build, folder: Path, change: dict[str, object], fault: str
) -> None:
    whole = labels(["a.jpg", "b.jpg"])
    whole["annotations"][1] |= change
    write(folder / TRAIN, json.dumps(whole))
    assert told(build, folder) == [(TRAIN, f"has an object in b.jpg that {fault}")]


def test_a_box_that_is_not_finite_is_told(build: Build, folder: Path) -> None:
    write(folder / TRAIN, json.dumps(labels(["a.jpg"], [box(1, [0, float("nan"), 5, 5])])))
    ((_, fault), *_) = told(build, folder)
    assert "is not finite" in fault


def test_images_of_one_id_or_one_name_are_told_and_neither_is_taken(build: Build, folder: Path, tmp_path: Path) -> None:
    whole = labels(["a.jpg", "b.jpg", "b.png", "d.jpg", "e.jpg"])
    whole["images"][3]["id"] = whole["images"][4]["id"] = 4
    write(folder / TRAIN, json.dumps(whole | {"annotations": whole["annotations"][:4]}))
    about = build(on_error="skip")
    assert [entry["fault"] for entry in about["skipped"]] == ["has 2 images of the id 4", "has 2 images named 'b'"]
    assert Tree(tmp_path / "out").ids("train") == ["a"]


def test_a_name_that_two_splits_share_is_told_and_neither_is_taken(build: Build, folder: Path, tmp_path: Path) -> None:
    write(folder / "val2017/b.jpg", JPEG)
    write(folder / VAL, json.dumps(labels(["c.jpg", "b.jpg"])))
    with pytest.raises(BadInput, match=r"train2017\.json and .*val2017\.json: share the image 'b'"):
        build()
    build("skipped", on_error="skip")
    assert Tree(tmp_path / "skipped").splits() == {"train": ["a"], "test": ["c"]}


def test_one_split_for_both_is_told(build, folder: Build) -> None:
    assert [fault for _, fault in told(build, folder, test_split="train2017")] == ["are the same split"]


# ---- a stranger's folder


@pytest.mark.parametrize("name", ["train2017/a.jpg", TRAIN])
def test_a_link_that_leads_out_of_the_folder_is_refused(build: Build, folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "secret")
    (folder / name).symlink_to(tmp_path / "secret")
    ((file, fault),) = told(build, folder)
    assert file == name
    assert "leads out of the" in fault and fault.endswith(f"to {tmp_path / 'secret'}")


def test_a_link_inside_the_folder_is_followed(build: Build, folder: Path) -> None:
    (folder / "train2017/a.jpg").rename(folder / "a.jpg")
    (folder / "train2017/a.jpg").symlink_to("../a.jpg")
    assert build()["images"] == 3


def test_labels_that_are_too_long_are_not_read(build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco.coco_labels, "MAX_JSON", 100)
    assert {fault for _, fault in told(build, folder)} == {"has more than 100 bytes"}
