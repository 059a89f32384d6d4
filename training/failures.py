"""What goes wrong in an image, each wrong detection and each missed object of one kind, as TIDE tells them apart.

Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors (ECCV 2020), with its own thresholds.
Counted are the detections that a person is shown (`toolkit.boxes.SHOWN`): most of all others are wrong, and average
precision hardly asks about them.

Objects marked `difficult` are left out as VOC leaves them out (see `average_precision.voc_matching`): they need not be
found, and a detection that overlaps one of its class by half, and no other of its class more, is neither right nor
wrong. All else is judged as if they were not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit.boxes import SHOWN
from training.average_precision import VOC_IOU, Truth, box_iou, voc_matching
from training.detections import CORNERS, Detections

FOUND = VOC_IOU  # the IoU from which a detection finds an object
BACKGROUND = 0.1  # and the one up to which it has nothing to do with it
COLUMNS = ("id", "kind", "label", "score", *CORNERS)


@dataclass(frozen=True)
class Failure:
    """One wrong detection or missed object."""

    kind: str  # of headings.FAILURES
    label: int  # the class that was detected, or missed
    score: float  # the detection's; NaN where an object was missed
    box: np.ndarray  # [4] x0, y0, x1, y1 in pixels


def failures(found: Detections, truth: Truth) -> list[Failure]:
    """The failures in one image: wrong detections by falling score, then missed objects.

    By falling score each detection takes the object of its class that it overlaps most, of those still free. One that
    gets none is, and the first of these decides: wrong in `localisation` (it overlaps an object of its class by 0.1
    to 0.5), in `classification` (one of another class by 0.5), a `duplicate` (one of its class that is taken), of the
    `background` (no object by more than 0.1), or wrong in `both`. An object that none took is `missed`, unless a
    detection that is wrong in one of the first two ways would have found it.
    """
    shown = _counted(found, truth)
    boxes, labels = truth.boxes[~truth.difficult], truth.classes[~truth.difficult]
    overlap = box_iou(shown.boxes, boxes)
    same = shown.classes[:, None] == labels
    own, other = overlap * same, overlap * ~same
    taken, hit = _matched(own)
    excused = taken.copy()
    found_wrong = []
    for number in np.flatnonzero(~hit):
        kind, meant = _kind(own[number], other[number], taken)
        if meant is not None:
            excused[meant] = True
        label, score = int(shown.classes[number]), float(shown.scores[number])
        found_wrong.append(Failure(kind, label, score, shown.boxes[number]))
    missed = [Failure("missed", int(labels[n]), np.nan, boxes[n]) for n in np.flatnonzero(~excused)]
    return found_wrong + missed


def listed(
    found: Sequence[Detections], truths: Sequence[Truth], ids: Sequence[str], classes: Sequence[str]
) -> pd.DataFrame:
    """The failures in some images as a table, a row each, with `COLUMNS`."""
    rows = [
        (image_id, failure.kind, classes[failure.label], failure.score, *failure.box)
        for own, truth, image_id in zip(found, truths, ids, strict=True)
        for failure in failures(own, truth)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(["score", *CORNERS], np.float64))


def _counted(found: Detections, truth: Truth) -> Detections:
    """The detections that are shown and not excused by a difficult object, by falling score."""
    counts = found.scores >= SHOWN
    for label in np.unique(truth.classes[truth.difficult]):
        own, known = np.flatnonzero(found.classes == label), truth.classes == label
        overlap = box_iou(found.boxes[own], truth.boxes[known])
        counts[own] &= voc_matching(overlap, truth.difficult[known])[1]
    order = np.flatnonzero(counts)
    order = order[np.argsort(-found.scores[order], kind="stable")]
    return Detections(found.boxes[order], found.classes[order], found.scores[order])


def _matched(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which objects are taken [G], and which detections took one [D], from the overlaps with those of its class."""
    taken, hit = np.zeros(own.shape[1], bool), np.zeros(own.shape[0], bool)
    for number in np.flatnonzero((own >= FOUND).any(axis=1)):
        left = np.where(taken, 0, own[number])
        best = left.argmax()
        hit[number] = left[best] >= FOUND
        taken[best] |= hit[number]
    return taken, hit


def _kind(own: np.ndarray, other: np.ndarray, taken: np.ndarray) -> tuple[str, int | None]:
    """The kind of a wrong detection, from its overlaps [G] with objects of its class and of others; which it meant."""
    if not own.size:
        return "background", None
    if BACKGROUND <= own.max() <= FOUND:
        return "localisation", int(own.argmax())
    if other.max() >= FOUND:
        return "classification", int(other.argmax())
    if (own * taken).max() >= FOUND:
        return "duplicate", None
    return ("background" if np.maximum(own, other).max() <= BACKGROUND else "both"), None
