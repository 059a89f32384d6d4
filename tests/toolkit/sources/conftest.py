"""A user's VOC tree, good as it is, and what is found wrong with it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from toolkit.files import png, write
from toolkit.sources.folder import check
from toolkit.voc import Annotation, Object, Tree, render, write_ids

SPLITS = {"train": "train", "test": "val"}
CLASSES = ("cat", "dog")
GOOD = Annotation("a.jpg", 60, 40, (Object("dog", (0.0, 0.0, 60.0, 40.0)), Object("cat", (1.5, 2.0, 3.0, 4.0))))
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
JPEG = cv2.imencode(".jpg", PIXELS)[1].tobytes()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Six good images of 60 x 40, `a` to `d` in train, `e` and `f` in val; `a` with known attention."""
    tree = Tree(tmp_path / "users")
    for image_id in "abcdef":
        write(tree.image(image_id), JPEG)
        write(tree.annotation(image_id), render(GOOD))
    write(tree.attention("a"), png(PIXELS[..., 0]))
    write_ids(tree.split("train"), "abcd")
    write_ids(tree.split("val"), "ef")
    return tree


def faults(tree: Tree) -> list[tuple[str, str]]:
    """Every problem's file, relative to the tree, and fault."""
    _, problems = check(tree, SPLITS, CLASSES)
    assert all(problem.mend for problem in problems)
    return [(os.path.relpath(problem.file, tree.root), problem.fault) for problem in problems]


def only_fault(tree: Tree) -> tuple[str, str]:
    (fault,) = faults(tree)
    return fault


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
