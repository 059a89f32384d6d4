"""Failures by hand, a kind each; tests/reference compares their numbers with TIDE's own."""

import numpy as np
import pandas as pd
import pytest

from tests.training.test_average_precision import CLASSES, NOWHERE, A, B, found, truth
from toolkit.boxes import SHOWN
from training.average_precision import Truth
from training.detections import Detections
from training.failures import COLUMNS, failures, listed
from training.headings import FAILURES

NEAR_A = (0, 0, 10, 4)  # overlaps A by 0.4
ALMOST_A = (0, 0, 10, 9)
BESIDE_A = (9, 0, 19, 10)  # by 1 / 19


def kinds(detections: Detections, there: Truth) -> list[str]:
    return [failure.kind for failure in failures(detections, there)]


def test_what_is_found_does_not_fail() -> None:
    assert kinds(found(A, B, scores=[0.9, 0.8]), truth(A, B)) == []


def test_the_right_class_not_quite_in_place_is_localisation_and_its_object_is_not_missed_as_well() -> None:
    assert kinds(found(NEAR_A), truth(A)) == ["localisation"]


def test_the_wrong_class_in_the_right_place_is_classification_and_its_object_is_not_missed_as_well() -> None:
    assert kinds(found(ALMOST_A, classes=[1]), truth(A)) == ["classification"]


def test_the_wrong_class_not_quite_in_place_is_both_and_its_object_is_missed() -> None:
    assert kinds(found(NEAR_A, classes=[1]), truth(A)) == ["both", "missed"]


def test_a_second_detection_of_an_object_is_a_duplicate_whichever_fits_better() -> None:
    (failure,) = failures(found(ALMOST_A, A, scores=[0.9, 0.8]), truth(A))
    assert (failure.kind, failure.score) == ("duplicate", 0.8)
    (failure,) = failures(found(ALMOST_A, A, scores=[0.8, 0.9]), truth(A))
    assert (failure.kind, failure.score) == ("duplicate", 0.8)


@pytest.mark.parametrize("box", [NOWHERE, BESIDE_A], ids=["nowhere", "beside it"])
def test_where_there_is_no_object_it_is_background(box: tuple[float, ...]) -> None:
    assert kinds(found(A, box, scores=[0.9, 0.8]), truth(A)) == ["background"]


def test_in_an_image_without_objects_all_is_background() -> None:
    assert kinds(found(A, B, scores=[0.9, 0.8]), truth()) == ["background"] * 2


def test_an_object_that_nothing_came_near_is_missed() -> None:
    (failure,) = failures(found(), truth(A, classes=[2]))
    assert (failure.kind, failure.label, failure.box.tolist()) == ("missed", 2, list(A))
    assert np.isnan(failure.score)


def test_only_what_a_person_is_shown_is_counted() -> None:
    """And so an object that is found with a lower score is missed."""
    assert kinds(found(NOWHERE, scores=[SHOWN]), truth()) == ["background"]
    assert kinds(found(NOWHERE, A, scores=[SHOWN - 1e-9] * 2), truth(A)) == ["missed"]


def test_a_difficult_object_need_not_be_found() -> None:
    assert kinds(found(), truth(A, difficult=[True])) == []


def test_a_detection_of_a_difficult_object_is_neither_right_nor_wrong() -> None:
    assert kinds(found(A, ALMOST_A, scores=[0.9, 0.8]), truth(A, difficult=[True])) == []


def test_a_detection_that_fits_another_object_better_is_not_excused_by_a_difficult_one() -> None:
    there = truth(A, ALMOST_A, difficult=[False, True])
    assert kinds(found(A, A, scores=[0.9, 0.8]), there) == ["duplicate"]
    assert kinds(found(ALMOST_A), there) == ["missed"]


def test_of_another_class_or_out_of_place_a_detection_is_judged_as_if_the_difficult_object_were_not_there() -> None:
    assert kinds(found(A, NEAR_A, scores=[0.9, 0.8], classes=[1, 0]), truth(A, difficult=[True])) == ["background"] * 2


def test_failures_are_listed_image_by_image_with_their_labels() -> None:
    table = listed([found(NEAR_A), found()], [truth(A), truth(B, classes=[1])], ["x", "y"], CLASSES)
    assert tuple(table) == COLUMNS
    assert table[["id", "kind", "label"]].to_numpy().tolist() == [["x", "localisation", "cat"], ["y", "missed", "dog"]]
    assert table["score"].tolist() == pytest.approx([0.9, np.nan], nan_ok=True)
    assert table.loc[0, ["x0", "y0", "x1", "y1"]].tolist() == list(NEAR_A)
    assert set(table["kind"]) < set(FAILURES)


def test_where_nothing_fails_the_table_is_empty_and_has_its_types() -> None:
    nothing = listed([found(A)], [truth(A)], ["x"], CLASSES)
    assert nothing.empty
    assert pd.concat([nothing, listed([found()], [truth(A)], ["x"], CLASSES)])["x0"].dtype == np.float64
