"""Average precision by hand, and what must hold for any detections."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.average_precision import (
    Detection,
    Truth,
    box_iou,
    coco_map,
    evaluate,
    rankings,
    voc_matching,
    voc_precision,
)
from training.detections import Detections

CLASSES = ("cat", "dog", "sofa")
A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
NOWHERE = (70, 70, 80, 80)


def truth(*boxes: tuple[float, ...], classes: list[int] | None = None, difficult: list[bool] | None = None) -> Truth:
    count = len(boxes)
    return Truth(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(classes or [0] * count, np.int64),
        np.array(difficult or [False] * count, bool),
        width=100,
        height=100,
    )


def found(*boxes: tuple[float, ...], scores: list[float] | None = None, classes: list[int] | None = None) -> Detections:
    """Detections; by default of class 0, the first being the surest."""
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(classes or [0] * count, np.int64),
        np.array(scores or np.linspace(0.9, 0.1, count), np.float64),
    )


def score(truths: list[Truth], detections: list[Detections], resamples: int = 20) -> Detection:
    return evaluate(truths, detections, CLASSES, resamples, seed=0)


def values(detection: Detection) -> tuple[float, float, float]:
    return detection.map50.value, detection.map.value, detection.map50_voc.value


def scenes(seed: int, images: int, grid: bool = False) -> tuple[list[Truth], list[Detections]]:
    """Random objects of three classes, and detections near them; on a coarse grid IoUs and scores tie often."""
    random = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(images):
        count, guesses = int(random.integers(0, 6)), int(random.integers(0, 10))
        corner = random.uniform(0, 70, (count, 2))
        boxes = np.hstack([corner, corner + random.uniform(8, 30, (count, 2))])
        classes = random.integers(0, len(CLASSES), count)
        source = random.integers(0, count, guesses if count else 0)
        near = boxes[source] + random.normal(0, 2, (len(source), 4))
        guess = np.where(random.random(len(source)) < 0.8, classes[source], random.integers(0, 3, len(source)))
        scores = random.random(len(source))
        if grid:
            boxes, near, scores = np.rint(boxes / 8) * 8, np.rint(near / 8) * 8, np.rint(scores * 5) / 5
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 4)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 4)
        truths.append(Truth(boxes, classes, random.random(count) < 0.2, 120, 120))
        detections.append(Detections(near, guess, scores))
    return truths, detections


def test_box_iou() -> None:
    boxes = np.array([A, (5, 0, 15, 10), B, (3, 3, 3, 3)])
    assert box_iou(boxes, boxes) == pytest.approx(
        np.array([[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    )
    assert box_iou(boxes, np.zeros((0, 4))).shape == (4, 0)


def test_perfect_detections_score_one_without_doubt() -> None:
    result = score([truth(A, B, classes=[0, 1]), truth(C)], [found(A, B, classes=[0, 1]), found(C)])
    for estimate in (result.map50, result.map, result.map50_voc):
        assert (estimate.lo, estimate.value, estimate.hi) == pytest.approx((1, 1, 1))
    assert result.per_class == {"cat": 1, "dog": 1}  # there is no sofa to find


def test_one_of_two_found() -> None:
    # recall 0.5 at precision 1: VOC's area is a half; COCO looks at 51 of 101 recalls
    assert values(score([truth(A, B)], [found(A)])) == pytest.approx((51 / 101, 51 / 101, 0.5))


def test_a_miss_above_a_hit() -> None:
    # false, then true, then true: precision 0, 1/2, 2/3; the envelope is 2/3 everywhere
    assert values(score([truth(A, B)], [found(NOWHERE, A, B)])) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # below the hits it costs nothing
    assert values(score([truth(A, B)], [found(A, B, NOWHERE)])) == pytest.approx((1, 1, 1))


def test_a_duplicate_is_a_false_positive() -> None:
    # true, false, true: precision 1 up to recall 0.5, then 2/3
    expected = (51 + 50 * 2 / 3) / 101
    assert values(score([truth(A, B)], [found(A, A, B)])) == pytest.approx((expected, expected, 0.5 + 0.5 * 2 / 3))


def test_the_mean_over_ious_counts_how_well_a_box_fits() -> None:
    # IoU 0.72 passes 0.5, 0.55, 0.6, 0.65 and 0.7
    assert values(score([truth(A)], [found((0, 0, 9, 8))])) == pytest.approx((1, 0.5, 1))


def test_an_overlap_of_exactly_a_half_is_enough() -> None:
    assert values(score([truth(A)], [found((0, 0, 10, 5))])) == pytest.approx((1, 0.1, 1))
    assert values(score([truth(A)], [found((0, 0, 10, 4.99))])) == (0, 0, 0)


def test_a_difficult_object_counts_in_coco_and_not_in_voc() -> None:
    easy_and_difficult = [truth(A, B, difficult=[False, True])]
    assert values(score(easy_and_difficult, [found(A)])) == pytest.approx((51 / 101, 51 / 101, 1))
    # finding it is neither right nor wrong, even twice and above the easy one
    assert values(score(easy_and_difficult, [found(B, B, A)]))[2] == 1
    only_difficult = score([truth(A, difficult=[True])], [found(A)])
    assert values(only_difficult)[:2] == pytest.approx((1, 1))
    assert np.isnan(only_difficult.map50_voc.value)
    assert only_difficult.per_class == {}


def test_voc_goes_by_the_best_object_and_coco_by_the_best_free_one() -> None:
    # both detections overlap the first object most, the second one overlaps the other object too
    objects, detections = truth((0, 0, 10, 10), (0, 2, 10, 12)), found((0, 0, 10, 10), (0, 0.5, 10, 10.5))
    assert values(score([objects], [detections]))[0] == pytest.approx(1)
    assert values(score([objects], [detections]))[2] == pytest.approx(0.5)


def test_nothing_found_is_zero() -> None:
    result = score([truth(A, B)], [found()])
    for estimate in (result.map50, result.map, result.map50_voc):
        assert (estimate.lo, estimate.value, estimate.hi) == (0, 0, 0)
    assert result.per_class == {"cat": 0}


def test_nothing_to_find_has_no_score() -> None:
    result = score([truth(), truth()], [found(A), found()])
    for estimate in (result.map50, result.map, result.map50_voc):
        assert np.isnan([estimate.lo, estimate.value, estimate.hi]).all()


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        score([], [])


def test_images_and_detections_must_pair_up() -> None:
    with pytest.raises(ValueError):
        score([truth(A)], [found(A), found(A)])


def test_detections_of_a_class_without_objects_are_left_out() -> None:
    assert values(score([truth(A)], [found(A, B, classes=[0, 2])])) == pytest.approx((1, 1, 1))


def test_another_class_finds_nothing() -> None:
    assert values(score([truth(A)], [found(A, classes=[1])])) == (0, 0, 0)


def test_equal_scores_keep_the_order_they_came_in() -> None:
    first, second = found(A, NOWHERE, scores=[0.5, 0.5]), found(NOWHERE, A, scores=[0.5, 0.5])
    assert values(score([truth(A)], [first])) == pytest.approx((1, 1, 1))
    assert values(score([truth(A)], [second])) == pytest.approx((0.5, 0.5, 0.5))


def test_coco_takes_a_hundred_detections_of_a_class_in_an_image_and_voc_all() -> None:
    misses = [NOWHERE] * 100
    assert values(score([truth(A)], [found(*misses, A)])) == pytest.approx((0, 0, 1 / 101))
    assert values(score([truth(A)], [found(*misses, A, classes=[1] * 100 + [0])])) == pytest.approx((1, 1, 1))


def test_a_resample_without_a_class_leaves_the_class_out() -> None:
    # cat is found and dog is not: a resample of cats alone scores 1, of dogs alone 0, else a half
    ranking = rankings([truth(A), truth(A, classes=[1])], [found(A), found()], 2, voc_matching)
    drawn = np.array([[2, 0], [0, 2], [1, 1]])
    assert voc_precision(ranking[0], drawn) == pytest.approx(np.array([[1, np.nan, 1]]), nan_ok=True)
    assert voc_precision(ranking[1], drawn) == pytest.approx(np.array([[np.nan, 0, 0]]), nan_ok=True)


def test_the_same_seed_gives_the_same_intervals() -> None:
    truths, detections = scenes(0, 20)
    assert score(truths, detections) == score(truths, detections)
    assert score(truths, detections) != evaluate(truths, detections, CLASSES, 20, seed=1)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_holds_the_value(seed: int) -> None:
    result = score(*scenes(seed, 40), resamples=200)
    for estimate in (result.map50, result.map, result.map50_voc):
        assert 0 <= estimate.lo < estimate.value < estimate.hi <= 1
        assert estimate.hi - estimate.lo < 0.4


def test_more_images_make_the_interval_narrower() -> None:
    few, many = (score(*scenes(0, images), resamples=200).map50 for images in (20, 320))
    assert (many.hi - many.lo) < (few.hi - few.lo) / 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans())
def test_scores_lie_in_0_to_1_or_are_undefined(seed: int, images: int, grid: bool) -> None:
    result = score(*scenes(seed, images, grid))
    for estimate in (result.map50, result.map, result.map50_voc):
        numbers = np.array([estimate.value, estimate.lo, estimate.hi])
        assert np.isnan(numbers).all() or ((numbers >= 0) & (numbers <= 1)).all()
    assert np.isnan(result.map.value) or result.map.value <= result.map50.value + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans())
def test_only_the_order_of_scores_matters(seed: int, images: int, grid: bool) -> None:
    truths, detections = scenes(seed, images, grid)
    other = [replace(given, scores=np.exp(3 * given.scores) - 40) for given in detections]
    assert values(score(truths, other)) == pytest.approx(values(score(truths, detections)), nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_the_order_of_images_does_not_matter(seed: int, images: int) -> None:
    truths, detections = scenes(seed, images)  # no two scores are equal
    order = np.random.default_rng(seed).permutation(images)
    shuffled = score([truths[i] for i in order], [detections[i] for i in order])
    assert values(shuffled) == pytest.approx(values(score(truths, detections)), nan_ok=True)


def test_only_images_that_have_anything_of_a_class_are_matched_for_it() -> None:
    """Of classes there may be hundreds, of which an image has two or three."""
    matched = 0

    def counting(iou: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal matched
        matched += iou.size > 0
        return voc_matching(iou, difficult)

    truths, detections = [truth(A), truth(B, classes=[1])] * 50, [found(A), found(B, classes=[1])] * 50
    cats, dogs, sofas = rankings(truths, detections, len(CLASSES), counting)
    assert matched == 100
    assert cats.image.tolist() == list(range(0, 100, 2)) and dogs.image.tolist() == list(range(1, 100, 2))
    assert cats.objects.sum() == dogs.objects.sum() == cats.hit.sum() == 50
    assert sofas.hit.shape == (1, 0) and sofas.objects.tolist() == [0] * 100


def test_a_class_of_few_objects_is_in_no_mean_and_has_an_ap_of_its_own() -> None:
    truths, detections = scenes(3, images=30)
    truths = [replace(t, difficult=np.zeros_like(t.difficult)) for t in truths]  # the protocols count the same then
    counts = [sum(int((t.classes == number).sum()) for t in truths) for number in range(len(CLASSES))]
    few = int(np.argmin(counts))
    least = sorted(counts)[1]
    assert counts[few] < least
    others = [number for number in range(len(CLASSES)) if number != few]
    whole = evaluate(truths, detections, CLASSES, 20, seed=0)
    found_of = evaluate(truths, detections, CLASSES, 20, seed=0, least=least)
    assert found_of.per_class == whole.per_class
    assert found_of.map50_voc.value == pytest.approx(np.mean([whole.per_class[CLASSES[n]] for n in others]))
    assert coco_map(truths, detections, others) == (found_of.map50.value, found_of.map.value)
    assert found_of.map50.value != whole.map50.value


def test_where_no_class_has_enough_objects_there_is_no_mean() -> None:
    truths, detections = scenes(3, images=30)
    assert all(np.isnan(value) for value in values(evaluate(truths, detections, CLASSES, 20, seed=0, least=1000)))
