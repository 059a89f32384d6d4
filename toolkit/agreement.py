"""How a detector's saliency and people's attention compare, beside what chance and trivial maps would score.

Maps are compared on a grid of `SIDE` cells on the longer side: their own cells are far coarser. Fixations are counted
on the same grid. The table has no information gain, for a CAM is no probability model: it has zeros where people look,
and whatever makes a density of it would be judged as much as the CAM.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from toolkit import maps
from toolkit.attention.bottom_up import centre_bias
from toolkit.errors import BadInput, Problem
from toolkit.files import seed_of
from toolkit.metrics import METRICS
from toolkit.voc import Tree
from toolkit.workers import mapped

TRUTHS = {"human": "human attention", "gaze": "the gaze predictor"}  # what is known of where people look
SIDE = 256
NEGATIVES = 10_000  # other images' fixations that the shuffled AUC compares with, at most


@dataclass(frozen=True)
class Fixations:
    """Where people's eyes rested in the images of a table, in shares of each image's width and height."""

    sizes: Mapping[str, tuple[int, int]]  # height, width in pixels, of each image that has fixations
    shares: Mapping[str, np.ndarray]  # [N, 2] x, y in 0..1
    pool: np.ndarray  # [M, 2] at most `NEGATIVES` of all of them, drawn evenly
    owners: np.ndarray  # [M] the image of each

    def others(self, image_id: str) -> np.ndarray:
        """The pool without an image's own fixations."""
        return self.pool[self.owners != image_id]


def compare(heatmap: np.ndarray, truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The scores of a map [H, W] by the metrics that need nothing but `truth`, and of their baselines.

    The truth is a `map`, or counts of `fixations` and of `others`, those of other images; [H, W]. Maps lie on the
    16-bit grid. `centre_*`, `chance_*` and `constant_*` are `metrics.BASELINES`.
    """
    scores: dict[str, dict[str, float]] = {prefix: {} for prefix in ("", "centre_", "chance_", "constant_")}
    for name, metric in METRICS.items():
        if truth.keys() >= set(metric.against):
            seen, sought = metric.form(heatmap), [metric.form(truth[key]) for key in metric.against]
            scores[""][name] = metric.score(seen, *sought)
            scores["centre_"][name] = metric.score(_centre(metric.form, *heatmap.shape), *sought)
            if metric.chance:
                scores["chance_"][name] = metric.chance(seen, *sought)
            if metric.constant:
                scores["constant_"][name] = metric.score(metric.form(np.zeros(heatmap.shape)), *sought)
    return {f"{prefix}{name}": score for prefix, found in scores.items() for name, score in found.items()}


def counts(shares: np.ndarray, height: int, width: int) -> np.ndarray:
    """How many points [N, 2], x, y in 0..1, fall on each cell of a grid; [height, width] int64."""
    cells = np.minimum(shares * [width, height], [width - 1, height - 1]).astype(np.int64)
    return np.bincount(cells[:, 1] * width + cells[:, 0], minlength=height * width).reshape(height, width)


def against(
    heatmap: np.ndarray, attention: Path, image_id: str, fixations: Fixations | None = None
) -> dict[str, float]:
    """A map's scores against what is known of where people look in that image."""
    row: dict[str, float] = {}
    for name in TRUTHS:
        path = attention / name / f"{image_id}.png"
        if path.exists():
            truth = maps.load(path)
            size = grid(*truth.shape)
            row |= _named(name, compare(maps.scale(heatmap, *size), {"map": maps.scale(truth, *size)}))
    if fixations and image_id in fixations.shares:
        size = grid(*fixations.sizes[image_id])
        points = {"fixations": fixations.shares[image_id], "others": fixations.others(image_id)}
        counted = {name: counts(shares, *size) for name, shares in points.items()}
        row |= _named("human", compare(maps.scale(heatmap, *size), counted))
    return row


def grid(height: int, width: int) -> tuple[int, int]:
    """The size at which maps are compared: `SIDE` on the longer side, the truth's proportions."""
    factor = SIDE / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def fixations_of(source: Tree, attention: Path) -> Fixations:
    """Read `fixations/ID.csv` of the source's images: a header `x,y`, then pixels of the image, a fixation a line."""
    sizes, shares, problems = {}, {}, []
    for image_id in source.all_ids():
        path = attention / "fixations" / f"{image_id}.csv"
        if path.exists():
            with Image.open(source.image(image_id)) as image:
                width, height = image.size
            try:
                sizes[image_id], shares[image_id] = (height, width), _points(path, width, height) / [width, height]
            except ValueError as error:
                mend = f"write `x,y`, then a fixation a line, inside the image's {width} x {height} pixels"
                problems.append(Problem(str(path), str(error), mend))
    if problems:
        raise BadInput(problems)
    pool = np.concatenate([np.zeros((0, 2)), *shares.values()])
    owners = np.repeat(np.array(list(shares), object), [len(points) for points in shares.values()])
    random = np.random.default_rng(seed_of("shuffled AUC"))
    drawn = random.choice(len(pool), min(len(pool), NEGATIVES), replace=False)
    return Fixations(sizes, shares, pool[drawn], owners[drawn])


def _points(path: Path, width: int, height: int) -> np.ndarray:
    """The table's numbers, [N, 2]; raises ValueError where they are no fixations in an image of this size."""
    table = pd.read_csv(path)
    if list(table) != ["x", "y"]:
        raise ValueError("has other columns than x, y")
    points = table.to_numpy(np.float64)
    if not ((points >= 0) & (points <= [width, height])).all():
        raise ValueError("has a fixation that is not inside the image")
    return points


def build(source: Tree, saliency: Path, attention: Path) -> pd.DataFrame:
    """The table of agreement: one row an image, sorted by id, with the split that it belongs to."""
    split_of = {image_id: split for split, ids in source.splits().items() for image_id in ids}
    ids = source.all_ids()
    fixations = fixations_of(source, attention)

    def row(image_id: str) -> dict[str, object]:
        return {"id": image_id, **against(maps.load(saliency / f"{image_id}.png"), attention, image_id, fixations)}

    rows = mapped(lambda: row, ids)
    table = pd.DataFrame(tqdm(rows, desc="agreement", total=len(ids), unit="image", mininterval=1))
    table.insert(1, "split", table["id"].map(split_of))
    return table


@lru_cache(64)
def _centre(form: Callable[[np.ndarray], np.ndarray], height: int, width: int) -> np.ndarray:
    """The centre bias in a metric's form: the same for all images of a size."""
    return form(maps.normalise(centre_bias(height, width)))


def _named(truth: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{truth}_{name}": score for name, score in scores.items()}
