"""Failures against TIDE's own counts (Bolya et al. 2020, the package tidecv)."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidecv import TIDE, Data
from tidecv.errors.main_errors import (
    BackgroundError,
    BoxError,
    ClassError,
    DuplicateError,
    MissedError,
    OtherError,
)

from tests.training.test_average_precision import scenes
from toolkit.boxes import SHOWN
from training.average_precision import Truth, box_iou
from training.detections import Detections
from training.failures import BACKGROUND, FOUND, failures

NAMES = {
    ClassError: "classification",
    BoxError: "localisation",
    OtherError: "both",
    DuplicateError: "duplicate",
    BackgroundError: "background",
    MissedError: "missed",
}


def tide(truths: list[Truth], found: list[Detections]) -> Counter[str]:
    """What TIDE counts; it knows nothing of difficult objects."""
    truth, predictions = Data("truth"), Data("predictions")
    for number, (there, own) in enumerate(zip(truths, found, strict=True)):
        truth.add_image(number, str(number))
        for label, (x0, y0, x1, y1) in zip(there.classes.tolist(), there.boxes.tolist(), strict=True):
            truth.add_ground_truth(number, label, [x0, y0, x1 - x0, y1 - y0])
        for label, (x0, y0, x1, y1), score in zip(own.classes, own.boxes.tolist(), own.scores, strict=True):
            predictions.add_detection(number, int(label), float(score), [x0, y0, x1 - x0, y1 - y0])
    run = TIDE(FOUND, BACKGROUND).evaluate(truth, predictions, mode=TIDE.BOX)
    return Counter({NAMES[kind]: count for kind, count in run.count_errors().items() if count})


def own_counts(truths: list[Truth], found: list[Detections]) -> Counter[str]:
    return Counter(f.kind for own, truth in zip(found, truths, strict=True) for f in failures(own, truth))


def shown(found: Detections) -> Detections:
    keep = found.scores >= SHOWN
    return Detections(found.boxes[keep], found.classes[keep], found.scores[keep])


def without_difficult(truth: Truth, found: Detections) -> tuple[Truth, Detections]:
    """VOC's rule, a detection at a time: its best object of its class is difficult, and it overlaps it by half."""
    keep = []
    for label, box in zip(found.classes, found.boxes, strict=True):
        own = [n for n in range(len(truth.classes)) if truth.classes[n] == label]
        overlaps = [float(box_iou(box[None], truth.boxes[[n]])[0, 0]) for n in own]
        best = max(range(len(own)), key=lambda n: overlaps[n], default=None)
        keep.append(best is None or overlaps[best] < FOUND or not truth.difficult[own[best]])
    easy, kept = ~truth.difficult, np.array(keep, bool)
    plain = replace(truth, boxes=truth.boxes[easy], classes=truth.classes[easy], difficult=truth.difficult[easy])
    return plain, Detections(found.boxes[kept], found.classes[kept], found.scores[kept])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), grid=st.booleans())
def test_failures_are_counted_exactly_as_tide_counts_them(seed: int, grid: bool) -> None:
    """On a grid overlaps of exactly 0.5 and 0.1 and equal scores are common."""
    truths, found = scenes(seed, 12, grid)
    plain = [replace(truth, difficult=np.zeros_like(truth.difficult)) for truth in truths]
    assert own_counts(plain, found) == tide(plain, [shown(own) for own in found])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), grid=st.booleans())
def test_difficult_objects_and_what_finds_them_are_left_out_before_tide_counts(seed: int, grid: bool) -> None:
    truths, found = scenes(seed, 12, grid)
    pairs = [without_difficult(truth, shown(own)) for truth, own in zip(truths, found, strict=True)]
    assert own_counts(truths, found) == tide([truth for truth, _ in pairs], [own for _, own in pairs])


def test_the_random_scenes_have_every_kind_of_failure() -> None:
    truths, found = scenes(0, 200)
    assert set(own_counts(truths, found)) == set(NAMES.values())
    assert min(own_counts(truths, found).values()) > 5


@pytest.mark.parametrize(("overlap", "kind"), [(0.1, "localisation"), (0.5, None)])
def test_the_thresholds_themselves_belong_where_tide_puts_them(overlap: float, kind: str | None) -> None:
    there = Truth(np.array([[0.0, 0, 10, 10]]), np.array([0]), np.array([False]), 20, 20)
    own = Detections(np.array([[0.0, 0, 10, 10 * overlap]]), np.array([0]), np.array([0.9]))
    assert own_counts([there], [own]) == tide([there], [own]) == Counter([kind] if kind else [])
