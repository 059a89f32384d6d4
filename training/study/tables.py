"""The comparison as tables: each detector's agreement with people beside chance, trivial maps and people themselves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit import bootstrap
from toolkit.bootstrap import Estimate
from toolkit.metrics import METRICS
from toolkit.params import Score
from toolkit.saliency import CONFIDENT
from toolkit.voc import Tree
from training.average_precision import evaluate
from training.detections import by_image
from training.score import truth_of
from training.study.published import PUBLISHED

UNTRAINED = "random weights"  # what is said of them wherever they are named
TRIVIAL = {"centre": "the centre bias in the map's place", "constant": "an empty map"}
BY_CHANCE = ("mae", "iou")  # the metrics whose chance hangs on the map


@dataclass(frozen=True)
class Look:
    """What one detector came to on one data set, as `looks.build` wrote it."""

    name: str
    about: dict[str, Any]
    agreement: pd.DataFrame
    detections: pd.DataFrame

    @property
    def trained(self) -> bool:
        """Whether the heads have learned anything."""
        return self.about["detector"]["weights"] in ("checkpoint", "coco")

    @property
    def label(self) -> str:
        return self.name if self.trained else f"{self.name} ({UNTRAINED})"


def read(folder: Path) -> Look:
    """A look from its folder, whose name is the row's in params."""
    return Look(
        folder.name,
        json.loads((folder / "about.json").read_text()),
        pd.read_parquet(folder / "agreement.parquet"),
        pd.read_parquet(folder / "detections.parquet"),
    )


def agreement(looks: Sequence[Look], truth: str, resampling: Score, part: str = "") -> pd.DataFrame:
    """A row a detector, method and metric: how its maps agree with a truth, over the images that have one.

    `value`, `lo` and `hi` over `images`; what the map's own values would score at random places (`chance`), where that
    varies, and the centre bias in its place. `part` is "" for whole images, `box_` for the box that people looked at.
    """
    rows = []
    for look in looks:
        for method, own in look.agreement.groupby("method", sort=False):
            for metric in METRICS:
                column = f"{part}{truth}_{metric}"
                if column in own and own[column].notna().any():
                    known = estimate(own[column], resampling)
                    without = [f"{part}{truth}_{of}_{metric}" for of in ("chance", "centre")]
                    trivial = [own[name].mean() if name in own else np.nan for name in without]
                    counts = int(own[column].count()), int(own["empty"].sum())
                    rows.append((look.label, method, metric, *counts, known.value, known.lo, known.hi, *trivial))
    columns = ["detector", "method", "metric", "images", "empty", "value", "lo", "hi", "chance", "centre"]
    return pd.DataFrame(rows, columns=columns)


def estimate(values: pd.Series, resampling: Score) -> Estimate:
    """The mean over images, NaNs left out, and its interval."""
    return bootstrap.mean(values.to_numpy(np.float64), resampling.resamples, resampling.seed)


def shown(
    table: pd.DataFrame, looks: Sequence[Look], truth: str, part: str = "", of: str | None = None
) -> pd.DataFrame:
    """`agreement` as a person reads it: a row a detector and method, a column a metric, below them what takes none.

    With the data set `of` which the study's tables are, its published figures stand beside ours.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        cells = rows.setdefault((row["detector"], row["method"]), {"images": _counted(row["images"], row["empty"])})
        cells[f"{truth}.{row['metric']}"] = Estimate(row["value"], row["lo"], row["hi"]).told()
        if row["metric"] in BY_CHANCE:
            cells[f"{METRICS[row['metric']].heading} by chance"] = f"{row['chance']:.3f}"
            if part:
                cells[f"{METRICS[row['metric']].heading} of the box's middle"] = f"{row['centre']:.3f}"
    labels = {look.label: look.name for look in looks}
    for (detector, method), cells in rows.items():
        figures = PUBLISHED.get((of or "", truth), {}).get(labels[detector])
        if figures and method == "eigencam":
            cells |= {"MAE, published": f"{figures[0]:.4f}", "IoU, published": f"{figures[1]:.4f}"}
    whole = pd.DataFrame([{"detector": d, "method": m, **cells} for (d, m), cells in rows.items()])
    below = pd.DataFrame([] if part else _without(looks[0].agreement, truth))  # each detector has boxes of its own
    return pd.concat([whole, below], ignore_index=True).fillna("").set_index("detector")


def _counted(images: int, empty: int) -> str:
    """How many images, and in how many the map is empty, which by itself has a good MAE where people look at little."""
    return f"{images}, {empty} maps empty" if empty else str(images)


def _without(first: pd.DataFrame, truth: str) -> list[dict[str, str]]:
    """The rows that take no detector: trivial maps, and one person against the others where people are known apart."""
    own = first[first["method"] == first["method"].iloc[0]]
    rows = []
    for of in TRIVIAL:
        known = {m: f"{truth}_{of}_{m}" for m in METRICS}
        cells = {f"{truth}.{m}": f"{own[column].mean():.3f}" for m, column in known.items() if column in own}
        rows.append({"detector": of, **cells})
    people = {m: f"people_{m}" for m in METRICS if f"people_{m}" in own and truth == "human"}
    if people:
        rows.append({"detector": "people", **{f"human.{m}": f"{own[c].mean():.3f}" for m, c in people.items()}})
    return rows


def detections(looks: Sequence[Look], source: Tree, classes: Sequence[str], resampling: Score) -> pd.DataFrame:
    """A row a detector: what it finds, and how often each method's map is higher on objects than off them.

    mAP is over all classes that have an object, by COCO's protocol at IoU 0.5.
    """
    ids = sorted(looks[0].agreement["id"].unique())
    truths = [truth_of(source, image_id, classes) for image_id in ids]
    annotated = any(len(truth.boxes) for truth in truths)
    rows = []
    for look in looks:
        found = by_image(look.detections, ids, classes)
        sure = np.mean([(own.scores >= CONFIDENT).sum() for own in found])
        row = {"detector": look.label, f"boxes of score {CONFIDENT} or more, an image": f"{sure:.1f} boxes"}
        if annotated:
            scored = evaluate(truths, found, classes, resampling.resamples, resampling.seed)
            row["mAP@0.5 ↑"] = scored.map50.told()
            for method, own in look.agreement.groupby("method", sort=False):
                row[f"{method}: higher on objects, of the images ↑"] = estimate(own["on_objects"], resampling).told()
        rows.append(row)
    return pd.DataFrame(rows).set_index("detector")
