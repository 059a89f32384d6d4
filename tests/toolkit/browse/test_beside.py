"""Two revisions of a real repository, side by side."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from toolkit import browse, places
from toolkit.browse import beside, revisions
from toolkit.errors import BadInput
from toolkit.files import new_folder, write
from toolkit.voc import Tree

HALF, SHIFTED, ELSEWHERE = [0.0, 0.0, 0.5, 0.5], [0.05, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]  # left, top, width, height
Boxes = list[tuple[str, list[float]]]
FIRST: dict[str, tuple[float, Boxes]] = {  # of each image IoU with people, and what is found in it
    "a": (0.5, [("dog", HALF), ("cat", ELSEWHERE)]),
    "b": (0.3, [("dog", HALF)]),
    "c": (0.1, []),
}
SECOND: dict[str, tuple[float, Boxes]] = {
    "a": (0.5, [("dog", SHIFTED), ("cat", ELSEWHERE)]),
    "b": (0.7, [("cat", HALF)]),
    "c": (0.0, [("dog", HALF)]),
}
PIPELINE = "stages: {browse: {cmd: make, outs: [datasets/source, datasets/variants/erasing, datasets/fiftyone]}}\n"
EXPORT = """
import sys
from tests.toolkit.browse import test_beside
test_beside.export(getattr(test_beside, sys.argv[1]))
"""


def export(known: dict[str, tuple[float, Boxes]]) -> None:
    """Leave what the pipeline leaves: three images, of a one more variant, and the export."""
    fo = browse.connect()
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="source")
    source, erasing = Tree(places.SOURCE), Tree(places.VARIANTS / "erasing")
    for number, (image_id, (iou, boxes)) in enumerate(known.items()):
        group = fo.Group()
        for slice_, tree in {"source": source, "erasing": erasing}.items():
            if slice_ == "source" or image_id == "a":
                image = np.full((40, 40, 3), 60 * number, np.uint8)
                write(tree.image(image_id), cv2.imencode(".jpg", image)[1].tobytes())
                path = str(tree.image(image_id).absolute())
                sample = fo.Sample(filepath=path, image=image_id, variant=slice_, group=group.element(slice_))
                if slice_ == "source":
                    found = [fo.Detection(label=label, bounding_box=box, confidence=0.9) for label, box in boxes]
                    sample["human_iou"], sample["prediction_none"] = iou, fo.Detections(detections=found)
                dataset.add_sample(sample, dynamic=True)
    with new_folder(places.FIFTYONE) as out:
        exporter = fo.utils.data.FiftyOneDatasetExporter(str(out), export_media=False, rel_dir=str(Path.cwd()))
        dataset.export(dataset_exporter=exporter, progress=False)


def run(root: Path, *command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "FIFTYONE_DATABASE_URI": ""}
    subprocess.run(command, cwd=root, check=True, capture_output=True, env=env)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tag `first` and the experiment `second`; the working tree is the first's, and has a file more."""
    root = tmp_path_factory.mktemp("repository")
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org")
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    write(root / "dvc.yaml", PIPELINE)
    write(root / ".gitignore", "/datasets\n/.salvoc\n")
    for state in ("FIRST", "SECOND"):
        run(root, sys.executable, "-P", "-c", EXPORT, state)
        run(root, "dvc", "commit", "-f", "browse")
        if state == "FIRST":
            run(root, "git", "add", "-A")
            run(root, *git, "commit", "-qm", "first")
            run(root, "git", "tag", "first")
    run(root, *git, "config", "user.name", "Test")
    run(root, *git, "config", "user.email", "test@example.org")
    run(root, "dvc", "exp", "save", "--name", "second")
    run(root, "git", "checkout", "-q", ".")
    run(root, "dvc", "checkout", "-f")
    write(root / "notes", "mine\n")
    return root


@pytest.fixture
def here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repository)
    return repository


def contents(folder: Path) -> dict[Path, bytes]:
    own = (folder / ".git", folder / ".dvc", folder / ".salvoc")
    files = (path for path in folder.rglob("*") if not any(path.is_relative_to(other) for other in own))
    return {path: path.read_bytes() for path in files if path.is_file()}


@pytest.fixture
def dataset(here: Path, tmp_path: Path) -> Iterator[Any]:
    """Both, side by side."""
    browse.connect()
    roots = {revision: revisions.checked_out(revision) for revision in ("first", "second")}
    made = beside.beside(roots)
    yield made
    made.delete()


def test_a_checkout_has_the_revision_s_own_files_and_leaves_the_working_tree_alone(here: Path) -> None:
    before = contents(here)
    first, second = (revisions.checked_out(revision) for revision in ("first", "second"))
    exports = [(root / places.FIFTYONE / "samples.json").read_text() for root in (first, second)]
    assert exports[0] != exports[1]
    assert exports[0] == (here / places.FIFTYONE / "samples.json").read_text()
    assert (second / places.VARIANTS / "erasing/JPEGImages/a.jpg").is_file()
    assert contents(here) == before
    assert revisions.checked_out("first") == first  # the second time there is nothing to do
    assert revisions.checked_out("workspace") == Path()


def test_a_revision_that_there_is_not_is_bad_input(here: Path) -> None:
    with pytest.raises(BadInput, match="knows no 'third'"):
        revisions.checked_out("third")


def test_what_is_not_in_the_cache_is_named_with_the_mend(here: Path, tmp_path: Path) -> None:
    run(here, "git", "clone", "-q", str(here), str(tmp_path / "clone"))
    os.chdir(tmp_path / "clone")
    with pytest.raises(BadInput, match=r"datasets/fiftyone.*dvc pull") as refused:
        revisions.checked_out("first")
    assert len(refused.value.problems) == 1
    assert not list(Path(".salvoc/revisions").iterdir())


def test_an_image_is_a_group_of_its_two_versions(dataset: Any) -> None:
    assert dataset.group_slices == ["first", "second"] and dataset.default_group_slice == "first"
    assert dataset.select_group_slices("first").values("file") == [
        "datasets/source/JPEGImages/a.jpg",
        "datasets/variants/erasing/JPEGImages/a.jpg",
        "datasets/source/JPEGImages/b.jpg",
        "datasets/source/JPEGImages/c.jpg",
    ]
    group = dataset.get_group(dataset.match({"image": "b"}).first().group.id)
    assert {name: version.human_iou for name, version in group.items()} == {"first": 0.3, "second": 0.7}
    assert all(Path(version.filepath).is_file() for version in group.values())


@pytest.mark.parametrize("revision", ["first", "second"])
def test_differences_stand_at_both_versions(dataset: Any, revision: str) -> None:
    source = dataset.select_group_slices(revision).match({"variant": "source"})
    assert dict(zip(source.values("image"), source.values("differs_none"), strict=True)) == {"a": 0, "b": 2, "c": 1}
    assert source.values("change_human_iou") == pytest.approx([0, 0.4, -0.1])


def test_views_sort_by_the_differences(dataset: Any) -> None:
    assert dataset.load_saved_view("none predicts most differently").values("image") == ["b", "c"]
    assert dataset.load_saved_view("human_iou changed most").values("image") == ["b", "c"]
    turns = dataset.load_saved_view("first, second in turn")
    assert turns.values("image") == [image_id for image_id in "abca" for _ in range(2)]
    assert turns.values("revision") == ["first", "second"] * 4


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ([], [], 0),
        ([("dog", HALF)], [], 1),
        ([("dog", HALF)], [("dog", SHIFTED)], 0),
        ([("dog", HALF)], [("cat", SHIFTED)], 2),
        ([("dog", HALF), ("dog", SHIFTED)], [("dog", HALF)], 1),
    ],
)
def test_predictions_differ_where_they_have_no_partner(first: Boxes, second: Boxes, count: int) -> None:
    boxes, labels = ([[row[part] for row in rows] for rows in (first, second)] for part in (1, 0))
    assert beside.differing(*boxes, *labels) == count
