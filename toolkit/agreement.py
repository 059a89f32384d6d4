"""How a detector's saliency and people's attention compare, beside what chance and trivial maps would score.

Maps are compared on a grid of `SIDE` cells on the longer side: their own cells are far coarser. Fixations are counted
on the same grid. The table has no information gain, for a CAM is no probability model: it has zeros where people look,
and whatever makes a density of it would be judged as much as the CAM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from toolkit import maps, metrics
from toolkit.attention.bottom_up import centre_bias
from toolkit.errors import BadInput, Problem
from toolkit.files import seed_of
from toolkit.voc import Tree
from toolkit.workers import mapped

AGAINST_MAPS = ("mae", "iou", "cc", "sim", "kl")
AGAINST_FIXATIONS = ("nss", "auc", "sauc")
METRICS = AGAINST_MAPS + AGAINST_FIXATIONS
BASELINES = (
    *("chance_mae", "chance_iou"),
    *(f"centre_{name}" for name in METRICS),
    *("constant_mae", "constant_sim", "constant_kl"),
)
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


def compare(heatmap: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Every score of the map, and of the baselines that it has to beat, against one truth; [H, W] on the 16-bit grid.

    `centre_*` judges the centre bias in the map's place, `constant_*` an empty map, which is a uniform density (its IoU
    and CC are 0), `chance_*` the map's values at random places (its CC is 0).
    """
    middle, middle_top = _centre(*truth.shape)
    seen, sought = _batch(heatmap), _batch(truth)
    judged, nothing = torch.cat([seen, middle]), torch.zeros_like(seen)
    top, sought_top = metrics.top(seen, metrics.TOP), metrics.top(sought, metrics.TOP)
    return _named(
        mae=metrics.mae(judged, sought),
        iou=metrics.overlap(torch.cat([top, middle_top]), sought_top),
        cc=metrics.cc(judged, sought),
        sim=metrics.sim(judged, sought),
        kl=metrics.kl(judged, sought),
    ) | {
        "chance_mae": float(metrics.chance_mae(seen, sought)),
        "chance_iou": float(metrics.chance_overlap(top, sought_top)),
        "constant_mae": float(metrics.mae(nothing, sought)),
        "constant_sim": float(metrics.sim(nothing, sought)),
        "constant_kl": float(metrics.kl(nothing, sought)),
    }


def compare_fixations(heatmap: np.ndarray, fixations: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The scores at fixations of the map and of the centre bias; by chance 0 (NSS) and 0.5 (AUCs).

    The map is [H, W], fixations [N, 2] and those of other images [M, 2] are shares of the width and height.
    """
    size = heatmap.shape
    judged = torch.cat([_batch(heatmap), _centre(*size)[0]])
    here, elsewhere = (_batch(counts(points, *size)) for points in (fixations, others))
    return _named(
        nss=metrics.nss(judged, here),
        auc=metrics.auc_judd(judged, here),
        sauc=metrics.shuffled_auc(judged, here, elsewhere),
    )


def counts(shares: np.ndarray, height: int, width: int) -> np.ndarray:
    """How many points [N, 2], x, y in 0..1, fall on each cell of a grid; [height, width] int64."""
    cells = np.minimum(shares * [width, height], [width - 1, height - 1]).astype(np.int64)
    return np.bincount(cells[:, 1] * width + cells[:, 0], minlength=height * width).reshape(height, width)


def against(
    heatmap: np.ndarray, attention: Path, image_id: str, fixations: Fixations | None = None
) -> dict[str, object]:
    """A map's scores against what is known of where people look in that image."""
    row: dict[str, object] = {}
    for kind in ("human", "gaze"):
        path = attention / kind / f"{image_id}.png"
        if path.exists():
            truth = maps.load(path)
            size = grid(*truth.shape)
            scores = compare(maps.scale(heatmap, *size), maps.scale(truth, *size))
            row |= {f"{kind}_{name}": value for name, value in scores.items()}
    if fixations and image_id in fixations.shares:
        seen = maps.scale(heatmap, *grid(*fixations.sizes[image_id]))
        scores = compare_fixations(seen, fixations.shares[image_id], fixations.others(image_id))
        row |= {f"human_{name}": value for name, value in scores.items()}
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
        return {"id": image_id} | against(maps.load(saliency / f"{image_id}.png"), attention, image_id, fixations)

    rows = mapped(lambda: row, ids)
    table = pd.DataFrame(tqdm(rows, desc="agreement", total=len(ids), unit="image", mininterval=1))
    table.insert(1, "split", table["id"].map(split_of))
    return table


@lru_cache(64)
def _centre(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The centre bias and its top, [1, H, W]: one for all images of a size."""
    middle = _batch(maps.normalise(centre_bias(height, width)))
    return middle, metrics.top(middle, metrics.TOP)


def _batch(heatmap: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(heatmap))[None]


def _named(**scores: Tensor) -> dict[str, float]:
    """Scores of the map and of the centre bias [2] by their names."""
    both = {name: score.tolist() for name, score in scores.items()}
    return {name: one for name, (one, _) in both.items()} | {f"centre_{name}": one for name, (_, one) in both.items()}
