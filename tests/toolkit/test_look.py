"""Any photograph is looked at as a person sees it, or refused by its name; nothing is overwritten."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit import look
from toolkit.boxes import SHOWN
from toolkit.errors import BadInput
from toolkit.files import read_image
from toolkit.params import Params
from toolkit.voc import Tree

RED = (255, 0, 0)


def left_red(path: Path, **how: object) -> Path:
    """A picture, 60 wide and 40 high, whose left half is red and whose right half is white."""
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[:, :30] = RED
    Image.fromarray(pixels).save(path, **how)
    return path


def turned(path: Path) -> Path:
    """The same, with an EXIF that says that its left is up."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    return left_red(path, exif=exif)


def test_a_photo_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    seen = look.read_photo(turned(tmp_path / "a.png"))
    assert seen.shape == (60, 40, 3)
    assert seen[:30].reshape(-1, 3).tolist() == [list(RED)] * 1200
    assert read_image(tmp_path / "a.png").shape == (40, 60, 3)  # a data set's boxes are of pixels as they are stored


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0)).convert(mode)
    image.save(tmp_path / "a.png" if mode != "PA" else tmp_path / "a.tif")
    assert (look.read_photo(tmp_path / ("a.png" if mode != "PA" else "a.tif")) == 255).all()


def test_a_palette_with_a_transparent_colour_is_white_there(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "a.gif", transparency=0)
    seen = look.read_photo(tmp_path / "a.gif")
    assert seen[0, 0].tolist() == list(RED) and seen[1:].min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_of_16_bits_is_scaled_to_8(tmp_path: Path, name: str) -> None:
    values = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(4, 0)
    Image.fromarray(values).save(tmp_path / name)
    assert look.read_photo(tmp_path / name)[0, :, 1].tolist() == list(range(256))


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("1", "a.png"), ("CMYK", "a.jpg"), ("P", "a.png")])
def test_any_other_mode_becomes_colour(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (20, 10)).save(tmp_path / name)
    assert look.read_photo(tmp_path / name).shape == (10, 20, 3)


def cut(path: Path) -> None:
    left_red(path)
    path.write_bytes(path.read_bytes()[:-60])


def text(path: Path) -> None:
    path.write_text("no picture")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("broken", [cut, text, nothing])
def test_what_is_no_whole_picture_is_refused_by_its_name(tmp_path: Path, broken: Callable[[Path], None]) -> None:
    broken(tmp_path / "broken.jpg")
    with pytest.raises(BadInput, match=r"broken\.jpg: is no picture that can be read"):
        look.read_photo(tmp_path / "broken.jpg")


def test_files_folders_and_patterns_are_found_each_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    files = [left_red(tmp_path / name) for name in ("b.jpg", "a.PNG", "deep/c.jpg")]
    text(tmp_path / "notes.txt")
    assert look.photos([str(files[0]), str(tmp_path)]) == [files[0], files[1]]
    assert look.photos([str(tmp_path / "*.jpg"), str(tmp_path / "**" / "c.*")]) == [files[0], files[2]]


def test_all_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput) as caught:
        look.photos([str(tmp_path / "gone.jpg"), str(tmp_path / "*.gif"), str(tmp_path / "empty")])
    assert [problem.fault for problem in caught.value.problems] == [
        "does not exist", "does not exist", "has no picture in it",
    ]  # fmt: skip


def test_two_photos_of_one_name_have_a_picture_each(tmp_path: Path) -> None:
    both = [Path("a/cat.jpg"), Path("a/cat.png"), Path("a/dog.png")]
    assert [path.name for path in look.outputs(both, tmp_path).values()] == ["cat.jpg.png", "cat.png.png", "dog.png"]
    with pytest.raises(BadInput, match="several photos"):
        look.outputs([Path("a/cat.jpg"), Path("b/cat.jpg")], tmp_path)


@pytest.mark.usefixtures("workplace")
def test_photos_are_looked_at_with_nothing_but_the_committed_detector(sample: Tree, settings: Params) -> None:
    scene, photo = sample.image(sample.ids("test")[0]), turned(Path("turned.png"))
    lines = list(look.build([scene, photo], settings, Path("looks")))
    assert [line.split(": ")[0] for line in lines] == [str(scene), "turned.png"]
    for line in lines:
        assert all(f"{name} " in line for name in ("MAE", "IoU", "CC")) and line.count("centre bias") == 3
    for picture in (f"{scene.stem}.png", "turned.png"):
        assert min(read_image(Path("looks") / picture).shape[:2]) > 200
    before = (Path("looks") / "turned.png").read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        list(look.build([photo], settings, Path("looks")))
    assert (Path("looks") / "turned.png").read_bytes() == before


@pytest.mark.usefixtures("workplace")
def test_one_broken_photo_stops_all_before_anything_is_written(settings: Params) -> None:
    for name in ("one.jpg", "two.jpg"):
        text(Path(name))
    with pytest.raises(BadInput) as caught:
        list(look.build([left_red(Path("fine.png")), Path("one.jpg"), Path("two.jpg")], settings, Path("looks")))
    assert [problem.file for problem in caught.value.problems] == ["one.jpg", "two.jpg"]
    assert not Path("looks").exists()


def test_a_line_tells_what_was_found_or_that_nothing_was() -> None:
    scores = {name: 0.5 for metric in look.TOLD for name in (metric, f"centre_{metric}")}
    empty = np.zeros((4, 4), np.float32)
    seen = look.Seen(np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4)), [], empty, empty, scores)
    assert look.line(Path("a.jpg"), seen, "centre") == (
        f"a.jpg: nothing of a score of {SHOWN:g} or more; saliency and centre: MAE 0.500 (centre bias 0.500), "
        "IoU 0.500 (centre bias 0.500), CC 0.500 (centre bias 0.500)"
    )
