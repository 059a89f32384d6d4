"""Pictures: what they show is read back from their pixels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit import maps, pictures
from toolkit.files import png, read_image, write
from toolkit.voc import Annotation, Object, Tree, render

GREEN = (60, 220, 120)
RED, BLUE, WHITE = (200, 0, 0), (0, 0, 200), (255, 255, 255)
POINTS = (0x33, 0x5C, 0x81)


def plain(colour: tuple[int, int, int], height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def where(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The pixels of exactly that colour, [H, W] bool."""
    return (image == colour).all(axis=-1)


def annotated(path: Path, *boxes: tuple[float, float, float, float], side: int = 20) -> Path:
    objects = tuple(Object("cat", box) for box in boxes)
    write(path, render(Annotation("a.jpg", side, side, objects)))
    return path


def test_where_a_map_is_0_the_image_is_grey_and_darkened() -> None:
    shown = pictures.overlay(plain((200, 100, 0)), np.zeros((20, 20), np.float32))
    # .45 of the image's luma, 119 (BT.601), and .55 of inferno's first colour, (.37, .12, 3.54) of 255
    assert (shown == (54, 54, 55)).all()


def test_where_a_map_is_1_the_image_shines_in_the_last_colour() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[3:5, 7] = 1
    shown = pictures.overlay(plain((0, 0, 0)), heatmap)
    # .55 of inferno's last colour, (252.0, 254.6, 164.5) of 255
    assert np.array_equal(where(shown, (139, 140, 90)), heatmap == 1)


def test_a_map_of_few_cells_is_laid_over_the_whole_image() -> None:
    shown = pictures.overlay(plain(WHITE, 20, 40), np.array([[0, 1]], np.float32))
    assert shown.shape == (20, 40, 3)
    assert shown.dtype == np.uint8
    brightness = shown.sum(axis=-1, dtype=int)
    assert (np.diff(brightness, axis=0) == 0).all()
    assert (shown[0, 0] == (115, 115, 117)).all()  # .45 of white and .55 of the first colour
    assert (brightness[:, -1] > brightness[:, 0]).all()


def test_boxes_are_drawn_as_frames_just_inside_their_edges(tmp_path: Path) -> None:
    image = plain(BLUE)
    drawn = pictures.boxed(image, annotated(tmp_path / "a.xml", (2, 3, 8, 9)))
    frame = np.zeros((20, 20), bool)
    frame[3:9, 2:8] = True
    frame[4:8, 3:7] = False
    assert np.array_equal(where(drawn, GREEN), frame)
    assert np.array_equal(where(drawn, BLUE), ~frame)
    assert where(image, BLUE).all()  # the image itself is left as it was


def test_frames_are_thicker_in_larger_images_and_end_with_the_image(tmp_path: Path) -> None:
    file = annotated(tmp_path / "a.xml", (0, 0, 400, 20), (350, 390, 420, 430), side=400)
    frame = np.zeros((400, 400), bool)
    frame[:20] = frame[390:, 350:] = True
    frame[2:18, 2:398] = frame[392:, 352:] = False  # 400 / 200 pixels thick; the second one's corner lies outside
    assert np.array_equal(where(pictures.boxed(plain(BLUE, 400, 400), file), GREEN), frame)


@pytest.mark.parametrize(("known", "title"), [(["human", "gaze"], "attention (human)"), (["gaze"], "attention (gaze)")])
def test_a_row_shows_an_image_on_its_way(tmp_path: Path, known: list[str], title: str) -> None:
    trees = {name: Tree(tmp_path / name) for name in ("source", "erasing")}
    for tree, colour in zip(trees.values(), (RED, BLUE), strict=True):
        write(tree.image("a"), png(plain(colour)))
        annotated(tree.annotation("a"), (2, 3, 8, 9))
    looked = {"human": np.zeros((20, 20), np.float32), "gaze": np.eye(20, dtype=np.float32)}
    for kind in known:
        write(tmp_path / "attention" / kind / "a.png", maps.encode(looked[kind]))
    seen = np.fliplr(np.eye(20, dtype=np.float32))
    write(tmp_path / "saliency" / "a.png", maps.encode(seen))

    row = pictures.variant_row(
        trees["source"], tmp_path / "attention", tmp_path / "saliency", {"erasing": trees["erasing"]}, "a"
    )
    assert list(row) == ["image", title, "saliency", "erasing"]
    assert np.array_equal(row["image"], pictures.boxed(plain(RED), trees["source"].annotation("a")))
    assert np.array_equal(row[title], pictures.overlay(plain(RED), looked[known[0]]))
    assert np.array_equal(row["saliency"], pictures.overlay(plain(RED), seen))
    assert np.array_equal(row["erasing"], pictures.boxed(plain(BLUE), trees["erasing"].annotation("a")))


def test_a_sheet_has_a_row_an_image_and_a_column_a_step(tmp_path: Path) -> None:
    colours = [[(200, 0, 0), (0, 200, 0), (0, 0, 200)], [(200, 200, 0), (200, 0, 200), (0, 200, 200)]]
    rows = [dict(zip(("one", "two", "three"), map(plain, row), strict=True)) for row in colours]
    pictures.sheet(rows, tmp_path / "sheet.png", ["first", "second"])
    shown = read_image(tmp_path / "sheet.png")
    centres = np.array([[np.argwhere(where(shown, colour)).mean(axis=0) for colour in row] for row in colours])
    down, right = centres[..., 0], centres[..., 1]
    assert np.ptp(down, axis=1) == pytest.approx([0, 0], abs=2)
    assert np.ptp(right, axis=0) == pytest.approx([0, 0, 0], abs=2)
    assert down[0, 0] < down[1, 0]
    assert (np.diff(right, axis=1) > 0).all()


def test_intervals_are_drawn_to_scale_with_the_first_arm_on_top(tmp_path: Path) -> None:
    known = pd.DataFrame(
        [("base", "m", 0.5, 0.2, 0.6), ("none", "m", 0.3, 0.25, 0.4), ("none", "other", 9, 0, 99)],
        columns=["arm", "metric", "value", "lo", "hi"],
    )
    pictures.intervals(known, {"m": "M"}, tmp_path / "intervals.png")
    base, none = np.split(where(read_image(tmp_path / "intervals.png"), POINTS), 2)  # upper and lower half
    left, point, right = drawn_interval(base)
    scale = (right - left) / (0.6 - 0.2)  # pixels
    assert point == pytest.approx(left + scale * (0.5 - 0.2), abs=2)
    assert drawn_interval(none) == pytest.approx([left + scale * (x - 0.2) for x in (0.25, 0.3, 0.4)], abs=2)


def drawn_interval(drawn: np.ndarray) -> tuple[float, float, float]:
    """Where the one interval among the pixels [H, W] begins, has its point, and ends."""
    line = int(drawn.sum(axis=1).argmax())
    left, right = np.flatnonzero(drawn[line])[[0, -1]]
    above = np.flatnonzero(drawn[line - 3])  # of the point and of both ends' caps
    return float(left), float(above[(above > left + 4) & (above < right - 4)].mean()), float(right)
