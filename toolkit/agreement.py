"""How a detector's saliency and people's attention compare, beside what chance and trivial maps would score.

Every function takes the map to be judged first and the truth, people's attention, second: [H, W] in 0..1, of one size.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from toolkit import maps
from toolkit.attention.bottom_up import centre_bias
from toolkit.voc import Tree
from toolkit.workers import mapped

TOP = 0.10  # the share of pixels that the study's IoU compares
METRICS = ("mae", "iou", "cc")
BASELINES = ("chance_mae", "chance_iou", "centre_mae", "centre_iou", "centre_cc", "constant_mae")
SIDE = 256  # maps are compared on a grid of this longer side: their own cells are far coarser


def mae(map: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error, 0 (equal) to 1. A nearly empty map scores well against a sparse truth: see `compare`."""
    return float(np.abs(map - truth, dtype=np.float64).mean())


def iou(map: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of the two top 10 %, 0 to 1; 0 where either map is constant and so has no top."""
    a, b = maps.top(map, TOP), maps.top(truth, TOP)
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def cc(map: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's correlation, -1 to 1; 0 where either map is constant."""
    a, b = (m.astype(np.float64) - m.mean(dtype=np.float64) for m in (map, truth))
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def chance_mae(map: np.ndarray, truth: np.ndarray) -> float:
    """The MAE expected of the map's own values at random places: the mean |a - b| over all pairs of pixels.

    Exact, by sorting: sum over the truth's values of |a_i - b|, from cumulative sums of the sorted map.
    """
    a = np.sort(map.ravel().astype(np.float64))
    b = truth.ravel().astype(np.float64)
    below = np.searchsorted(a, b)
    sums = np.concatenate([[0.0], np.cumsum(a)])
    total = (b * below - sums[below]) + (sums[-1] - sums[below] - b * (a.size - below))
    return float(total.mean() / a.size)


def chance_iou(map: np.ndarray, truth: np.ndarray) -> float:
    """The IoU expected of two independent tops of these sizes, to first order: 0.053 for two of 10 %."""
    a, b = (float(maps.top(m, TOP).mean()) for m in (map, truth))
    return a * b / (a + b - a * b) if a + b else 0.0


def compare(map: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Every score of the map, and of the baselines that it has to beat, against one truth.

    `centre_*` judges the centre bias in the map's place, `constant_mae` an empty map (its IoU and CC are 0), `chance_*`
    the map's values at random places (its CC is 0).
    """
    middle = maps.normalise(centre_bias(*truth.shape))
    return {
        "mae": mae(map, truth),
        "iou": iou(map, truth),
        "cc": cc(map, truth),
        "chance_mae": chance_mae(map, truth),
        "chance_iou": chance_iou(map, truth),
        "centre_mae": mae(middle, truth),
        "centre_iou": iou(middle, truth),
        "centre_cc": cc(middle, truth),
        "constant_mae": float(truth.mean(dtype=np.float64)),
    }


def against(map: np.ndarray, attention: Path, id: str) -> dict[str, object]:
    """A map's scores against what is known of where people look in that image."""
    row: dict[str, object] = {}
    for kind in ("human", "gaze"):
        path = attention / kind / f"{id}.png"
        if path.exists():
            truth = maps.load(path)
            size = grid(*truth.shape)
            scores = compare(maps.scale(map, *size), maps.scale(truth, *size))
            row |= {f"{kind}_{name}": value for name, value in scores.items()}
    return row


def grid(height: int, width: int) -> tuple[int, int]:
    """The size at which maps are compared: `SIDE` on the longer side, the truth's proportions."""
    factor = SIDE / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def build(source: Tree, saliency: Path, attention: Path) -> pd.DataFrame:
    """The table of agreement: one row an image, sorted by id, with the split that it belongs to."""
    split_of = {id: split for split, ids in source.splits().items() for id in ids}
    ids = source.all_ids()
    rows = mapped(lambda: lambda id: {"id": id} | against(maps.load(saliency / f"{id}.png"), attention, id), ids)
    table = pd.DataFrame(tqdm(rows, desc="agreement", total=len(ids), unit="image", mininterval=1))
    table.insert(1, "split", table["id"].map(split_of))
    return table
