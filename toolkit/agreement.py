"""How a detector's saliency and people's attention compare, beside what chance and trivial maps would score.

Maps are compared on a grid of `SIDE` cells on the longer side: their own cells are far coarser. Fixations are counted
on the same grid. The table has no information gain, for a CAM is no probability model: it has zeros where people look,
and whatever makes a density of it would be judged as much as the CAM.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from toolkit import maps
from toolkit.attention.bottom_up import centre_bias
from toolkit.attention.recordings.viewing import density
from toolkit.errors import BadInput, Problem
from toolkit.files import seed_of
from toolkit.metrics import METRICS, Metric
from toolkit.shards import exists, read
from toolkit.spread import CHUNK, Spread, Work, here
from toolkit.voc import Tree
from toolkit.workers import mapped

TRUTHS = {"human": "human attention", "gaze": "the gaze predictor"}  # what is known of where people look
SIDE = 256
COLUMNS = (["x", "y"], ["x", "y", "observer", "degree"])  # of a table of fixations
NEGATIVES = 10_000  # other images' fixations that the shuffled AUC compares with, at most


@dataclass(frozen=True)
class Fixations:
    """Where people's eyes rested in the images of a table, in shares of each image's width and height."""

    sizes: Mapping[str, tuple[int, int]]  # height, width in pixels, of each image that has fixations
    shares: Mapping[str, np.ndarray]  # [N, 2] x, y in 0..1
    observers: Mapping[str, np.ndarray]  # [N] int, whose each is, of each image where that is known
    degrees: Mapping[str, float]  # of visual angle, in pixels of the image, of the same images
    pool: np.ndarray  # [M, 2] at most `NEGATIVES` of all of them, drawn evenly
    owners: np.ndarray  # [M] the image of each

    def others(self, image_id: str) -> np.ndarray:
        """The pool without an image's own fixations."""
        return self.pool[self.owners != image_id]


def compare(heatmap: np.ndarray, truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The scores of a map [H, W] by the metrics that need nothing but `truth`, and of their baselines.

    The truth is a `map`, or counts of `fixations` and of `others`, those of other images; [H, W]. Maps lie on the
    16-bit grid. `centre_*`, `chance_*` and `constant_*` are of `metrics.BASELINES`.
    """
    empty = np.zeros(heatmap.shape)
    found = scored(heatmap, truth) | _named("centre", scored(_centre(*heatmap.shape), truth))
    for name, metric in _asked(truth).items():
        if metric.chance:
            found[f"chance_{name}"] = metric.chance(*_formed(metric, heatmap, truth))
        if metric.constant:
            found[f"constant_{name}"] = metric.score(*_formed(metric, empty, truth))
    return found


def scored(heatmap: np.ndarray, truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The scores of a map alone, as `compare` takes it."""
    return {name: metric.score(*_formed(metric, heatmap, truth)) for name, metric in _asked(truth).items()}


def _asked(truth: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    return {name: metric for name, metric in METRICS.items() if truth.keys() >= set(metric.against)}


def _formed(metric: Metric, heatmap: np.ndarray, truth: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [metric.form(given) for given in (heatmap, *(truth[name] for name in metric.against))]


def counts(shares: np.ndarray, height: int, width: int) -> np.ndarray:
    """How many points [N, 2], x, y in 0..1, fall on each cell of a grid; [height, width] int64."""
    cells = np.minimum(shares * [width, height], [width - 1, height - 1]).astype(np.int64)
    return np.bincount(cells[:, 1] * width + cells[:, 0], minlength=height * width).reshape(height, width)


def against(
    heatmap: np.ndarray, attention: Path, image_id: str, fixations: Fixations | None = None
) -> dict[str, float]:
    """A map's scores against what is known of where people look in that image."""
    row: dict[str, float] = {}
    for name, size, truth in truths(attention, image_id, fixations):
        row |= _named(name, compare(maps.scale(heatmap, *size), truth))
    return row


def truths(
    attention: Path, image_id: str, fixations: Fixations | None = None
) -> Iterator[tuple[str, tuple[int, int], dict[str, np.ndarray]]]:
    """What is known of where people look in that image: its name in `TRUTHS`, its `grid`, and as `compare` takes it."""
    for name in TRUTHS:
        path = attention / name / f"{image_id}.png"
        if exists(path):
            truth = maps.load(path)
            size = grid(*truth.shape)
            yield name, size, {"map": maps.scale(truth, *size)}
    if fixations and image_id in fixations.shares:
        size = grid(*fixations.sizes[image_id])
        points = {"fixations": fixations.shares[image_id], "others": fixations.others(image_id)}
        yield "human", size, {of: counts(shares, *size) for of, shares in points.items()}


def people(image_id: str, fixations: Fixations) -> dict[str, float]:
    """How well one person foretells the others: a ceiling, as a detector cannot agree with people who do not.

    Each person's fixations, blurred by one degree, are the map, all others' the truth; the mean over persons. One
    person's map is noisier than that of many, so that one who looked like all of them could score higher. Empty where
    fewer than two persons fixated the image, or whose a fixation is is not known.
    """
    whose = fixations.observers.get(image_id, np.zeros(0))
    persons = np.unique(whose)
    if len(persons) < 2:
        return {}
    height, width = grid(*fixations.sizes[image_id])
    sigma = fixations.degrees[image_id] * max(height, width) / max(fixations.sizes[image_id])
    others = counts(fixations.others(image_id), height, width)
    scores = []
    for person in persons:
        own, rest = (
            counts(fixations.shares[image_id][chosen], height, width) for chosen in (whose == person, whose != person)
        )
        truth = {"map": maps.normalise(density(rest, sigma)), "fixations": rest, "others": others}
        scores.append(scored(maps.normalise(density(own, sigma)), truth))
    return {name: float(np.mean([own[name] for own in scores])) for name in scores[0]}


def grid(height: int, width: int) -> tuple[int, int]:
    """The size at which maps are compared: `SIDE` on the longer side, the truth's proportions."""
    factor = SIDE / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def fixations_of(source: Tree, attention: Path) -> Fixations:
    """Read `fixations/ID.csv` of the source's images: a header `x,y`, then pixels of the image, a fixation a line.

    Two more columns may say whose each is (`observer`, a number) and how many pixels are a `degree`.
    """
    sizes, shares, observers, degrees, problems = {}, {}, {}, {}, []
    for image_id in source.all_ids():
        path = attention / "fixations" / f"{image_id}.csv"
        if exists(path):
            with Image.open(source.image(image_id)) as image:
                width, height = image.size
            try:
                table = _table(path, width, height)
            except ValueError as error:
                mend = f"write `x,y`, then a fixation a line, inside the image's {width} x {height} pixels"
                problems.append(Problem(str(path), str(error), mend))
                continue
            sizes[image_id], shares[image_id] = (
                (height, width),
                table[["x", "y"]].to_numpy(np.float64) / (width, height),
            )
            if "observer" in table and len(table):
                observers[image_id] = table["observer"].to_numpy(copy=True)  # the table itself weighs kilobytes
                degrees[image_id] = float(table["degree"].iloc[0])
    if problems:
        raise BadInput(problems)
    pool = np.concatenate([np.zeros((0, 2)), *shares.values()])
    owners = np.repeat(np.array(list(shares), object), [len(points) for points in shares.values()])
    random = np.random.default_rng(seed_of("shuffled AUC"))
    drawn = random.choice(len(pool), min(len(pool), NEGATIVES), replace=False)
    return Fixations(sizes, shares, observers, degrees, pool[drawn], owners[drawn])


def _table(path: Path, width: int, height: int) -> pd.DataFrame:
    """The table; raises ValueError where it has no fixations in an image of this size."""
    table = pd.read_csv(BytesIO(read(path)))
    if list(table) not in COLUMNS:
        raise ValueError("has other columns than " + ", or ".join(map(", ".join, COLUMNS)))
    if not np.isfinite(table.to_numpy(np.float64)).all():
        raise ValueError("has a value that is no number")
    if not ((table[["x", "y"]] >= 0) & (table[["x", "y"]] <= [width, height])).all(axis=None):
        raise ValueError("has a fixation that is not inside the image")
    if "degree" in table and not (table["degree"] > 0).all():
        raise ValueError("has a degree of no pixels")
    return table


def build(source: Tree, saliency: Path, attention: Path, spread: Spread = here) -> pd.DataFrame:
    """The table of agreement: one row an image, sorted by id, with the split that it belongs to.

    `people_*` is what people score against one another (see `people`), whatever the detector.
    """
    split_of = {image_id: split for split, ids in source.splits().items() for image_id in ids}
    fixations = fixations_of(source, attention)
    rows = spread(lambda: _comparing(saliency, attention, fixations), source.all_ids(), "agreement")
    table = table_of({"id": image_id, **row} for image_id, row in rows)
    table.insert(1, "split", table["id"].map(split_of))
    return table


def table_of(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """The rows as one table, made a chunk at a time: a row by itself weighs far more than one of a table."""
    left, parts = iter(rows), []
    while chunk := list(islice(left, CHUNK)):
        parts.append(pd.DataFrame(chunk))
    return pd.concat(parts, ignore_index=True)


def _comparing(saliency: Path, attention: Path, fixations: Fixations) -> Work[dict[str, float]]:
    """The work of a process: each image's scores."""

    def row(image_id: str) -> tuple[str, dict[str, float]]:
        own = against(maps.load(saliency / f"{image_id}.png"), attention, image_id, fixations)
        return image_id, own | _named("people", people(image_id, fixations))

    return lambda ids: mapped(lambda: row, ids)


@lru_cache(64)
def _centre(height: int, width: int) -> np.ndarray:
    """The centre bias: the same for all images of a size."""
    return maps.normalise(centre_bias(height, width))


def _named(truth: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{truth}_{name}": score for name, score in scores.items()}
