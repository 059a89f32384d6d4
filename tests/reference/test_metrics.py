"""The measures against scikit-learn, scipy and, where it is installed, pysaliency: the benchmark's own code.

pysaliency is no dependency: it comes as source that needs a C compiler, and imports only beside a setuptools older than
the pinned one. Give it a folder of its own, and name that in PYTHONPATH: `uv pip install --no-deps --target FOLDER
"setuptools<81" pysaliency==0.2.22 numba==0.68.1 llvmlite==0.50.0 boltons deprecation natsort piexif schema`.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from toolkit import maps, metrics

HEIGHT, WIDTH, IMAGES = 24, 32, 4


def smooth(seed: int) -> np.ndarray:
    """Maps as detectors give them, of few cells; scaled up, or cut into few levels so that most pixels tie."""
    random = np.random.default_rng(seed)
    scaled = [maps.scale(maps.normalise(random.random((3, 4)) ** 2), HEIGHT, WIDTH) for _ in range(IMAGES)]
    return np.stack([np.rint(heatmap * 5).astype(np.float32) / 5 if seed % 2 else heatmap for heatmap in scaled])


def fixated(seed: int) -> np.ndarray:
    """Counts of about 20 fixations an image, near its middle, several on a pixel."""
    random = np.random.default_rng(seed)
    counts = np.zeros((IMAGES, HEIGHT, WIDTH), np.int64)
    for image in range(IMAGES):
        y, x = random.normal(0.5, 0.12, (2, random.integers(15, 25)))
        np.add.at(counts[image], ((y.clip(0, 0.99) * HEIGHT).astype(int), (x.clip(0, 0.99) * WIDTH).astype(int)), 1)
    return counts


def log_densities(seed: int) -> np.ndarray:
    values = smooth(seed).astype(np.float64) + 0.1
    return np.log(values / values.sum((1, 2), keepdims=True))


def one_by_one(measure: Callable[..., float], *batches: np.ndarray) -> list[float]:
    return [measure(*images) for images in zip(*batches, strict=True)]


@pytest.fixture(params=range(6))
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


def test_cc_equals_scipys_correlation(seed: int) -> None:
    seen, truth = smooth(seed), smooth(seed + 100)
    expected = one_by_one(
        lambda a, b: stats.pearsonr(a.ravel(), b.ravel())[0], *(m.astype(float) for m in (seen, truth))
    )
    assert one_by_one(metrics.cc, seen, truth) == pytest.approx(expected, abs=1e-12)


def test_kl_equals_scipys_relative_entropy_where_no_pixel_is_empty(seed: int) -> None:
    seen, truth = smooth(seed).astype(float) + 0.1, smooth(seed + 100).astype(float)
    expected = one_by_one(lambda a, b: stats.entropy(b.ravel(), a.ravel()), seen, truth)
    assert one_by_one(metrics.kl, seen, truth) == pytest.approx(expected, abs=1e-9)


def test_nss_equals_scipys_z_scores_at_fixations(seed: int) -> None:
    seen, counts = smooth(seed), fixated(seed)
    expected = one_by_one(lambda a, n: np.average(stats.zscore(a.astype(float), axis=None), weights=n), seen, counts)
    assert one_by_one(metrics.nss, seen, counts) == pytest.approx(expected, abs=1e-12)


def test_aucs_equal_scikit_learns(seed: int) -> None:
    seen, counts, others = smooth(seed), fixated(seed), fixated(seed + 100)

    def auc(heatmap: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
        weights = np.concatenate([positives.ravel(), negatives.ravel()])
        return roc_auc_score(np.repeat([1, 0], heatmap.size), np.tile(heatmap.ravel(), 2), sample_weight=weights)

    judd, shuffled = one_by_one(auc, seen, counts, np.ones_like(counts)), one_by_one(auc, seen, counts, others)
    assert one_by_one(metrics.auc_judd, seen, counts) == pytest.approx(judd, abs=1e-12)
    assert one_by_one(metrics.shuffled_auc, seen, counts, others) == pytest.approx(shuffled, abs=1e-12)


@pytest.fixture(scope="module")
def pysaliency() -> ModuleType:
    return pytest.importorskip("pysaliency", exc_type=ImportError, reason="pysaliency is not installed")


def test_maps_are_scored_as_pysaliency_does(pysaliency: ModuleType, seed: int) -> None:
    seen, truth = smooth(seed).astype(float), smooth(seed + 100).astype(float)
    seen[0] = 0  # an empty map is scored too
    for own, reference in (
        (metrics.cc, pysaliency.metrics.CC),
        (metrics.sim, pysaliency.metrics.SIM),
        (metrics.kl, pysaliency.metrics.MIT_KLDiv),
    ):
        expected = one_by_one(lambda a, b, score=reference: score(a.copy(), b.copy()), seen, truth)
        assert one_by_one(own, seen, truth) == pytest.approx(expected, abs=1e-12)


def test_fixations_are_scored_as_pysaliencys_models_do(pysaliency: ModuleType, seed: int) -> None:
    seen, counts, densities, baselines = smooth(seed), fixated(seed), log_densities(seed), log_densities(seed + 100)
    stimuli = pysaliency.Stimuli([np.full((HEIGHT, WIDTH, 3), image, np.uint8) for image in range(IMAGES)])
    image, y, x = (np.repeat(index, counts[counts > 0]) for index in np.nonzero(counts))
    fixations = pysaliency.Fixations.create_without_history(x + 0.7, y + 0.2, image)

    class Shown(pysaliency.SaliencyMapModel):
        def _saliency_map(self, stimulus: np.ndarray) -> np.ndarray:
            return seen[stimulus[0, 0, 0]].astype(np.float64)

    class Density(pysaliency.Model):
        def __init__(self, known: np.ndarray) -> None:
            super().__init__()
            self.known = known

        def _log_density(self, stimulus: np.ndarray) -> np.ndarray:
            return self.known[stimulus[0, 0, 0]]

    def by_image(values: np.ndarray) -> list[float]:
        return [values[image == n].mean() for n in range(IMAGES)]

    others = counts.sum(0) - counts
    shown, gain = Shown(), Density(densities).information_gains(stimuli, fixations, Density(baselines))
    for own, reference in (
        (one_by_one(metrics.nss, seen, counts), shown.NSSs(stimuli, fixations)),
        (one_by_one(metrics.auc_judd, seen, counts), shown.AUCs(stimuli, fixations, nonfixations="uniform")),
        (
            one_by_one(metrics.shuffled_auc, seen, counts, others),
            shown.AUCs(stimuli, fixations, nonfixations="shuffled"),
        ),
        (one_by_one(metrics.information_gain, densities, counts, baselines), gain),
    ):
        assert own == pytest.approx(by_image(reference), abs=1e-12)
