"""Average precision against pycocotools, faster-coco-eval and a plain writing-out of VOC's devkit."""

import numpy as np
import pytest

from tests.reference.pycocotools_map import pycocotools_map
from tests.training.test_average_precision import CLASSES, scenes
from toolkit import bootstrap
from training.average_precision import (
    Truth,
    coco_map,
    coco_matching,
    coco_precision,
    evaluate,
    rankings,
    voc_matching,
    voc_precision,
)
from training.detections import Detections

SEEDS = range(6)


def own_map(truths: list[Truth], found: list[Detections], weights: np.ndarray) -> np.ndarray:
    """The mAP@0.5 and mAP@[.5:.95] that the resamples use; [2, resamples]."""
    plain = [Truth(t.boxes, t.classes, np.zeros(len(t.classes), bool), t.width, t.height) for t in truths]
    aps = np.array([coco_precision(r, weights) for r in rankings(plain, found, len(CLASSES), coco_matching)])
    by_iou = np.nanmean(aps, axis=0)
    return np.array([by_iou[0], by_iou.mean(axis=0)])


def devkit_ap(truths: list[Truth], found: list[Detections], index: int) -> float:
    """VOCevaldet.m and VOCap.m of the 2012 devkit, line by line; its pixels are 1-based and inclusive."""
    objects = [[*(t.boxes[t.classes == index] + [1, 1, 0, 0])] for t in truths]
    difficult = [t.difficult[t.classes == index] for t in truths]
    positives = sum(int((~d).sum()) for d in difficult)
    taken = [np.zeros(len(d), bool) for d in difficult]
    lines = [
        (s, i, np.add(box, [1, 1, 0, 0]))
        for i, f in enumerate(found)
        for s, c, box in zip(f.scores, f.classes, f.boxes, strict=True)
        if c == index
    ]
    order = np.argsort([-line[0] for line in lines], kind="stable")
    tp, fp = np.zeros(len(lines)), np.zeros(len(lines))
    for d, line in enumerate(order):
        _, image, bb = lines[line]
        best, jmax = -np.inf, -1
        for j, gt in enumerate(objects[image]):
            bi = (max(bb[0], gt[0]), max(bb[1], gt[1]), min(bb[2], gt[2]), min(bb[3], gt[3]))
            iw, ih = bi[2] - bi[0] + 1, bi[3] - bi[1] + 1
            if iw > 0 and ih > 0:
                area = (bb[2] - bb[0] + 1) * (bb[3] - bb[1] + 1) + (gt[2] - gt[0] + 1) * (gt[3] - gt[1] + 1)
                overlap = iw * ih / (area - iw * ih)
                if overlap > best:
                    best, jmax = overlap, j
        if best >= 0.5:
            if not difficult[image][jmax]:
                if not taken[image][jmax]:
                    tp[d] = 1
                    taken[image][jmax] = True
                else:
                    fp[d] = 1
        else:
            fp[d] = 1
    tp, fp = tp.cumsum(), fp.cumsum()
    recall, precision = tp / positives, tp / np.maximum(tp + fp, 1)
    mrec, mpre = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    i = np.flatnonzero(mrec[1:] != mrec[:-1]) + 1
    return float(((mrec[i] - mrec[i - 1]) * mpre[i]).sum())


@pytest.mark.parametrize("grid", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", SEEDS)
def test_coco_equals_pycocotools_and_faster_coco_eval(seed: int, grid: bool) -> None:
    truths, found = scenes(seed, 30, grid)
    expected = pycocotools_map(truths, found, CLASSES)
    assert coco_map(truths, found, range(len(CLASSES))) == pytest.approx(expected, abs=1e-9)
    assert own_map(truths, found, np.ones((1, 30), int))[:, 0] == pytest.approx(expected, abs=1e-9)


def test_coco_equals_pycocotools_where_an_image_has_over_a_hundred_detections() -> None:
    truths, found = scenes(0, 6)
    random = np.random.default_rng(0)
    crowd = [
        Detections(np.repeat(f.boxes, 60, axis=0), np.repeat(f.classes, 60), random.random(60 * len(f.scores)))
        for f in found
    ]
    expected = pycocotools_map(truths, crowd, CLASSES)
    assert coco_map(truths, crowd, range(len(CLASSES))) == pytest.approx(expected, abs=1e-9)
    assert own_map(truths, crowd, np.ones((1, 6), int))[:, 0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_resample_equals_pycocotools_on_a_data_set_that_repeats_its_images(seed: int) -> None:
    truths, found = scenes(seed, 25)
    drawn = np.concatenate(list(bootstrap.blocks(25, 2, seed)))
    for weights, own in zip(drawn, own_map(truths, found, drawn).T, strict=True):
        images = np.repeat(np.arange(25), weights)
        assert own == pytest.approx(
            pycocotools_map([truths[i] for i in images], [found[i] for i in images], CLASSES), abs=1e-9
        )


@pytest.mark.parametrize("grid", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", SEEDS)
def test_voc_equals_the_devkit(seed: int, grid: bool) -> None:
    truths, found = scenes(seed, 30, grid)
    own = [voc_precision(r, np.ones((1, 30), int))[0, 0] for r in rankings(truths, found, len(CLASSES), voc_matching)]
    expected = [devkit_ap(truths, found, index) for index in range(len(CLASSES))]
    assert own == pytest.approx(expected, abs=1e-9)
    result = evaluate(truths, found, CLASSES, 10, 0)
    assert result.map50_voc.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert result.per_class == pytest.approx(dict(zip(CLASSES, expected, strict=True)), abs=1e-9)
