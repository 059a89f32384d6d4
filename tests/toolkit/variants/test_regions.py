"""Regions: the most salient pixels, and the control elsewhere."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import maps
from toolkit.variants.regions import elsewhere, erase, most_salient


def blobs(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    coarse = maps.normalise(np.random.default_rng(seed).random((6, 8)))
    return most_salient(maps.scale(coarse, height, width), 2.5)


def shapes(region: np.ndarray) -> list[bytes]:
    """Each connected part, wherever it lies."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    return sorted((labels[y : y + h, x : x + w] == n).tobytes() for n, (x, y, w, h, _) in enumerate(boxes) if n)


def test_the_share_is_exact() -> None:
    assert blobs(0).sum() == round(0.025 * 48 * 64)


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_elsewhere_has_the_area_and_lies_elsewhere(seed: int) -> None:
    region = blobs(seed)
    moved = elsewhere(region, seed)
    assert moved.sum() == region.sum()
    assert not (moved & region).any()


def test_elsewhere_keeps_the_shape_of_a_part() -> None:
    for seed in range(10):
        region = np.zeros((48, 64), bool)
        region[10:20, 5:9] = True
        region[12:14, 9:15] = True
        assert shapes(elsewhere(region, seed)) == shapes(region)


def test_elsewhere_depends_on_its_seed_alone() -> None:
    assert (elsewhere(blobs(1), 5) == elsewhere(blobs(1), 5)).all()
    assert any((elsewhere(blobs(1), 5) != elsewhere(blobs(1), n)).any() for n in range(6, 9))


@given(st.integers(0, 100), st.floats(30, 95))
@settings(max_examples=30)
def test_a_region_too_large_to_avoid_keeps_its_area(seed: int, percent: float) -> None:
    coarse = maps.scale(maps.normalise(np.random.default_rng(seed).random((6, 8))), 24, 32)
    region = most_salient(coarse, percent)
    assert elsewhere(region, seed).sum() == region.sum()


def test_nothing_moves_nowhere() -> None:
    assert not elsewhere(np.zeros((8, 8), bool), 0).any()


def test_erase_leaves_the_rest_and_its_input_alone() -> None:
    image = np.random.default_rng(0).integers(1, 256, (8, 9, 3), dtype=np.uint8)
    before, region = image.copy(), np.eye(8, 9, dtype=bool)
    erased = erase(image, region)
    assert (erased[region] == 0).all()
    assert (erased[~region] == before[~region]).all()
    assert (image == before).all()
