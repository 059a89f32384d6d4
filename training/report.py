"""The study's tables and pictures: every arm beside the others, with intervals, baselines and paired differences."""

import json
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment

from toolkit.bootstrap import permutation_test
from toolkit.files import write
from toolkit.params import Params
from toolkit.voc import Tree
from training import pictures
from training.comparison import Score, detectable, holm, interval, loaded, p_value

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
ROW = ("arm", "metric", "seeds", "value", "sd", "lo", "hi")
SHOWN = 6  # images in a contact sheet
PERMUTATIONS = 10_000
ONE_SEED = (
    "Each arm was fine-tuned with one seed. Brackets are 95 % bootstrap intervals over the test images; p is that of a "
    "paired permutation test over them. Seeds: not covered, by none of these nor by the smallest difference that would "
    "have shown. Another seed might move a score, and a difference, further than its interval reaches: set several "
    "`train.seeds` before you believe one."
)
SEVERAL_SEEDS = (
    "Each arm was fine-tuned with {seeds} seeds. Scores are means over them; ± is the standard deviation between them. "
    "Brackets are 95 % t intervals that cover the choice of both test images and seeds; p is from the same t. `base` "
    "has no seeds: the interval of its scores covers the images alone, that of its difference to `none` covers both."
)
DIFFERENCES = (
    "Differences are taken in pairs of the same images and seed. Their p is corrected for the number of arms in its "
    "column (Holm). The last row says what the data can decide: a true difference of that size would have shown in "
    "each row of its column with a probability of about 80 % or more (two-sided test at 5 %, before Holm; variances as "
    "they are measured here). A smaller one may well be there unseen."
)
ROWS = (
    "`base` is the detector before fine-tuning; `random` erases and `random_inpainting` inpaints as much elsewhere. "
    "The last rows of agreement take no detector: the same values at random places (chance), the centre bias, and an "
    "empty map (constant). Cue reliance is mAP@0.5 with the matching cue less mAP@0.5 with a random one; saliency on "
    "cue is the share of the most salient 2.5 % of the pixels that lie on a random cue."
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
</style></head><body><h1>Results</h1>
{% for paragraph in about %}<p>{{ paragraph }}</p>{% endfor %}
{% for title, table in tables.items() %}<h2>{{ title }}</h2>{{ table | safe }}{% endfor %}
{% for file, title in pictures.items() %}<h2>{{ title }}</h2><img src="{{ file }}" alt="{{ title }}">{% endfor %}
</body></html>
"""


def build(datasets: Path, reports: Path, params: Params, out: Path) -> str:
    """Write tables and pictures into `out`; returns the tables as Markdown."""
    arms = ["base", *params.variants]
    images = {arm: first_seed(reports / "arms" / arm / "images.parquet") for arm in arms}
    scores = {arm: stored_scores(reports / "arms" / arm / "resamples.parquet", images[arm]) for arm in arms}
    results, gaps = values(scores), differences(scores, images)
    results.to_csv(out / "results.csv", index=False, float_format="%.4f")
    gaps.to_csv(out / "differences.csv", index=False, float_format="%.4f")
    pictures.intervals(results, [m for m in PLOTTED if m in set(results["metric"])], out / "results.png")
    per_class = {arm: pd.read_csv(reports / "arms" / arm / "per_class.csv", index_col=0)["ap50_voc"] for arm in arms}
    pictures.bars(pd.DataFrame(per_class), out / "per_class.png")
    overlays(datasets, params.variants, out)
    seeds = int(results["seeds"].max())
    shown = tables(results, gaps, reports, seeds) | {"What each variant changed": changes(datasets, params.variants)}
    about = [selection_line(datasets, params), *notes(seeds)]
    text = markdown(shown, about)
    write(out / "results.md", text)
    write(out / "report.html", html(shown, about))
    return text


def tables(results: pd.DataFrame, gaps: pd.DataFrame, reports: Path, seeds: int) -> dict[str, pd.DataFrame]:
    """By title: each group's scores above those that take no detector, then its differences to `none`."""
    pairs = "in pairs over the same images " + (f"and {seeds} seeds" if seeds > 1 else "(seeds: not covered)")
    shown = {}
    for group, title in GROUPS.items():
        cells = wide(results, group)
        if not cells.empty:
            shown[title] = pd.concat([cells, baseline_rows(reports, list(cells.columns))]).fillna("")
    for group, title in GROUPS.items():
        cells = wide(gaps, group, "+")
        if not cells.empty:
            row = smallest(gaps, list(cells.columns))
            shown[f"{title}: difference to `{REFERENCE}`, {pairs}"] = pd.concat([cells, row])
    return shown


def notes(seeds: int) -> list[str]:
    """How to read the tables of arms with so many seeds each, a paragraph each."""
    return [SEVERAL_SEEDS.format(seeds=seeds) if seeds > 1 else ONE_SEED, DIFFERENCES, ROWS]


def first_seed(path: Path) -> pd.DataFrame:
    """What each test image scored with the arm's first seed, by its id."""
    rows = pd.read_parquet(path)
    return rows[(rows["split"] == "test") & (rows["run"] == 0)].drop(columns=["split", "run"]).set_index("id")


def stored_scores(path: Path, images: pd.DataFrame) -> dict[str, Score]:
    """An arm's scores; what is no mean over the test images was measured on all of them."""
    table, known = pd.read_parquet(path), images.count()
    return loaded(table, {name: int(known.get(name.replace(".", "_"), len(images))) for name in map(str, table)})


def values(scores: Mapping[str, Mapping[str, Score]]) -> pd.DataFrame:
    """The arms' scores, a row an arm and metric: its value, the standard deviation over seeds, the interval's ends."""
    return pd.DataFrame([_row(arm, name, score) for arm, some in scores.items() for name, score in some.items()])


def differences(scores: Mapping[str, Mapping[str, Score]], images: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The other arms' scores less those of `none`, in pairs; without that arm there are none.

    As `values`, and with p by itself, p corrected over the arms, and the smallest difference that would have shown.
    """
    known = scores.get(REFERENCE, {})
    rows = []
    for arm, metric in product(scores, known):
        if arm != REFERENCE:
            gap = scores[arm][metric] - known[metric]
            one = gap.values.size == 1
            p = _by_flips(images[arm], images[REFERENCE], metric.replace(".", "_")) if one else p_value(gap)
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
    return permutation_test(both[:, 0], both[:, 1], PERMUTATIONS, 0)


def wide(table: pd.DataFrame, group: str, sign: str = "") -> pd.DataFrame:
    """A row an arm, a column a metric of the group, in each cell the value and what is known of it, as text."""
    known = table[table["metric"].isin(HEADINGS) & table["metric"].str.startswith(f"{group}.")].dropna(subset="value")
    cells = known.assign(cell=[_cell(row, sign) for row in known.to_dict("records")])
    names = [metric for metric in HEADINGS if metric in set(known["metric"])]
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


def smallest(gaps: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The row under a table of differences: from which size one would have shown in every row of its column."""
    widest = gaps.groupby("metric")["detectable"].max()
    cells = {metric: "" if np.isnan(widest[metric]) else f"{widest[metric]:.3f}" for metric in metrics}
    return pd.DataFrame(cells, index=["smallest to show"])


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
        rows = [pictures.variant_row(source, attention, saliency, trees, image_id) for image_id in some["id"]]
        labels = [f"{image_id}\nIoU {iou:.3f}" for image_id, iou in zip(some["id"], some["iou"], strict=True)]
        pictures.sheet(rows, out / f"agreement_{name}.png", labels)


def markdown(tables: dict[str, pd.DataFrame], about: Sequence[str]) -> str:
    """The tables for a terminal or a README, after paragraphs that say how to read them."""
    renamed = {title: frame.rename(columns=HEADINGS) for title, frame in tables.items()}
    parts = [f"## {title}\n\n{frame.to_markdown()}\n" for title, frame in renamed.items()]
    return "\n".join(["# Results\n", *(f"{paragraph}\n" for paragraph in about), *parts])


def html(tables: dict[str, pd.DataFrame], about: Sequence[str]) -> str:
    """The same with pictures, as one page beside them."""
    renamed = {title: frame.rename(columns=HEADINGS).to_html(border=0) for title, frame in tables.items()}
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(tables=renamed, about=about, pictures=PICTURES)
