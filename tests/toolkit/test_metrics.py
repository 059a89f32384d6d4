"""The benchmarks' measures: worked by hand, what they say of maps that say nothing, and what chance scores."""

import math
from itertools import permutations
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from torch import Tensor

from toolkit import maps, metrics

# few distinct values make ties, and constant maps among them
VALUES = st.one_of(st.integers(0, 3).map(float), st.floats(0, 1, width=32))
MAPS = arrays(np.float32, (2, 6, 7), elements=VALUES).map(lambda batch: np.stack([maps.normalise(m) for m in batch]))
MASKS = arrays(np.float32, (2, 6, 7), elements=st.integers(0, 1).map(float))
COUNTS = arrays(np.int64, (2, 6, 7), elements=st.integers(0, 2))

AGAINST_MAPS = (metrics.mae, metrics.iou, metrics.cc, metrics.sim, metrics.kl, metrics.chance_mae, metrics.chance_iou)
AT_FIXATIONS = (metrics.nss, metrics.auc_judd)


def tensor(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)[None]


def ramp(columns: int = 100) -> Tensor:
    return torch.linspace(0, 1, columns).repeat(1, 10, 1)


def constant(value: float = 0) -> Tensor:
    return torch.full((1, 10, 100), value)


def points(*cells: tuple[int, int], size: tuple[int, int] = (10, 100)) -> Tensor:
    counts = torch.zeros(1, *size, dtype=torch.int64)
    for y, x in cells:
        counts[0, y, x] += 1
    return counts


def uniform(height: int, width: int) -> Tensor:
    return torch.full((1, height, width), -math.log(height * width), dtype=torch.float64)


@settings(deadline=None)
@given(MAPS)
def test_a_map_agrees_with_itself(heatmap: np.ndarray) -> None:
    heatmap = torch.from_numpy(heatmap)
    varied = heatmap.amax((1, 2)) > 0
    assert torch.equal(metrics.mae(heatmap, heatmap), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(metrics.iou(heatmap, heatmap), varied.double())
    assert metrics.cc(heatmap, heatmap).numpy() == pytest.approx(varied.double().numpy())
    assert metrics.sim(heatmap, heatmap)[varied].numpy() == pytest.approx(1)
    assert metrics.kl(heatmap, heatmap)[varied].numpy() == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(MAPS, MAPS)
def test_scores_stay_in_their_range(a: np.ndarray, b: np.ndarray) -> None:
    heatmap, truth = torch.from_numpy(a), torch.from_numpy(b)
    for score, low, high in (
        (metrics.mae, 0, 1),
        (metrics.iou, 0, 1),
        (metrics.cc, -1, 1),
        (metrics.sim, 0, 1),
        (metrics.kl, 0, 37),
    ):
        values = score(heatmap, truth)
        known = values[~values.isnan()]
        assert values.dtype == torch.float64
        assert ((low - 1e-9 <= known) & (known <= high + 1e-9)).all()


@settings(deadline=None)
@given(MAPS, COUNTS, COUNTS)
def test_a_batch_scores_as_its_images_do_alone_and_one_truth_serves_all(
    heatmap: np.ndarray, counts: np.ndarray, others: np.ndarray
) -> None:
    heatmap, counts, others = torch.from_numpy(heatmap), torch.from_numpy(counts), torch.from_numpy(others)
    truth = heatmap.flip(2)
    for score, given_truth in [(s, truth) for s in AGAINST_MAPS] + [(s, counts) for s in AT_FIXATIONS]:
        alone = torch.cat([score(heatmap[i : i + 1], given_truth[i : i + 1]) for i in range(2)])
        assert score(heatmap, given_truth).numpy() == pytest.approx(alone.numpy(), nan_ok=True)
        shared = torch.cat([score(heatmap[i : i + 1], given_truth[:1]) for i in range(2)])
        assert score(heatmap, given_truth[:1]).numpy() == pytest.approx(shared.numpy(), nan_ok=True)
    alone = torch.cat([metrics.shuffled_auc(heatmap[i : i + 1], counts[i : i + 1], others[0]) for i in range(2)])
    assert metrics.shuffled_auc(heatmap, counts, others[0]).numpy() == pytest.approx(alone.numpy(), nan_ok=True)


@given(MAPS, st.floats(0, 1))
def test_the_top_is_the_one_that_maps_takes(batch: np.ndarray, fraction: float) -> None:
    expected = np.stack([maps.top(heatmap, fraction) for heatmap in batch])
    assert np.array_equal(metrics.top(torch.from_numpy(batch), fraction).numpy(), expected)


@settings(deadline=None)
@given(MASKS, MAPS, st.sampled_from([1, 2]))
def test_no_iou_depends_on_where_tied_pixels_lie(mask: np.ndarray, other: np.ndarray, axis: int) -> None:
    """What fails this cuts a mask of people's at its upper part, and measures vertical position."""
    mask, other = torch.from_numpy(mask), torch.from_numpy(other)
    for score in (metrics.iou, metrics.chance_iou):
        assert score(mask.flip(axis), other.flip(axis)).numpy() == pytest.approx(score(mask, other).numpy())


@given(arrays(np.float64, (6, 7), elements=st.floats(0, 1), unique=True), st.randoms(), st.floats(0, 1))
def test_without_ties_the_iou_is_that_of_two_sets_of_pixels(
    heatmap: np.ndarray, random: Random, fraction: float
) -> None:
    truth = np.array(random.sample(heatmap.ravel().tolist(), heatmap.size)).reshape(heatmap.shape)
    most = min(round(fraction * heatmap.size), heatmap.size - 1)  # the lowest never counts
    one, other = (set(values.ravel().argsort()[heatmap.size - most :]) for values in (heatmap, truth))
    expected = len(one & other) / max(len(one | other), 1)
    assert metrics.iou(*(torch.from_numpy(values)[None] for values in (heatmap, truth)), fraction) == expected


def test_opposite_ramps_share_nothing() -> None:
    assert metrics.iou(ramp(), ramp().flip(2)) == 0
    assert float(metrics.cc(ramp(), ramp().flip(2))) == pytest.approx(-1)
    assert float(metrics.mae(ramp(), ramp().flip(2))) == pytest.approx(float((2 * ramp() - 1).abs().mean()))


def test_half_shared_tops_have_a_third_iou_and_half_the_similarity() -> None:
    a, b = torch.zeros(1, 10, 100), torch.zeros(1, 10, 100)
    a[..., 0:10], b[..., 5:15] = 1, 1
    assert float(metrics.iou(a, b)) == pytest.approx(1 / 3)
    assert float(metrics.sim(a, b)) == pytest.approx(1 / 2)


def test_a_mask_larger_than_the_top_counts_in_part_at_each_of_its_pixels() -> None:
    seen, mask = torch.zeros(1, 10, 100), torch.zeros(1, 10, 100)
    seen[..., :10], mask[..., 5:45] = 1, 1  # a hundred pixels, and a quarter of each of four hundred
    assert float(metrics.iou(seen, mask)) == pytest.approx(50 / 4 / (100 + 350 / 4))
    assert float(metrics.iou(mask, mask)) == 1


def test_the_divergence_is_in_nats_from_the_map_to_the_truth() -> None:
    heatmap, truth = tensor([[1, 3]]), tensor([[1, 1]])
    assert float(metrics.kl(heatmap, truth)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert float(metrics.kl(truth, heatmap)) == pytest.approx(0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2))
    assert float(metrics.kl(tensor([[1, 0]]), tensor([[0, 1]]))) == pytest.approx(36.04, abs=0.01)


def test_fixations_are_scored_at_their_pixels_as_often_as_they_fell_there() -> None:
    heatmap = tensor([[0, 1, 2, 3]])
    z = (np.arange(4) - 1.5) / np.arange(4).std()
    fixations = points((0, 3), (0, 3), (0, 1), size=(1, 4))
    assert float(metrics.nss(heatmap, fixations)) == pytest.approx((2 * z[3] + z[1]) / 3)
    assert float(metrics.auc_judd(heatmap, fixations)) == pytest.approx((2 * 3.5 / 4 + 1.5 / 4) / 3)
    others = points((0, 0), (0, 1), (0, 1), size=(1, 4))
    assert float(metrics.shuffled_auc(heatmap, fixations, others)) == pytest.approx((2 * 1 + 2 / 3) / 3)
    assert torch.equal(
        metrics.shuffled_auc(heatmap, fixations, others[0]), metrics.shuffled_auc(heatmap, fixations, others)
    )


def test_information_gain_counts_bits_a_fixation_beyond_the_baseline() -> None:
    density = tensor([[0.5, 0.5, 0, 0]]).log()
    baseline = uniform(1, 4)
    assert float(metrics.information_gain(density, points((0, 0), (0, 1), size=(1, 4)), baseline)) == pytest.approx(1)
    assert float(metrics.information_gain(density, points((0, 0), (0, 2), size=(1, 4)), baseline)) == -math.inf
    assert float(metrics.information_gain(baseline, points((0, 3), size=(1, 4)), baseline)) == 0


def test_a_density_that_is_no_logarithm_of_shares_is_refused() -> None:
    fixations = points((0, 0), size=(1, 4))
    for wrong in (tensor([[0.25] * 4]), uniform(1, 4) + 0.1, torch.full((1, 1, 4), math.nan)):
        with pytest.raises(ValueError, match="density"):
            metrics.information_gain(wrong, fixations, uniform(1, 4))
        with pytest.raises(ValueError, match="baseline"):
            metrics.information_gain(uniform(1, 4), fixations, wrong)


@pytest.mark.parametrize("value", [0, 0.3])  # 0.3 is no sum of powers of two: its mean is rounded
def test_a_constant_map_says_nothing(value: float) -> None:
    heatmap = constant(value)
    fixations = points((0, 99), (3, 50))
    assert metrics.iou(heatmap, ramp()) == metrics.chance_iou(heatmap, ramp()) == 0
    assert metrics.cc(heatmap, ramp()) == metrics.cc(ramp(), heatmap) == metrics.cc(heatmap, heatmap) == 0
    assert metrics.nss(heatmap, fixations) == 0
    assert metrics.auc_judd(heatmap, fixations) == 0.5
    assert metrics.shuffled_auc(heatmap, fixations, points((1, 1))) == 0.5


def test_an_empty_map_predicts_every_pixel_alike() -> None:
    for score in (metrics.sim, metrics.kl):
        assert float(score(constant(), ramp())) == pytest.approx(float(score(constant(1), ramp())))


def test_no_truth_is_no_score() -> None:
    nobody = points()
    assert metrics.sim(ramp(), constant()).isnan()
    assert metrics.kl(ramp(), constant()).isnan()
    assert metrics.nss(ramp(), nobody).isnan()
    assert metrics.auc_judd(ramp(), nobody).isnan()
    assert metrics.shuffled_auc(ramp(), nobody, points((0, 0))).isnan()
    assert metrics.shuffled_auc(ramp(), points((0, 0)), nobody).isnan()
    assert metrics.information_gain(uniform(10, 100), nobody, uniform(10, 100)).isnan()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_map_with_a_hole_is_refused(value: float) -> None:
    broken = ramp()
    broken[0, 3, 4] = value
    for score in AGAINST_MAPS:
        for pair in ((broken, ramp()), (ramp(), broken)):
            with pytest.raises(ValueError, match="finite"):
                score(*pair)
    for score in AT_FIXATIONS:
        with pytest.raises(ValueError, match="finite"):
            score(broken, points((0, 0)))
    with pytest.raises(ValueError, match="finite"):
        metrics.shuffled_auc(broken, points((0, 0)), points((1, 1)))


def test_what_is_no_map_density_or_count_is_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        metrics.mae(ramp(), ramp(99))
    with pytest.raises(ValueError, match="one size"):
        metrics.mae(ramp()[0], ramp()[0])
    with pytest.raises(ValueError, match="negative"):
        metrics.sim(ramp() - 0.5, ramp())
    with pytest.raises(ValueError, match="integers"):
        metrics.nss(ramp(), ramp())
    with pytest.raises(ValueError, match="integers"):
        metrics.nss(ramp(), -points((0, 0)))
    with pytest.raises(ValueError, match="16-bit grid"):
        metrics.chance_mae(torch.rand(1, 10, 100), ramp())


@settings(deadline=None)
@given(MAPS, MAPS)
def test_chance_mae_is_the_mean_over_all_pairs_of_pixels(a: np.ndarray, b: np.ndarray) -> None:
    pairs = np.abs(a.reshape(2, -1, 1).astype(np.float64) - b.reshape(2, 1, -1)).mean((1, 2))
    assert metrics.chance_mae(torch.from_numpy(a), torch.from_numpy(b)).numpy() == pytest.approx(pairs, abs=1e-7)


@pytest.mark.parametrize("a", [[0] * 6, [1, 0, 0, 0, 0, 0], [1, 0.25, 0.25, 0.25, 0.25, 0], [1, 1, 1, 1, 1, 1]])
@pytest.mark.parametrize("b", [[0] * 6, [1, 1, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5, 0, 0], [1, 1, 0.5, 0.5, 0.5, 0.5]])
def test_chance_iou_is_the_mean_over_all_places_of_one_top(a: list[float], b: list[float]) -> None:
    every = np.array(list(permutations(a)))
    mean = np.mean(np.minimum(every, b).sum(1) / np.maximum(np.maximum(every, b).sum(1), 1e-9))
    expected = metrics.chance_overlap(*(torch.tensor(top, dtype=torch.float64).view(1, 2, 3) for top in (a, b)))
    assert float(expected) == pytest.approx(mean, abs=0.007)  # the expansion is at its worst on so few


@pytest.mark.parametrize(("height", "width", "error"), [(32, 32, 2e-5), (192, 256, 1e-8)])
def test_chance_iou_of_whole_pixels_is_the_hypergeometric_mean(height: int, width: int, error: float) -> None:
    pixels, chosen = height * width, round(0.1 * height * width)
    shared = np.arange(chosen + 1)
    mean = np.sum(stats.hypergeom(pixels, chosen, chosen).pmf(shared) * shared / (2 * chosen - shared))
    top = (torch.arange(pixels).view(1, height, width) < chosen).double()
    assert float(metrics.chance_overlap(top, top)) == pytest.approx(mean, rel=error)


def test_chance_iou_of_a_mask_is_what_shuffled_masks_score() -> None:
    rng = np.random.default_rng(0)
    mask, heatmap = np.zeros(4096), np.arange(4096)
    mask[:1000] = 1
    places = torch.from_numpy(rng.permuted(np.tile(mask, (400, 1)), axis=1).reshape(400, 64, 64))
    seen = torch.from_numpy(heatmap).view(1, 64, 64)
    assert float(metrics.chance_iou(places[:1], seen)) == pytest.approx(
        float(metrics.iou(places, seen).mean()), abs=2e-4
    )


def test_chance_iou_of_large_tops_is_what_shuffled_maps_score() -> None:
    rng = np.random.default_rng(0)
    heatmap = torch.from_numpy(rng.permuted(np.tile(np.arange(4096), (400, 1)), axis=1).reshape(400, 64, 64))
    scores = metrics.iou(heatmap[1:], heatmap[:1])
    assert float(metrics.chance_iou(heatmap[:1], heatmap[:1])) == pytest.approx(0.1 / 1.9, abs=2e-4)
    assert float(metrics.chance_iou(heatmap[:1], heatmap[:1])) == pytest.approx(float(scores.mean()), abs=0.001)


def test_random_fixations_score_what_chance_does() -> None:
    rng = np.random.default_rng(0)
    heatmap, here, there = ramp(), *(torch.from_numpy(rng.multinomial(20_000, np.full(1000, 1e-3))) for _ in range(2))
    here, there = here.view(1, 10, 100), there.view(1, 10, 100)
    assert float(metrics.nss(heatmap, here)) == pytest.approx(0, abs=0.03)
    assert float(metrics.auc_judd(heatmap, here)) == pytest.approx(0.5, abs=0.01)
    assert float(metrics.shuffled_auc(heatmap, here, there)) == pytest.approx(0.5, abs=0.015)


def test_the_centre_bias_earns_nothing_beside_fixations_that_share_it() -> None:
    rng = np.random.default_rng(0)
    centre = torch.from_numpy(np.outer(np.hanning(40), np.hanning(50)))[None]
    share = (centre / centre.sum()).flatten().numpy()
    here, there = (torch.from_numpy(rng.multinomial(5000, share)).view(1, 40, 50) for _ in range(2))
    assert float(metrics.auc_judd(centre, here)) > 0.7
    assert float(metrics.shuffled_auc(centre, here, there)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.gpu
def test_results_stay_on_the_device_and_are_the_same_there() -> None:
    heatmap, fixations = torch.cat([ramp(), ramp().flip(2)]), points((0, 3), (5, 70), (5, 70))
    pairs = [(score, ramp()) for score in AGAINST_MAPS] + [(score, fixations) for score in AT_FIXATIONS]
    for score, truth in pairs:
        there = score(heatmap.cuda(), truth.cuda())
        assert there.is_cuda
        assert there.cpu().numpy() == pytest.approx(score(heatmap, truth).numpy(), rel=1e-12)
