"""What a user's tree lists and links to: ids, splits and paths are checked, and nothing outside of it is read."""

import os
from pathlib import Path

import pytest

from tests.toolkit.sources.conftest import CLASSES, PIXELS, SPLITS, faults, only_fault
from toolkit.files import png, write
from toolkit.sources.folder import check
from toolkit.voc import Tree, write_ids


@pytest.mark.parametrize("image_id", ["../../secret", "/etc/passwd", "..", "a/../b"])
def test_an_id_that_is_a_path_is_named_and_never_followed(tree: Tree, image_id: str) -> None:
    write_ids(tree.split("train"), ["a", image_id])
    assert only_fault(tree) == ("ImageSets/Main/train.txt", f"lists {image_id!r}, which is no plain file name")


def test_an_id_too_long_for_a_file_is_named(tree: Tree) -> None:
    write_ids(tree.split("train"), ["a", "x" * 300])
    image, annotation = faults(tree)
    assert "File name too long" in image[1] and "File name too long" in annotation[1]


def test_an_id_listed_twice_is_named(tree: Tree) -> None:
    write_ids(tree.split("train"), "abb")
    assert only_fault(tree) == ("ImageSets/Main/train.txt", "lists 'b' 2 times")


def test_a_test_image_among_the_train_images_is_named(tree: Tree) -> None:
    write_ids(tree.split("val"), "eb")
    file, fault = only_fault(tree)
    assert "train.txt" in file and "val.txt" in file
    assert fault == "share the image 'b'"


def test_one_split_for_both_is_named_once(tree: Tree) -> None:
    _, problems = check(tree, {"train": "train", "test": "train"}, CLASSES)
    assert [problem.fault for problem in problems] == ["are the same split"]


def test_a_third_split_is_held_against_both_others(tree: Tree) -> None:
    write_ids(tree.split("mine"), "be")
    _, problems = check(tree, SPLITS | {"base": "mine"}, CLASSES)
    assert [(problem.file, problem.fault) for problem in problems[:2]] == [
        (f"{tree.split('train')} and {tree.split('mine')}", "share the image 'b'"),
        (f"{tree.split('val')} and {tree.split('mine')}", "share the image 'e'"),
    ]
    _, (same,) = check(tree, SPLITS | {"base": "train"}, CLASSES)
    assert (same.file, same.fault) == ("data.train_split and data.base_split", "are the same split")


def test_png_data_under_a_jpg_s_name_is_good_as_variants_have_it(tree: Tree) -> None:
    tree.image(tree.ids("train")[0]).write_bytes(png(PIXELS))
    assert check(tree, SPLITS, CLASSES)[1] == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [(None, "does not exist"), (b"", "is empty"), (b"\n \n", "is empty"), (b"\xff", "is not UTF-8 text")],
)
def test_a_split_without_ids_is_named_and_the_other_still_checked(tree: Tree, data: bytes | None, fault: str) -> None:
    tree.image("b").unlink()
    tree.split("val").unlink()
    if data is not None:
        write(tree.split("val"), data)
    assert faults(tree) == [("ImageSets/Main/val.txt", fault), ("JPEGImages/b.jpg", "does not exist")]


def test_a_missing_tree_is_named_once(tmp_path: Path) -> None:
    _, (problem,) = check(Tree(tmp_path / "nowhere"), SPLITS, CLASSES)
    assert problem.file == str(tmp_path / "nowhere")


def test_missing_folders_are_named_without_every_file_that_should_be_in_them(tree: Tree) -> None:
    tree.image("").parent.rename(tree.root / "images")
    tree.annotation("").parent.rename(tree.root / "labels")
    assert faults(tree) == [("JPEGImages", "is not a folder"), ("Annotations", "is not a folder")]


# ---- a stranger's tree


@pytest.mark.parametrize("kind", ["image", "annotation", "attention"])
def test_a_link_that_leads_out_of_the_tree_is_refused(tree: Tree, tmp_path: Path, kind: str) -> None:
    inside: Path = getattr(tree, kind)("a")
    secret = tmp_path / "secret"
    inside.rename(secret)
    inside.symlink_to(secret)
    assert only_fault(tree) == (str(inside.relative_to(tree.root)), f"leads out of the tree, to {secret}")


def test_a_folder_or_split_that_leads_out_of_the_tree_is_refused(tree: Tree, tmp_path: Path) -> None:
    for path in (tree.image("").parent, tree.split("val")):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    found = faults(tree)
    assert [file for file, _ in found][:-1] == [
        "ImageSets/Main/val.txt",
        *(f"JPEGImages/{image_id}.jpg" for image_id in "abcd"),
    ]
    assert all("leads out of the tree" in fault for _, fault in found[:-1])


def test_a_link_inside_the_tree_is_followed(tree: Tree) -> None:
    tree.image("a").rename(tree.root / "original.jpg")
    tree.image("a").symlink_to("../original.jpg")
    assert faults(tree) == []


def test_a_pipe_is_not_waited_for(tree: Tree) -> None:
    tree.image("b").unlink()
    os.mkfifo(tree.image("b"))
    assert only_fault(tree) == ("JPEGImages/b.jpg", "does not exist")


# ---- all at once
