"""How well gaze predictors foretell real fixations, beside chance, the centre bias, and people themselves.

    salvoc gaze evaluate ~/osie ~/scene

A predictor that was fitted to a recording says nothing by its score there. So the embedded one is fitted anew three
times: without a fifth of the images, without the images most like those that it is scored on, and without the whole
recording. All densities are scored on one grid; one per cent of each is spread evenly, so that one fixation where a
predictor saw none costs it dear but not all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from scipy.cluster.vq import kmeans2, whiten
from tqdm import tqdm

from toolkit import agreement, attention, bootstrap, metrics
from toolkit.attention import deepgaze, recordings
from toolkit.attention.readout import WEIGHTS, load, mixed
from toolkit.attention.recordings import Recording, Viewing
from toolkit.files import read_image
from toolkit.metrics import METRICS
from toolkit.workers import mapped
from training.gaze import fit
from training.gaze.fit import View

CELLS, SIGMA = 64, 2  # of the density elsewhere: cells along either side, and its likeliest blur for OSIE and Scene
EVEN = 0.01  # of every density
FOLDS, CLUSTERS = 5, 3
WIDTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)  # degrees: how wide a person's fixations are blurred to foretell another's
OWN_CENTRE = 0.2  # of the density that people foretell another's fixations with
RESAMPLES = 1000
COLUMNS = {"ig": "IG bit/fixation"} | {
    name: f"{METRICS[name].heading} {METRICS[name].unit}".strip() for name in ("nss", "auc", "sauc", "cc", "kl", "sim")
}

Densities = dict[str, np.ndarray]  # by predictor, [h, w] each
Row = dict[str, object]  # a predictor and its scores


@dataclass(frozen=True)
class Bench:
    """One recording, and what of it all images are scored against."""

    recording: Recording
    points: np.ndarray  # [N, 2] x, y of all fixations, in parts of their image's sides
    owner: np.ndarray  # [N] the number of the image that each belongs to

    @classmethod
    def of(cls, recording: Recording) -> "Bench":
        parts = [np.concatenate([np.zeros((0, 2)), *v.fixations]) / v.size for v in recording.viewings.values()]
        return cls(recording, np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))

    def elsewhere(self, number: int, height: int, width: int) -> np.ndarray:
        """The fixations on all other images, laid over this one: counts [height, width]."""
        return agreement.counts(self.points[self.owner != number], height, width)

    def density_elsewhere(self, number: int, height: int, width: int) -> np.ndarray:
        """The density of the fixations on all other images: the recording's own centre bias."""
        others = self.elsewhere(number, CELLS, CELLS).astype(np.float64)
        return even(cv2.GaussianBlur(others, (0, 0), SIGMA, borderType=cv2.BORDER_REPLICATE), height, width)


def even(density: np.ndarray, height: int, width: int) -> np.ndarray:
    """A density of any grid as one of this grid: [height, width] float64 that sums to 1, `EVEN` of it uniform."""
    uniform = np.full((height, width), 1 / (height * width))
    if np.ptp(density) == 0:  # resampled, a constant would be one no more, by rounding
        return uniform
    spread = cv2.resize(density.astype(np.float64), (width, height), interpolation=cv2.INTER_LINEAR).clip(0)
    return (1 - EVEN) * spread / spread.sum() + EVEN * uniform


def grid(viewing: Viewing) -> tuple[int, int, float]:
    """The size at which an image's densities are scored, and the cells of a degree there."""
    width, height = viewing.size
    return *agreement.grid(height, width), viewing.degree * (agreement.SIDE / max(viewing.size))


def at_fixations(density: np.ndarray, counts: np.ndarray, baseline: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """A density's scores at fixations, given as counts; information is gained over the baseline's; [h, w] all four."""
    return {
        "ig": metrics.information_gain(np.log(density), counts, np.log(baseline)),
        "nss": metrics.nss(density, counts),
        "auc": metrics.auc_judd(density, counts),
        "sauc": metrics.shuffled_auc(density, counts, others),
    }


def against_map(density: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """A density's scores against that of fixations; [h, w] both."""
    return {"cc": metrics.cc(density, truth), "kl": metrics.kl(density, truth), "sim": metrics.sim(density, truth)}


def table(bench: Bench, predict: Callable[[str, Viewing], Densities]) -> pd.DataFrame:
    """A row an image and predictor; `predict` gives the densities beside uniform, centre bias and people."""
    viewings = bench.recording.viewings
    width = likeliest_width(bench)

    def rows_of(item: tuple[int, str]) -> pd.DataFrame:
        number, image_id = item
        viewing = viewings[image_id]
        height, across, degree = grid(viewing)
        counts = recordings.counts(viewing, height, across)
        if not counts.any():
            return pd.DataFrame()
        centre, others = bench.density_elsewhere(number, height, across), bench.elsewhere(number, height, across)
        truth = recordings.density(counts, degree)
        given = {"uniform": np.ones((1, 1)), **predict(image_id, viewing)}
        scaled = {name: even(density, height, across) for name, density in given.items()} | {"its centre bias": centre}
        scores = [
            {"predictor": name, **at_fixations(density, counts, centre, others), **against_map(density, truth)}
            for name, density in scaled.items()
        ]
        return pd.DataFrame(scores + people(viewing, centre, others, width)).assign(id=image_id)

    items = list(enumerate(viewings))
    rows = mapped(lambda: rows_of, items)
    bar = tqdm(rows, desc=f"{bench.recording.name}: scores", total=len(items), unit="image", mininterval=1)
    return pd.concat(list(bar), ignore_index=True)


def people(viewing: Viewing, centre: np.ndarray, others: np.ndarray, width: float) -> list[Row]:
    """What people foretell of each other, one row, the human ceiling: none where observers are not told apart.

    Fixations: each observer's, by the density of all the others' (leave one out), mean over observers. Maps: those of
    every second observer against those of the rest.
    """
    height, across, degree = grid(viewing)
    own = by_observer(viewing, height, across)
    if len(own) < 4:
        return []
    left_out = [
        at_fixations(foretold(own.sum(axis=0) - counts, centre, width * degree), counts, centre, others)
        for counts in own
    ]
    halves = [recordings.density(own[start::2].sum(axis=0), degree) for start in (0, 1)]
    return [{"predictor": "people", **pd.DataFrame(left_out).mean(), **against_map(*halves)}]


def by_observer(viewing: Viewing, height: int, width: int) -> np.ndarray:
    """The fixations of each observer who has any: counts [N, height, width]."""
    own = [recordings.counts(viewing, height, width, [n]) for n in range(len(viewing.fixations))]
    return np.array([counts for counts in own if counts.any()]).reshape(-1, height, width)


def foretold(counts: np.ndarray, centre: np.ndarray, sigma: float) -> np.ndarray:
    """The density by which some people's fixations foretell another's: blurred, with a part of the centre bias."""
    return even((1 - OWN_CENTRE) * recordings.density(counts, sigma) + OWN_CENTRE * centre, *counts.shape)


def likeliest_width(bench: Bench) -> float:
    """The blur, in degrees, with which people foretell each other best, on every tenth image."""
    gains: dict[float, list[float]] = {width: [] for width in WIDTHS}
    for number, viewing in list(enumerate(bench.recording.viewings.values()))[::10]:
        height, across, degree = grid(viewing)
        centre = bench.density_elsewhere(number, height, across)
        own = by_observer(viewing, height, across)
        for width in WIDTHS if len(own) > 1 else ():
            for counts in own:
                density = foretold(own.sum(axis=0) - counts, centre, width * degree)
                gains[width].append(float((np.log2(density) * counts).sum() / counts.sum()))
    return max(WIDTHS, key=lambda width: float(np.mean(gains[width])) if gains[width] else 0.0)


def by_image(sets: Sequence[Sequence[View]]) -> list[np.ndarray]:
    """The fold of every view: at random."""
    rng = np.random.default_rng(0)
    return [rng.permutation(len(views)) % FOLDS for views in sets]


def by_content(sets: Sequence[Sequence[View]]) -> list[np.ndarray]:
    """The fold of every view: its cluster by mean deep features, so that nothing like it is fitted to.

    Each recording is clustered by itself: all together, the clusters would be the recordings again.
    """
    folds = []
    for views in sets:
        deep = [load_file(view.features)["2"][0].astype(np.float32).mean((1, 2)) for view in views]
        folds.append(kmeans2(whiten(np.array(deep)), CLUSTERS, minit="++", rng=0)[1])
    return folds


def held_out(sets: Sequence[Sequence[View]], folds: Sequence[np.ndarray], title: str) -> dict[Path, Path]:
    """For each view, by its features, the readouts that were fitted to all folds but its own."""
    found: dict[Path, Path] = {}
    pairs = [list(zip(views, numbers, strict=True)) for views, numbers in zip(sets, folds, strict=True)]
    for fold in sorted(set(np.concatenate(folds).tolist())):
        rest = [[view for view, number in paired if number != fold] for paired in pairs]
        weights = fit.fitted([views for views in rest if views], f"{title} {fold + 1}")
        found |= {view.features: weights for paired in pairs for view, number in paired if number == fold}
    return found


def refitted(known: Sequence[Recording]) -> dict[str, dict[str, Callable[[], Densities]]]:
    """For the recordings that the embedded predictor was fitted to: what it says of each image, fitted without it."""
    sets = [fit.views_of(recording) for recording in known]
    rules = {"other images": by_image(sets), "other content": by_content(sets)}
    if len(sets) > 1:
        rules["other recordings"] = [np.full(len(views), number) for number, views in enumerate(sets)]
    weights = {f"gaze_lite0, {rule}": held_out(sets, folds, f"fit to {rule}") for rule, folds in rules.items()}
    return {
        recording.name: {
            view.id: partial(_read_out, view.features, {name: of[view.features] for name, of in weights.items()})
            for view in views
        }
        for recording, views in zip(known, sets, strict=True)
    }


@torch.inference_mode()
def _read_out(features: Path, weights: dict[str, Path]) -> Densities:
    stored = load_file(features)
    given = [torch.from_numpy(stored[str(n)][:1]).float() for n in range(3)]
    return {name: mixed(load(path)(given))[0].exp().numpy() for name, path in weights.items()}


def evaluate(folders: Sequence[Path], out: Path) -> str:
    """Score every predictor on every recording; the tables as Markdown, and a row an image into `out`."""
    read = [recordings.with_images(folder) for folder in folders]
    known = [recording for recording in read if fit.was_fitted_to(WEIGHTS, recording)]
    anew = refitted(known) if known else {}
    pages = []
    for recording in read:
        rows = table(Bench.of(recording), partial(_predict, anew.get(recording.name)))
        out.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(out / f"{recording.name}.parquet")
        pages.append(f"**{recording.name}**, {rows['id'].nunique()} images\n\n{summary(rows).to_markdown()}\n")
    return "\n".join(pages)


def _predict(anew: dict[str, Callable[[], Densities]] | None, image_id: str, viewing: Viewing) -> Densities:
    image = read_image(viewing.image)
    left = {"gaze_lite0"} if anew else set()
    left |= {"centre"}  # its recording's own is a better one
    left |= set() if deepgaze.WEIGHTS.exists() else {"deepgaze2e"}
    names = [name for name in attention.PREDICTORS if name not in left]
    given = {name: attention.load(name)([image])[0] for name in names}
    return given | (anew[image_id]() if anew and image_id in anew else {})


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean of each metric and its 95 % bootstrap interval over images, a row a predictor."""
    cells: dict[str, dict[str, str]] = {}
    for name, scores in rows.groupby("predictor", sort=False):
        means = {metric: bootstrap.mean(scores[metric].to_numpy(), RESAMPLES, 0) for metric in COLUMNS}
        cells[str(name)] = {
            COLUMNS[metric]: f"{mean.value:.2f} [{mean.lo:.2f}, {mean.hi:.2f}]" for metric, mean in means.items()
        }
    return pd.DataFrame(cells).T
