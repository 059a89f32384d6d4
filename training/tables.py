"""Scores of all arms as tables: values, paired differences to `none`, and each as a person reads it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import parquet

from toolkit import bootstrap
from toolkit.agreement import TRUTHS
from toolkit.metrics import BASELINES, METRICS
from training.comparison import Score, detectable, holm, interval, loaded, p_value
from training.headings import FAILURES, VERDICTS, glance, headings

REFERENCE = "none"  # the arm that the others are compared with
ROW = ("arm", "metric", "seeds", "value", "sd", "lo", "hi")
PERMUTATIONS = 10_000
FEWEST = 10  # images of a class, for a row of its own
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # of selection, told beside the study's 0.1
WITHOUT_DETECTOR = [*BASELINES, "people"]  # the last rows of agreement


def first_seed(path: Path | BytesIO) -> pd.DataFrame:
    """What each test image scored with the arm's first seed, by its id; not what its baselines scored.

    Not those with the matching cue: no score is a mean over them.
    """
    rows = columns(path, lambda name: not any(f"_{of}_" in name for of in BASELINES))
    return rows[(rows["run"] == 0) & (rows["split"] != "test_matching")].drop(columns="run").set_index("id")


def columns(path: Path | BytesIO, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """Of a table the columns whose names are wanted; the others are not read."""
    return pd.read_parquet(path, columns=[name for name in parquet.read_schema(path).names if wanted(name)])


def stored_scores(path: Path | BytesIO, images: pd.DataFrame) -> dict[str, Score]:
    """An arm's scores; what is no mean over images was measured on all of the test split."""
    table, known = pd.read_parquet(path), images.count()
    whole = int((images["split"] == "test").sum())
    return loaded(table, {name: int(known.get(name.replace(".", "_"), whole)) for name in map(str, table)})


def values(scores: Mapping[str, Mapping[str, Score]]) -> pd.DataFrame:
    """The arms' scores, a row an arm and metric: its value, the standard deviation over seeds, the interval's ends."""
    return pd.DataFrame([_row(arm, name, score) for arm, own in scores.items() for name, score in own.items()])


def differences(
    scores: Mapping[str, Mapping[str, Score]], images: Mapping[str, pd.DataFrame], reference: str = REFERENCE
) -> pd.DataFrame:
    """The other arms' scores less those of `none`, or of another `reference`, in pairs; without that there are none.

    As `values`, and with p by itself, p corrected over the arms, and the smallest difference that would have shown.
    """
    known = scores.get(reference, {})
    rows = []
    for arm, metric in product(scores, known):
        if arm != reference:
            gap = scores[arm][metric] - known[metric]
            single = gap.values.size == 1
            p = _by_flips(images[arm], images[reference], metric.replace(".", "_")) if single else p_value(gap)
            rows.append(_row(arm, metric, gap) | {"p": p, "detectable": detectable(gap)})
    gaps = pd.DataFrame(rows, columns=[*ROW, "p", "detectable"])
    return gaps.assign(p_holm=gaps.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy(np.float64))))


def _row(arm: str, metric: str, score: Score) -> dict[str, object]:
    lo, hi = interval(score)
    return dict(zip(ROW, (arm, metric, score.values.size, score.value, score.spread, lo, hi), strict=True))


def _by_flips(arm: pd.DataFrame, reference: pd.DataFrame, column: str) -> float:
    """How often chance alone would part two arms so far, image by image; NaN for what is no mean over images (mAP)."""
    if column not in arm or column not in reference:
        return float("nan")
    both = pd.concat([arm[column], reference[column]], axis=1, join="inner").to_numpy(np.float64)
    return bootstrap.permutation_test(both[:, 0], both[:, 1], PERMUTATIONS, 0)


def in_group(group: str) -> list[str]:
    """The metrics of a group that are shown, in their order."""
    return [name for name in headings() if name.startswith(f"{group}.")]


def wide(table: pd.DataFrame, shown: Sequence[str], sign: str = "") -> pd.DataFrame:
    """A row an arm, a column a metric of these, in each cell the value and what is known of it, as text."""
    known = table[table["metric"].isin(shown)].dropna(subset="value")
    cells = known.assign(cell=[_cell(row, sign) for row in known.to_dict("records")])
    names = [name for name in shown if name in set(known["metric"])]
    return cells.pivot(index="arm", columns="metric", values="cell").reindex(known["arm"].unique())[names]


def _cell(row: Mapping[Hashable, Any], sign: str) -> str:
    """`0.905 ± 0.004 [0.860, 0.942]`; the spread where there are several seeds, p where there is one."""
    value, lo, hi = (f"{row[name]:{sign}.3f}" for name in ("value", "lo", "hi"))
    spread = f" ± {row['sd']:.3f}" if row["seeds"] > 1 else ""
    return f"{value}{spread} [{lo}, {hi}]{_shown(row.get('p_holm', np.nan))}"


def _shown(p: float) -> str:
    """A p-value as papers write it; nothing where there is none."""
    if np.isnan(p):
        return ""
    return f" p={p:.3f}" if p >= 0.001 else " p<0.001"


def at_a_glance(results: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """A row an arm, a column a score of `headings.glance`: `none` as it is, of all others their difference to it."""
    shown = glance(set(results["metric"]))
    own, others = wide(results, shown), wide(gaps, shown, "+")
    return pd.concat([own.loc[[REFERENCE]], others, smallest(gaps, list(others.columns))]).fillna("")


def smallest(gaps: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The row under a table of differences: from which size one would have shown in every row of its column."""
    widest = gaps.groupby("metric")["detectable"].max()
    cells = {metric: "" if np.isnan(widest[metric]) else f"{widest[metric]:.3f}" for metric in metrics}
    return pd.DataFrame(cells, index=["smallest to show"])


def by_part(images: pd.DataFrame, metrics: Sequence[str], resamples: int, seed: int) -> pd.DataFrame:
    """A row a part of the test images, how many it has, and the mean of each metric over them with its interval.

    `images` has a row an image, as `training.score` makes them; a metric is `truth.name`. Classes with fewer than
    `FEWEST` images have no row.
    """
    counted = images["main"].value_counts()
    parts = {"all": pd.Series(True, images.index)}
    parts |= {verdict: images["verdict"] == verdict for verdict in VERDICTS}
    parts |= {str(name): images["main"] == name for name, count in counted.items() if count >= FEWEST}
    rows: dict[str, dict[str, object]] = {}
    for part, chosen in parts.items():
        rows[part] = {"images": int(chosen.sum())}
        for metric in metrics:
            known = bootstrap.mean(images.loc[chosen, metric.replace(".", "_")].to_numpy(np.float64), resamples, seed)
            whole: dict[Hashable, float] = {"value": known.value, "lo": known.lo, "hi": known.hi, "seeds": 1}
            rows[part][metric] = "" if np.isnan(known.value) else _cell(whole, "")
    return pd.DataFrame(rows).T


def ceiling(agreement: pd.DataFrame) -> pd.DataFrame:
    """What people score against one another on the test images, as rows of `known` in `baseline_rows`."""
    test = agreement[agreement["split"] == "test"]
    names = [name for name in METRICS if f"people_{name}" in test]
    rows = [(f"human.{name}", "people", test[f"people_{name}"].mean()) for name in names]
    return pd.DataFrame(rows, columns=["metric", "of", "value"])


def by_threshold(agreement: pd.DataFrame) -> pd.DataFrame:
    """A row a truth, a column a threshold: how many train images each would select."""
    train = agreement[agreement["split"] == "train"]
    rows = {}
    for truth in TRUTHS:
        if f"{truth}_iou" in train:
            below = {f"< {t:g}": train[f"{truth}_iou"] < t for t in THRESHOLDS}
            rows[f"against {truth}"] = {name: f"{own.sum()} ({own.mean():.0%})" for name, own in below.items()}
    return pd.DataFrame(rows).T


def baseline_rows(known: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """What takes no detector on the test images, a row each, a column a metric; `known`: metric, of, value."""
    rows = known[known["of"].isin(WITHOUT_DETECTOR) & known["metric"].isin(metrics)].dropna(subset="value")
    cells = rows.assign(cell=rows["value"].map("{:.3f}".format))
    wanted = [name for name in WITHOUT_DETECTOR if name in set(rows["of"])]
    return cells.pivot(index="of", columns="metric", values="cell").reindex(index=wanted, columns=list(metrics))


def by_failure(failures: Mapping[str, pd.DataFrame], images: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row an arm, a column a kind of `headings.FAILURES`: how many there are in the test images, means over seeds.

    Both are by arm what `training.score` wrote: `failures.parquet` and `images.parquet`, whole. Where maps were made, a
    cell tells how many lie in images in which the arm looked away from the objects (not `pointed`: see
    `toolkit.boxes.looked_into`): `12 (7 looked away)`. An arm that looks away often has many of these for that alone:
    so the last columns have how many failures there are in an image where it looked at an object and in one where it
    looked away, and the share of images in which it did.
    """
    return pd.DataFrame({arm: _failed(own, images[arm]) for arm, own in failures.items()}).T


def _failed(failures: pd.DataFrame, images: pd.DataFrame) -> dict[str, str]:
    """An arm's row of `by_failure`."""
    test = images[images["split"] == "test"]
    seeds = test["run"].nunique()
    whole = {kind: failures["kind"] == kind for kind in FAILURES} | {"all": pd.Series(True, failures.index)}
    if "pointed" not in test:
        return {kind: _count(own.sum() / seeds) for kind, own in whole.items()}
    looked = test.set_index(["id", "run"])["pointed"].astype(bool)
    away = ~looked.loc[list(zip(failures["id"], failures["run"], strict=True))].to_numpy(bool)
    cells = {}
    for kind, own in whole.items():
        apart = f" ({_count((own & away).sum() / seeds)} looked away)" if own.any() else ""
        cells[kind] = _count(own.sum() / seeds) + apart
    for told, count, among in (
        ("looked at", (~away).sum(), looked.sum()),
        ("looked away", away.sum(), (~looked).sum()),
    ):
        cells[f"an image, {told}"] = f"{count / among:.2f}" if among else ""
    return cells | {"images looked away": f"{(~looked).mean():.0%}"}


def _count(mean: float) -> str:
    """A mean over seeds: `12`, or `12.3` where it is no whole number."""
    return f"{mean:.0f}" if mean == round(mean) else f"{mean:.1f}"
