"""Agreement inside and around the box that people looked at."""

from pathlib import Path

import numpy as np
import pytest

from toolkit import agreement, maps
from toolkit.agreement import Fixations
from toolkit.files import write
from toolkit.voc import Annotation
from training.detections import Detections
from training.study.boxes import around, watched, window

NOBODY = Fixations({}, {}, {}, {}, np.zeros((0, 2)), np.zeros(0))


def found(*boxes: tuple[float, float, float, float], scores: tuple[float, ...] = ()) -> Detections:
    return Detections(
        np.array(boxes).reshape(-1, 4), np.zeros(len(boxes), int), np.array(scores or (0.9,) * len(boxes))
    )


def looked(*places: tuple[slice, slice]) -> np.ndarray:
    attention = np.zeros((100, 100), np.float32)
    for place in places:
        attention[place] = 1
    return attention


DOG = (slice(20, 40), slice(20, 40))


def test_it_is_the_smallest_that_holds_half_of_their_attention() -> None:
    sofa, dog, ear = (0, 0, 100, 100), (18, 18, 42, 42), (20, 20, 26, 26)
    assert watched(found(sofa, dog, ear), looked(DOG)) == 1


def test_where_none_holds_half_it_is_the_one_that_holds_the_most() -> None:
    apart = looked(DOG, (slice(60, 90), slice(60, 90)))
    assert watched(found((20, 20, 30, 30), (60, 60, 70, 80)), apart) == 1


def test_what_the_detector_is_not_sure_of_is_not_asked() -> None:
    assert watched(found((18, 18, 42, 42), (0, 0, 100, 100), scores=(0.1, 0.5)), looked(DOG)) == 1
    assert watched(found((18, 18, 42, 42), scores=(0.1,)), looked(DOG)) is None
    assert watched(found(), looked(DOG)) is None


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((20, 40, 40, 80), (10, 50), (5, 25)),  # half of it is added on each side
        ((0, 0, 100, 100), (0, 50), (0, 50)),  # not beyond the image
        ((99.9, 0, 100, 0.1), (0, 1), (49, 50)),  # at least one cell
    ],
)
def test_the_window_is_the_box_and_its_surroundings(
    box: tuple[float, ...], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    down, across = window(box, 100, 100, (50, 50))  # type: ignore[arg-type]
    assert (down.start, down.stop, across.start, across.stop) == (*rows, *columns)


def test_what_lies_far_from_the_box_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "human" / "a.png", maps.encode(looked(DOG)))
    known, box = Annotation("a.jpg", 100, 100, ()), (20.0, 20.0, 40.0, 40.0)
    same, else_where = looked(DOG), looked(DOG, (slice(70, 100), slice(70, 100)))
    near, far = (around(heatmap, tmp_path, "a", known, box, NOBODY) for heatmap in (same, else_where))
    assert near == far
    assert near["box_human_cc"] == pytest.approx(1)
    assert agreement.against(else_where, tmp_path, "a")["human_cc"] < 0.8  # on the whole image it is
