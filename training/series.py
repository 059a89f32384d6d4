"""What the report's figures are drawn from, as tables that `dvc plots` draws and compares between revisions.

Each is a file of `reports/study/plots/metrics`, DVCLive's place for them; `dvc.yaml` names its axes and its template.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.files import write

BIN = 0.025  # of the histogram of IoU


def build(
    results: pd.DataFrame,
    gaps: pd.DataFrame,
    titles: Mapping[str, str],
    losses: Mapping[str, Mapping[str, pd.Series]],
    precision: pd.DataFrame,
    iou: Mapping[str, np.ndarray],
    out: Path,
) -> None:
    """Write them into `out`: results and differences to `none` with intervals, losses, AP by class, IoU's histogram.

    `titles` of the scores that are shown; `losses` by arm and seed, indexed by step; `precision` [classes, arms];
    `iou` by truth that of each train image.
    """
    tables = {"results": intervals(results, titles), "differences": intervals(gaps, titles)}
    by_step = [((arm, seed), own) for arm, seeds in losses.items() for seed, own in seeds.items()]
    rows = [(*of, step, loss) for of, own in by_step for step, loss in own.items()]
    tables["training"] = pd.DataFrame(rows, columns=["arm", "seed", "step", "loss"])
    named = precision.rename_axis("class").reset_index()
    tables["per_class"] = named.melt("class", var_name="arm", value_name="ap50_voc").dropna()
    edges = np.arange(0, 1 + BIN / 2, BIN)
    counts = {truth: np.histogram(values, edges)[0] for truth, values in iou.items()}
    tables["agreement"] = pd.DataFrame(
        [(truth, edge, n) for truth, own in counts.items() for edge, n in zip(edges[:-1].round(3), own, strict=True)],
        columns=["truth", "IoU", "train images"],
    )
    for name, table in tables.items():
        write(out / f"{name}.csv", table.to_csv(index=False, float_format="%.4f"))


def intervals(table: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """The scores of a table of `training.tables` that have a title, a row an arm and score."""
    known = table[table["metric"].isin(list(titles))].dropna(subset="value")
    return known.assign(score=known["metric"].map(titles))[["arm", "score", "value", "lo", "hi"]]
