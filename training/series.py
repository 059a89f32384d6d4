"""What the report's figures are drawn from, as tables that `dvc plots` draws and compares between revisions.

Each is a file of `reports/study/plots/metrics`, DVCLive's place for them; `dvc.yaml` names its axes and its template.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.files import write
from training.headings import Heading

BIN = 0.025  # of the histogram of IoU


def build(
    results: pd.DataFrame,
    gaps: pd.DataFrame,
    pictured: Mapping[str, Heading],
    losses: Mapping[str, Mapping[str, pd.Series]],
    precision: pd.DataFrame,
    iou: Mapping[str, np.ndarray],
    out: Path,
) -> None:
    """Write them into `out`: results and differences to `none` with intervals, losses, AP by class, IoU's histogram.

    `losses` by arm and seed, indexed by step; `precision` [classes, arms]; `iou` by truth that of each train image.
    """
    tables = {"results": intervals(results, pictured), "differences": intervals(gaps, pictured)}
    by_step = [((arm, seed), own) for arm, seeds in losses.items() for seed, own in seeds.items()]
    rows = [(*of, step, loss) for of, own in by_step for step, loss in own.items()]
    tables["training"] = pd.DataFrame(rows, columns=["arm", "seed", "step", "loss"])
    named = precision.rename_axis("class").reset_index()
    tables["per_class"] = named.melt("class", var_name="arm", value_name="AP@0.5 VOC").dropna()
    edges = np.arange(0, 1 + BIN / 2, BIN)
    counts = {truth: np.histogram(values, edges)[0] for truth, values in iou.items()}
    tables["agreement"] = pd.DataFrame(
        [(truth, edge, n) for truth, own in counts.items() for edge, n in zip(edges[:-1].round(3), own, strict=True)],
        columns=["truth", "IoU", "train images"],
    )
    for name, table in tables.items():
        write(out / f"{name}.csv", table.to_csv(index=False, float_format="%.4f"))


def intervals(table: pd.DataFrame, pictured: Mapping[str, Heading]) -> pd.DataFrame:
    """The pictured scores of a table of `training.tables`, a row an arm and score."""
    known = table[table["metric"].isin(list(pictured))].dropna(subset="value")
    titles = known["metric"].map({name: str(heading) for name, heading in pictured.items()})
    return known.assign(score=titles)[["arm", "score", "value", "lo", "hi"]]
