"""A data set of the comparison: any folder of images becomes a VOC tree of one split, with where people look."""

from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.attention import layouts
from toolkit import voc
from toolkit.errors import BadInput
from toolkit.files import png
from toolkit.params import Images, Params
from toolkit.voc import Tree
from training.study.images import build, drawn


@pytest.fixture
def few(settings: Params) -> Params:
    return settings.model_copy(update={"study": settings.study.model_copy(update={"images": 2, "tested": 3})})


def noise(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)))
    return path


def test_a_voc_tree_gives_its_split_with_boxes_and_attention(dataset: Path, sample: Tree) -> None:
    tree = Tree(dataset / "source")
    ids = tree.ids("test")
    assert len(ids) == 3
    assert set(ids) < set(sample.ids("test"))
    for image_id in ids:
        assert tree.image(image_id).read_bytes() == sample.image(image_id).read_bytes()
        assert voc.read(tree.annotation(image_id)).objects
        assert (dataset / "attention" / "human" / f"{image_id}.png").exists()
        assert (dataset / "attention" / "gaze" / f"{image_id}.png").exists()


def test_fewer_images_are_some_of_more() -> None:
    ids = [f"image{number}" for number in range(20)]
    assert set(drawn(ids, 4)) < set(drawn(ids[::-1], 9)) < set(ids)
    assert drawn(ids, 100) == sorted(ids)


def test_any_folder_of_images_will_do_and_has_no_objects(
    few: Params, nobody: Path, workplace: Path, tmp_path: Path
) -> None:
    files = [noise(tmp_path / "photos" / name, seed) for seed, name in enumerate(("a.png", "deep/er/b.PNG"))]
    build(Images(path=str(tmp_path / "photos"), human=str(nobody)), few, Path("out"), Path("attention"))
    tree = Tree("out")
    assert tree.ids("test") == ["a", "b"]
    assert [tree.image(i).read_bytes() for i in ("a", "b")] == [file.read_bytes() for file in files]
    assert voc.read(tree.annotation("a")) == voc.Annotation("a.jpg", 60, 40, ())
    assert [path.name for path in sorted(Path("attention/gaze").iterdir())] == ["a.png", "b.png"]
    assert not list(Path("attention/human").iterdir())


def test_of_a_recording_those_images_are_taken_that_people_saw(few: Params, workplace: Path, tmp_path: Path) -> None:
    recording = layouts.osie(tmp_path / "osie", [("a.jpg", [layouts.ANN, layouts.BOB]), ("b.jpg", [layouts.NOBODY])])
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        noise(recording / "stimuli" / name)
    build(Images(path=str(recording / "stimuli"), human=str(recording)), few, Path("out"), Path("attention"))
    assert Tree("out").ids("test") == ["a"]  # nobody fixated b, and c is not in the recording
    assert Path("attention/human/a.png").exists()
    assert Path("attention/fixations/a.csv").exists()


def test_two_images_of_one_name_are_refused(few: Params, nobody: Path, tmp_path: Path) -> None:
    noise(tmp_path / "photos" / "a.png")
    noise(tmp_path / "photos" / "b" / "a.jpg")
    with pytest.raises(BadInput, match=r"a\.png and .*a\.jpg: have one name"):
        build(Images(path=str(tmp_path / "photos"), human=str(nobody)), few, tmp_path / "out", tmp_path / "attention")


def test_a_file_that_is_no_image_is_refused(few: Params, nobody: Path, tmp_path: Path) -> None:
    noise(tmp_path / "photos" / "a.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"a\.png: is no image"):
        build(Images(path=str(tmp_path / "photos"), human=str(nobody)), few, tmp_path / "out", tmp_path / "attention")


@pytest.mark.parametrize(("made", "fault"), [(False, "is not a folder"), (True, "has no image")])
def test_where_there_is_nothing_it_is_said(made: bool, fault: str, few: Params, nobody: Path, tmp_path: Path) -> None:
    if made:
        (tmp_path / "photos").mkdir()
    with pytest.raises(BadInput, match=f"photos: {fault} -- mend"):
        build(Images(path=str(tmp_path / "photos"), human=str(nobody)), few, tmp_path / "out", tmp_path / "attention")
