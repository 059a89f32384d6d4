"""Agreement scores, worked by hand, and the baselines that stand beside them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit import agreement, maps
from toolkit.files import write

MAPS = arrays(np.float32, (10, 12), elements=st.floats(0, 1, width=32)).map(maps.normalise)


def ramp(columns: int = 100) -> np.ndarray:
    return np.tile(np.linspace(0, 1, columns, dtype=np.float32), (10, 1))


@given(MAPS)
def test_a_map_agrees_with_itself(map: np.ndarray) -> None:
    varied = map.max() > 0
    assert agreement.mae(map, map) == 0
    assert agreement.iou(map, map) == (1 if varied else 0)
    assert agreement.cc(map, map) == pytest.approx(1 if varied else 0)


@given(MAPS, MAPS)
def test_scores_are_symmetric_and_in_range(a: np.ndarray, b: np.ndarray) -> None:
    for score, low in ((agreement.mae, 0), (agreement.iou, 0), (agreement.cc, -1)):
        assert low - 1e-9 <= score(a, b) <= 1 + 1e-9
        assert score(a, b) == pytest.approx(score(b, a))


def test_opposite_ramps_share_nothing() -> None:
    assert agreement.iou(ramp(), ramp()[:, ::-1]) == 0
    assert agreement.cc(ramp(), ramp()[:, ::-1]) == pytest.approx(-1)
    assert agreement.mae(ramp(), ramp()[:, ::-1]) == pytest.approx(np.abs(2 * ramp() - 1).mean())


def test_half_shared_tops_have_a_third_iou() -> None:
    a, b = np.zeros((10, 100), np.float32), np.zeros((10, 100), np.float32)
    a[:, 0:10], b[:, 5:15] = 1, 1
    assert agreement.iou(a, b) == pytest.approx(1 / 3)


def test_a_constant_map_has_defined_scores() -> None:
    constant = np.zeros((10, 100), np.float32)
    assert agreement.iou(constant, ramp()) == 0
    assert agreement.cc(constant, ramp()) == 0
    assert agreement.chance_iou(constant, constant) == 0


@given(MAPS, MAPS)
def test_chance_mae_is_the_mean_over_all_pairs_of_pixels(a: np.ndarray, b: np.ndarray) -> None:
    pairs = np.abs(a.ravel()[:, None].astype(np.float64) - b.ravel()[None]).mean()
    assert agreement.chance_mae(a, b) == pytest.approx(pairs, abs=1e-9)


def test_chance_iou_is_what_shuffled_maps_score() -> None:
    rng = np.random.default_rng(0)
    a = maps.normalise(rng.random((64, 64)))
    shuffled = [agreement.iou(rng.permutation(a.ravel()).reshape(a.shape), a) for _ in range(200)]
    assert agreement.chance_iou(a, a) == pytest.approx(0.1 / 1.9, abs=1e-3)
    assert np.mean(shuffled) == pytest.approx(agreement.chance_iou(a, a), abs=0.002)


def test_an_empty_map_has_a_good_mae_where_attention_is_sparse() -> None:
    truth = np.zeros((100, 100), np.float32)
    truth[40:50, 40:50] = 1
    noise = maps.normalise(np.random.default_rng(0).random((100, 100)))
    assert agreement.compare(noise, truth)["constant_mae"] < agreement.mae(noise, truth) / 10


def test_maps_of_any_size_are_compared_on_one_grid(tmp_path: Path) -> None:
    smooth = maps.normalise(np.outer(np.hanning(12), np.hanning(16)))
    write(tmp_path / "human" / "a.png", maps.encode(maps.scale(smooth, 384, 512)))
    row = agreement.against(smooth, tmp_path, "a")
    assert row["human_iou"] > 0.95
    assert row["human_mae"] < 0.01
    assert not any(name.startswith("gaze") for name in row)
