"""A user's VOC tree is checked whole, every offender is named, and nothing of it is read elsewhere or changed."""

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.sources.conftest import CLASSES, GOOD, JPEG, PIXELS, SPLITS, faults, files, only_fault
from toolkit.errors import BadInput
from toolkit.files import png, sha256, write
from toolkit.sources.folder import MAX_XML, build, check
from toolkit.voc import VOC_CLASSES, Object, Tree, render, write_ids


def test_a_good_tree_has_no_problems(tree: Tree) -> None:
    assert check(tree, SPLITS, CLASSES) == ({"train": list("abcd"), "test": list("ef")}, [])


def test_a_good_tree_is_copied_whole(tree: Tree, tmp_path: Path) -> None:
    summary = build(tree, SPLITS, CLASSES, "stop", tmp_path / "out")
    assert summary == {"images": 6, "train": 4, "test": 2, "attention": 1, "skipped": []}
    copied = Tree(tmp_path / "out")
    assert copied.splits() == {"train": list("abcd"), "test": list("ef")}
    assert files(copied.root) == sorted(
        [f"JPEGImages/{image_id}.jpg" for image_id in "abcdef"]
        + [f"Annotations/{image_id}.xml" for image_id in "abcdef"]
        + ["Attention/a.png", "ImageSets/Main/test.txt", "ImageSets/Main/train.txt"]
    )
    for name in files(copied.root):
        if not name.startswith("ImageSets"):
            assert sha256(copied.root / name) == sha256(tree.root / name)


@pytest.mark.parametrize("repository", [".", "repository"], ids=["inside the repository", "outside"])
def test_dvc_takes_the_copies_and_the_originals_stay_the_users(tree: Tree, tmp_path: Path, repository: str) -> None:
    """DVC makes the inodes of an output's files its cache's, and read-only, whatever other names they have."""
    root = tmp_path / repository

    def dvc(*command: str) -> None:
        subprocess.run([Path(sys.executable).parent / "dvc", *command, "-q"], cwd=root, check=True)

    root.mkdir(exist_ok=True)
    dvc("init", "--no-scm")
    dvc("config", "cache.type", "hardlink")  # the project's own setting tries reflinks first and then keeps copies
    before = {name: (sha256(tree.root / name), (tree.root / name).stat()) for name in files(tree.root)}
    build(tree, SPLITS, CLASSES, "stop", root / "source")
    dvc("add", "source")
    assert not Tree(root / "source").image("a").stat().st_mode & 0o222
    for name, (known, stat) in before.items():
        now = (tree.root / name).stat()
        assert (now.st_ino, now.st_mode, now.st_nlink) == (stat.st_ino, stat.st_mode, 1), name
        assert sha256(tree.root / name) == known


# ---- one image's files


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


SIDE = 8100  # pixels that a bomb claims to have, each way: more than salvoc takes, fewer than Pillow stops at
FRAME = JPEG.index(b"\xff\xc0") + 5  # after the marker, its length and the precision: height and width
JPEG_BOMB = JPEG[:FRAME] + SIDE.to_bytes(2) * 2 + JPEG[FRAME + 4 :]
PNG_HEADER = chunk(b"IHDR", SIDE.to_bytes(4) * 2 + bytes([8, 0, 0, 0, 0]))
PNG_BOMB = b"\x89PNG\r\n\x1a\n" + PNG_HEADER + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
XML_BOMB = b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("kind", "data", "fault"),
    [
        ("image", None, "does not exist"),
        ("image", JPEG[: len(JPEG) // 2], "does not decode (image file is truncated"),
        ("image", b"", "is not a JPEG or PNG image"),
        ("image", b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a JPEG or PNG image"),
        ("image", JPEG_BOMB, "is too large to decode safely"),
        ("annotation", None, "does not exist"),
        ("annotation", b"<annotation>", "is not XML"),
        ("annotation", XML_BOMB, "refuses"),
        ("annotation", b"<svg/>", "is not a VOC annotation"),
        ("annotation", b"<a>" * 5000 + b"</a>" * 5000, "nested"),
        ("annotation", b" " * (MAX_XML + 1), f"has more than {MAX_XML} bytes"),
        ("attention", png(PIXELS), "is not grey of 8 or 16 bits (Pillow's mode RGB)"),
        ("attention", png(PIXELS[:20, :, 0]), "has 60 x 20 pixels, its image 60 x 40"),
        ("attention", png(PIXELS[..., 0])[:1000], "does not decode"),
        ("attention", b"text", "is not a PNG image"),
        ("attention", PNG_BOMB, "is too large to decode safely"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(tree: Tree, kind: str, data: bytes | None, fault: str) -> None:
    path: Path = getattr(tree, kind)("a")
    path.unlink()
    if data is not None:
        write(path, data)
    file, said = only_fault(tree)
    assert file == str(path.relative_to(tree.root))
    assert fault in said


def test_a_size_other_than_the_images_is_named(tree: Tree) -> None:
    write(tree.annotation("b"), render(replace(GOOD, width=40, height=60, objects=())))
    assert only_fault(tree) == ("Annotations/b.xml", "says 40 x 60, its image has 60 x 40 pixels")


def test_boxes_are_held_against_the_image_not_against_what_the_annotation_says_of_it(tree: Tree) -> None:
    write(tree.annotation("b"), render(replace(GOOD, width=90, height=90, objects=(Object("dog", (0, 0, 90, 40)),))))
    assert [fault for _, fault in faults(tree)] == [
        "says 90 x 90, its image has 60 x 40 pixels",
        "has a dog whose box (1, 1, 90, 40) leaves the image",
    ]


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((-1.0, 0.0, 10.0, 10.0), "(0, 1, 10, 10) leaves the image"),
        ((0.0, -0.5, 10.0, 10.0), "(1, 0.5, 10, 10) leaves the image"),
        ((0.0, 0.0, 61.0, 10.0), "(1, 1, 61, 10) leaves the image"),
        ((0.0, 0.0, 10.0, 40.5), "(1, 1, 10, 40.5) leaves the image"),
        ((5.0, 0.0, 5.0, 10.0), "(6, 1, 5, 10) is empty"),
        ((0.0, 9.0, 5.0, 8.0), "(1, 10, 5, 8) is empty"),
        ((float("nan"), 0.0, 5.0, 8.0), "(nan, 1, 5, 8) is not finite"),
        ((0.0, 0.0, 5.0, float("nan")), "(1, 1, 5, nan) is not finite"),
        ((0.0, 0.0, float("inf"), 8.0), "(1, 1, inf, 8) is not finite"),
    ],
)
def test_a_box_that_is_none_is_named(tree: Tree, box: tuple[float, float, float, float], fault: str) -> None:
    write(tree.annotation("b"), render(replace(GOOD, objects=(Object("dog", box),))))
    assert only_fault(tree) == ("Annotations/b.xml", f"has a dog whose box {fault}")


def test_an_unknown_class_is_named_with_those_known(tree: Tree) -> None:
    write(tree.annotation("b"), render(replace(GOOD, objects=(Object("unicorn", (0.0, 0.0, 1.0, 1.0)),) * 2)))
    _, (problem,) = check(tree, SPLITS, CLASSES)
    assert problem.file == str(tree.annotation("b"))
    assert "'unicorn'" in problem.fault
    assert "known: cat, dog" in problem.mend


def test_a_blank_attention_is_not_counted_as_known(tree: Tree, tmp_path: Path) -> None:
    write(tree.attention("b"), png(np.full((40, 60), 255, np.uint8)))
    summary = build(tree, SPLITS, CLASSES, "stop", tmp_path / "out")
    assert summary["attention"] == 1  # that of `a`


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_attention_of_8_or_16_bits_is_good(tree: Tree, depth: type) -> None:
    write(tree.attention("a"), png(PIXELS[..., 0].astype(depth)))
    assert faults(tree) == []


# ---- splits and folders


def break_many(tree: Tree) -> None:
    tree.image("b").unlink()
    write(tree.annotation("b"), b"<")
    write(tree.annotation("c"), render(replace(GOOD, objects=(Object("cow", (0.0, 0.0, 99.0, 1.0)),))))
    write_ids(tree.split("train"), ["a", "b", "c", "d", "d", "../x"])


def test_stop_lists_every_problem_in_order_and_writes_nothing(tree: Tree, tmp_path: Path) -> None:
    break_many(tree)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(BadInput) as error:
        build(tree, SPLITS, CLASSES, "stop", out)
    names = [os.path.relpath(problem.file, tree.root) for problem in error.value.problems]
    split, image, b, c = "ImageSets/Main/train.txt", "JPEGImages/b.jpg", "Annotations/b.xml", "Annotations/c.xml"
    assert names == [split, split, image, b, c, c]
    assert all(name in str(error.value) for name in names)
    assert files(out) == []


def test_skip_leaves_the_problem_images_out_and_records_why(tree: Tree, tmp_path: Path) -> None:
    break_many(tree)
    summary = build(tree, SPLITS, CLASSES, "skip", tmp_path / "out")
    _, problems = check(tree, SPLITS, CLASSES)
    assert summary == {
        "images": 4,
        "train": 2,
        "test": 2,
        "attention": 1,
        "skipped": [{"file": problem.file, "fault": problem.fault} for problem in problems],
    }
    copied = Tree(tmp_path / "out")
    assert copied.splits() == {"train": ["a", "d"], "test": ["e", "f"]}
    assert files(copied.image("").parent) == [f"{image_id}.jpg" for image_id in "adef"]


def test_skip_leaves_a_leak_out_of_both_splits(tree: Tree, tmp_path: Path) -> None:
    write_ids(tree.split("val"), "eb")
    build(tree, SPLITS, CLASSES, "skip", tmp_path / "out")
    assert Tree(tmp_path / "out").splits() == {"train": ["a", "c", "d"], "test": ["e"]}


@pytest.mark.parametrize("ids", [None, "", "zz", "abcd"], ids=["missing", "empty", "no image good", "all leaked"])
def test_skip_still_stops_where_a_split_is_left_without_images(tree: Tree, tmp_path: Path, ids: str | None) -> None:
    tree.split("val").unlink()
    if ids is not None:
        write_ids(tree.split("val"), ids)
    with pytest.raises(BadInput, match=r"val\.txt"):
        build(tree, SPLITS, CLASSES, "skip", tmp_path / "out")
    assert files(tmp_path / "out") == []


# ---- the real thing


def test_real_voc_has_no_problems(real: Path, tmp_path: Path) -> None:
    tree = Tree(real / "voc2012_mini")
    summary = build(tree, SPLITS, VOC_CLASSES, "stop", tmp_path)
    assert summary == {"images": 604, "train": 483, "test": 121, "attention": 0, "skipped": []}
    assert Tree(tmp_path).ids("test") == tree.ids("val")
