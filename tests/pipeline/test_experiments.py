"""`dvc exp run --temp` and `--queue` work in a fresh checkout, without what git ignores: nothing is lost unsaid."""

import subprocess
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import ROOT
from tests.pipeline.conftest import SHRUNK, new_repository
from toolkit.files import write
from toolkit.voc import Annotation, Object, Tree, render, write_ids


def voc_tree(root: Path) -> None:
    """Four images of a dog."""
    tree = Tree(root)
    for image_id in "abcd":
        write(tree.image(image_id), cv2.imencode(".jpg", np.full((40, 60, 3), 99, np.uint8))[1].tobytes())
        write(
            tree.annotation(image_id),
            render(Annotation(f"{image_id}.jpg", 60, 40, (Object("dog", (0.0, 0.0, 9.0, 9.0)),))),
        )
    write_ids(tree.split("train"), "abc")
    write_ids(tree.split("test"), "d")


def test_git_ignores_the_users_files_but_not_what_dvc_writes_of_them() -> None:
    """DVC refuses to track or import what it may not write a .dvc file of."""
    paths = [f"datasets/{folder}/{name}" for folder in ("own", "human") for name in ("a.png", "masks.dvc")]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ignored.stdout.split() == ["datasets/own/a.png", "datasets/human/a.png"]


def test_an_experiment_without_the_users_images_stops_with_a_mend_that_works(tmp_path: Path) -> None:
    own = {"data.source": "folder", "data.classes": ["dog"]}
    repository = new_repository(tmp_path / "repository", SHRUNK | own)
    repository.run("git rm -q dvc.lock")  # and with it outputs that are in nobody's cache
    repository.commit("unlocked")
    voc_tree(repository.root / "datasets" / "own")
    mend = f"-S data.path={repository.root / 'datasets' / 'own'}"
    assert f"add `{mend}`" in repository.refused("dvc exp run --temp source")
    assert "Ran experiment(s): found" in repository.run(f"dvc exp run --temp {mend} --name found source")
