"""The study's tables and pictures: every arm beside the others, with intervals, baselines and paired differences."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment

from toolkit.bootstrap import interval, permutation_test
from toolkit.files import write
from toolkit.params import Params
from toolkit.voc import Tree
from training import pictures

REFERENCE = "none"  # the arm that the others are compared with
HEADINGS = {
    "detection.map50": "mAP@0.5",
    "detection.map": "mAP@[.5:.95]",
    "detection.map50_voc": "mAP@0.5 VOC",
    "human.mae": "MAE human",
    "human.iou": "IoU human",
    "human.cc": "CC human",
    "human.sim": "SIM human",
    "human.kl": "KL human",
    "human.nss": "NSS human",
    "human.auc": "AUC human",
    "human.sauc": "sAUC human",
    "gaze.mae": "MAE gaze",
    "gaze.iou": "IoU gaze",
    "gaze.cc": "CC gaze",
    "gaze.sim": "SIM gaze",
    "gaze.kl": "KL gaze",
    "cue.map50_matching": "mAP@0.5 matching cue",
    "cue.map50_random": "mAP@0.5 random cue",
    "cue.reliance": "cue reliance",
    "cue.looked_at": "saliency on cue",
}
GROUPS = {
    "detection": "Detection, on the untouched test split",
    "human": "Agreement of saliency with human attention",
    "gaze": "Agreement of saliency with the gaze predictor",
    "cue": "Reliance on the cue",
}
PLOTTED = ("detection.map50", "human.iou", "gaze.iou", "cue.reliance")
SHOWN = 6  # images in a contact sheet
PERMUTATIONS = 10_000
NOTE = (
    "Brackets are 95 % bootstrap intervals over test images; they do not cover the choice of the training seed. p is "
    "that of a paired permutation test over the test images, each metric by itself. "
    "`base` is the detector before fine-tuning, `random` erases as much elsewhere. The last rows of agreement take "
    "no detector: the same values at random places (chance), the centre bias, and an empty map (constant). Cue "
    "reliance is mAP@0.5 with the matching cue less mAP@0.5 with a random one; saliency on cue is the share of the "
    "most salient 2.5 % of the pixels that lie on a random cue."
)
PICTURES = {
    "results.png": "Scores and their intervals",
    "agreement_least.png": "The train images on which saliency and attention agree least",
    "agreement_most.png": "Those on which they agree most",
    "per_class.png": "Average precision by class",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>salvoc: results</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; white-space: nowrap }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left } img { max-width: 100% }
</style></head><body><h1>Results</h1><p>{{ selection }}</p><p>{{ note }}</p>
{% for title, table in tables.items() %}<h2>{{ title }}</h2>{{ table | safe }}{% endfor %}
{% for file, title in pictures.items() %}<h2>{{ title }}</h2><img src="{{ file }}" alt="{{ title }}">{% endfor %}
</body></html>
"""


def build(datasets: Path, reports: Path, params: Params, out: Path) -> str:
    """Write tables and pictures into `out`; returns the tables as Markdown."""
    arms = ["base", *params.variants]
    results = table(reports, arms)
    results.to_csv(out / "results.csv", index=False, float_format="%.4f")
    pictures.intervals(results, [m for m in PLOTTED if m in set(results["metric"])], out / "results.png")
    per_class = {arm: pd.read_csv(reports / "arms" / arm / "per_class.csv", index_col=0)["ap50_voc"] for arm in arms}
    pictures.bars(pd.DataFrame(per_class), out / "per_class.png")
    overlays(datasets, params.variants, out)
    tables = {}
    for group, title in GROUPS.items():
        scores = wide(results, "value", group)
        if not scores.empty:
            tables[title] = pd.concat([scores, baseline_rows(reports, list(scores.columns))]).fillna("")
    for group, title in GROUPS.items():
        gaps = wide(results, "difference", group)
        if not gaps.empty:
            tables[f"{title}: difference to `{REFERENCE}`, in pairs over the same images"] = gaps
    tables["What each variant changed"] = changes(datasets, params.variants)
    text = markdown(tables, selection_line(datasets, params))
    write(out / "results.md", text)
    write(out / "report.html", html(tables, selection_line(datasets, params)))
    return text


def table(reports: Path, arms: Sequence[str]) -> pd.DataFrame:
    """Long form: arm, metric, value, lo, hi, and the paired difference to `none` with its interval."""
    samples = {arm: pd.read_parquet(reports / "arms" / arm / "resamples.parquet") for arm in arms}
    images = {arm: _by_image(reports / "arms" / arm / "images.parquet") for arm in arms}
    values = {arm: json.loads((reports / "metrics" / f"{arm}.json").read_text()) for arm in arms}
    rows = []
    for arm in arms:
        for metric in samples[arm].columns:
            group, name = metric.split(".")
            row = {"arm": arm, "metric": metric, "value": values[arm][group][name]}
            row["lo"], row["hi"] = interval(samples[arm][metric].to_numpy())
            if REFERENCE in arms and arm != REFERENCE:
                row["difference"] = row["value"] - values[REFERENCE][group][name]
                gap = samples[arm][metric] - samples[REFERENCE][metric]
                row["difference_lo"], row["difference_hi"] = interval(gap.to_numpy())
                row["p"] = _p(images[arm], images[REFERENCE], metric.replace(".", "_"))
            rows.append(row)
    return pd.DataFrame(rows)


def _by_image(path: Path) -> pd.DataFrame:
    """What each test image scored, the mean over the arm's seeds."""
    rows = pd.read_parquet(path)
    return rows[rows["split"] == "test"].drop(columns=["split", "run"]).groupby("id").mean()


def _p(arm: pd.DataFrame, reference: pd.DataFrame, column: str) -> float:
    """How often chance alone would part two arms so far, image by image; NaN for what is no mean over images (mAP)."""
    if column not in arm or column not in reference:
        return float("nan")
    both = pd.concat([arm[column], reference[column]], axis=1, join="inner").to_numpy(np.float64)
    return permutation_test(both[:, 0], both[:, 1], PERMUTATIONS, 0)


def wide(results: pd.DataFrame, kind: str, group: str) -> pd.DataFrame:
    """A row an arm, a column a metric of the group: `value` or `difference` with its interval, as text."""
    lo, hi = ("lo", "hi") if kind == "value" else ("difference_lo", "difference_hi")
    sign = "" if kind == "value" else "+"
    known = results.dropna(subset=[kind]) if kind in results else results.iloc[:0]
    chances = known["p"] if kind == "difference" else np.full(len(known), np.nan)
    cells = known.assign(
        cell=[
            f"{v:{sign}.3f} [{a:{sign}.3f}, {b:{sign}.3f}]" + _shown(p)
            for v, a, b, p in zip(known[kind], known[lo], known[hi], chances, strict=True)
        ]
    )
    names = [metric for metric in HEADINGS if metric.startswith(group) and metric in set(known["metric"])]
    return cells.pivot(index="arm", columns="metric", values="cell").reindex(known["arm"].unique())[names]


def _shown(p: float) -> str:
    """A p-value as papers write it; nothing where there is none."""
    if np.isnan(p):
        return ""
    return f" p={p:.3f}" if p >= 0.001 else " p<0.001"


def baseline_rows(reports: Path, metrics: Sequence[str]) -> pd.DataFrame:
    """What chance, the centre bias and an empty map score on the test images, a column a metric."""
    known = json.loads((reports / "metrics" / "base.json").read_text())["baseline"]
    rows = {}
    for name in ("chance", "centre", "constant"):
        cells = {metric: known.get(metric.replace(".", f"_{name}_")) for metric in metrics}
        rows[name] = {metric: f"{value:.3f}" for metric, value in cells.items() if value is not None}
    return pd.DataFrame({name: row for name, row in rows.items() if row}).T


def changes(datasets: Path, variants: Sequence[str]) -> pd.DataFrame:
    """A row a variant: how many train images it changed, how much of them, and on the sample where."""
    rows = {}
    for name in variants:
        about = json.loads((datasets / "variants" / name / "variant.json").read_text())
        rows[name] = {
            "train images": about["train"],
            "changed": about["changed"],
            "objects lost": about["objects_lost"],
        }
        for part, pixels in (about["where"] or {}).items():
            rows[name][f"on {part}"] = f"{pixels / about['pixels']:.0%}" if about["pixels"] else ""
    return pd.DataFrame(rows).T


def selection_line(datasets: Path, params: Params) -> str:
    """How many train images were selected, and by what."""
    selection = pd.read_parquet(datasets / "selection.parquet")
    count, total = int(selection["selected"].sum()), len(selection)
    truth = " and ".join(sorted(selection["truth"].unique()))
    return (
        f"{count} of {total} train images ({count / total:.0%}) were selected: the IoU of the base detector's saliency "
        f"with {truth} attention is below {params.aug.threshold:g}."
    )


def overlays(datasets: Path, variants: Sequence[str], out: Path) -> None:
    """Contact sheets of train images: the selected ones that agree least, and those that agree best."""
    source, attention, saliency = Tree(datasets / "source"), datasets / "attention", datasets / "saliency"
    trees = {name: Tree(datasets / "variants" / name) for name in variants if name != "none"}
    ranked = pd.read_parquet(datasets / "selection.parquet").dropna(subset="iou").sort_values(["iou", "id"])
    for name, some in {"least": ranked.head(SHOWN), "most": ranked.tail(SHOWN)}.items():
        rows = [pictures.variant_row(source, attention, saliency, trees, id) for id in some["id"]]
        labels = [f"{id}\nIoU {iou:.3f}" for id, iou in zip(some["id"], some["iou"], strict=True)]
        pictures.sheet(rows, out / f"agreement_{name}.png", labels)


def markdown(tables: dict[str, pd.DataFrame], selection: str) -> str:
    """The tables for a terminal or a README."""
    renamed = {title: frame.rename(columns=HEADINGS) for title, frame in tables.items()}
    parts = [f"## {title}\n\n{frame.to_markdown()}\n" for title, frame in renamed.items()]
    return "\n".join(["# Results\n", f"{selection}\n", f"{NOTE}\n", *parts])


def html(tables: dict[str, pd.DataFrame], selection: str) -> str:
    """The same with pictures, as one page beside them."""
    renamed = {title: frame.rename(columns=HEADINGS).to_html(border=0) for title, frame in tables.items()}
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(tables=renamed, selection=selection, note=NOTE, pictures=PICTURES)
