"""The study's tables and pictures: every arm beside the others, with intervals, baselines and paired differences."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from toolkit import pictures, places
from toolkit.attention import PREDICTORS
from toolkit.faithfulness.verdict import PICTURES as TRUTH_PICTURES
from toolkit.faithfulness.verdict import as_read
from toolkit.files import write
from toolkit.metrics import BASELINES, PEOPLE
from toolkit.params import Arm, Params
from toolkit.selection import told
from toolkit.variants.rules import RULES
from toolkit.voc import Tree
from training.found import found
from training.headings import GROUPS, headings
from training.pages import html, markdown
from training.tables import (
    REFERENCE,
    at_a_glance,
    baseline_rows,
    by_part,
    by_threshold,
    ceiling,
    differences,
    first_seed,
    in_group,
    smallest,
    stored_scores,
    values,
    wide,
)  # fmt: skip

SHOWN = 6  # images in a contact sheet
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
CUE = (
    "Cue reliance is mAP@0.5 with the matching cue less mAP@0.5 with a random one. In log-odds it is, scene by scene, "
    "how much surer the detector is of the main object's class, in the best of its candidates that overlap it by half, "
    "with the matching cue than with the random one. Saliency on cue is the share of the most salient 2.5 % of the "
    "pixels that lie on a random cue."
)
BY_PART = "The base detector's map and people, by what became of the main object and by its class"
LOOKS = ("human.iou", "human.cc", "human.nss", "gaze.iou", "gaze.cc")
CUE_REMOVED = {"all": "of all cues", "given": "of the cues in its images"}
PICTURES = {
    "results.png": "Scores and their intervals",
    "agreement_least.png": "The train images on which saliency and attention agree least",
    "agreement_most.png": "Those on which they agree most",
    "per_class.png": "Average precision by class",
    "training.png": "Training loss by step",
}


def build(params: Params, out: Path, root: Path = Path()) -> str:
    """Write tables and pictures into `out`; returns the tables as Markdown. `root` is the repository's."""
    folders = {arm: root / places.SCORES / arm for arm in params.arms}
    images = {arm: first_seed(folder / "images.parquet") for arm, folder in folders.items()}
    scores = {arm: stored_scores(folder / "resamples.parquet", images[arm]) for arm, folder in folders.items()}
    results, gaps = values(scores), differences(scores, images)
    results.to_csv(out / "results.csv", index=False, float_format="%.4f")
    gaps.to_csv(out / "differences.csv", index=False, float_format="%.4f")
    main = {name: heading.title for name, heading in headings().items() if heading.pictured}
    pictures.intervals(results, {m: t for m, t in main.items() if m in set(results["metric"])}, out / "results.png")
    classes = {arm: pd.read_csv(folder / "per_class.csv", index_col=0) for arm, folder in folders.items()}
    pictures.bars(pd.DataFrame({arm: table["ap50_voc"] for arm, table in classes.items()}), out / "per_class.png")
    trained = [arm for arm in params.arms if params.train_of(arm).steps]
    none = pd.Series(dtype=float)
    curves = {arm: losses(root / places.CURVES / arm) if arm in trained else none for arm in params.arms}
    pictures.curves(curves, out / "training.png")
    selection = pd.read_parquet(root / places.SELECTION)
    overlays(root, selection, [arm for arm in trained if params.arms[arm].variant != "none"], out)
    seeds = int(results["seeds"].max())
    agreement = pd.read_parquet(root / places.AGREEMENT)
    people = ceiling(agreement)
    known = pd.concat([pd.read_csv(root / places.SCORES / next(iter(params.arms)) / "scores.csv"), people])
    tested = truth(root)
    shown: dict[str, pd.DataFrame] = tested | tables(results, gaps, known, seeds)
    shown["What each variant changed"] = changes(root, trained)
    shown["How many train images each threshold selects"] = by_threshold(agreement)
    if "base" in classes:
        shown["The base detector: AP@0.5 by class"] = precision(classes["base"])
        whole = images["base"][images["base"]["split"] == "test"]
        looks = [name for name in LOOKS if name.replace(".", "_") in whole]
        shown[BY_PART] = by_part(whole, looks, params.score.resamples, params.score.seed)
    asked = [arm for arm, row in params.arms.items() if RULES[row.variant].images == "selected"]
    verdict = json.loads((root / places.FAITHFULNESS / "verdict.json").read_text())["says"]
    first = found(results, gaps, {arm: params.arms[arm].variant for arm in trained})
    glanced = (
        {f"At a glance: `{REFERENCE}`, and how the others differ from it": at_a_glance(results, gaps)} if first else {}
    )
    about = [verdict, *told(selection[selection["arm"].isin(asked)]), *notes(params, seeds, not people.empty)]
    blocks = [*first, *glanced.items(), *about, *shown.items()]
    text = markdown(blocks)
    write(out / "results.md", text)
    beside = {f"../{places.FAITHFULNESS.name}/{file}": title for file, title in TRUTH_PICTURES.items()}
    write(out / "report.html", html(blocks, (beside if tested else {}) | PICTURES))
    return text


def tables(results: pd.DataFrame, gaps: pd.DataFrame, known: pd.DataFrame, seeds: int) -> dict[str, pd.DataFrame]:
    """By title: each group's scores above those that take no detector, then its differences to `none`."""
    pairs = "in pairs over the same images " + (f"and {seeds} seeds" if seeds > 1 else "(seeds: not covered)")
    shown = {}
    for group, title in GROUPS.items():
        cells = wide(results, in_group(group))
        if not cells.empty:
            shown[title] = pd.concat([cells, baseline_rows(known, list(cells.columns))]).fillna("")
    for group, title in GROUPS.items():
        cells = wide(gaps, in_group(group), "+")
        if not cells.empty:
            row = smallest(gaps, list(cells.columns))
            shown[f"{title}: difference to `{REFERENCE}`, {pairs}"] = pd.concat([cells, row])
    return shown


def truth(root: Path) -> dict[str, pd.DataFrame]:
    """By title the table that says whether the map is true; none where no image could be tested."""
    path = root / places.FAITHFULNESS / "summary.csv"
    return {"Is the map true? The object's score as pixels go": as_read(pd.read_csv(path))} if path.exists() else {}


def notes(params: Params, seeds: int, people: bool) -> list[str]:
    """How to read the tables of arms with so many seeds each, a paragraph each; `people`: they are compared too."""
    arms = {
        arm: told_of(row) if params.train_of(arm).steps else "the detector before fine-tuning"
        for arm, row in params.arms.items()
    }
    without = BASELINES | ({"people": PEOPLE} if people else {})
    baselines = "; ".join(f"{name}: {about}" for name, about in without.items())
    predictor = params.attention.predictor
    return [
        "An arrow says which way a score is better. " + (SEVERAL_SEEDS.format(seeds=seeds) if seeds > 1 else ONE_SEED),
        DIFFERENCES,
        "Arms, by their train images. " + "; ".join(f"`{arm}`: {about}" for arm, about in arms.items()) + ".",
        *([CUE] if params.data.source == "sample" or params.data.plant else []),
        f"The last rows of agreement take no detector. {baselines}.",
        f"The gaze predictor is `{predictor}`: {PREDICTORS[predictor].about}.",
    ]


def told_of(row: Arm) -> str:
    """What an arm's train images are, and what it does otherwise than the other arms."""
    own = row.model_dump(exclude={"variant"}, exclude_defaults=True)
    return RULES[row.variant].about + "".join(f", {key} {value}" for key, value in own.items())


def changes(root: Path, arms: Sequence[str]) -> pd.DataFrame:
    """A row an arm: how many train images its variant changed, how much of them, and where."""
    rows = {}
    for arm in arms:
        about = json.loads((root / places.VARIANTS / arm / "variant.json").read_text())
        rows[arm] = {
            "train images": about["train"],
            "changed": about["changed"],
            "objects lost": about["objects_lost"],
        }
        for part, pixels in about["where"].items():
            rows[arm][f"on {part}"] = f"{pixels / about['pixels']:.0%}" if about["pixels"] else ""
        for of, share in (about["cue_removed"] or {}).items():
            rows[arm][CUE_REMOVED[of]] = f"{share:.0%}" if about["pixels"] else ""
    return pd.DataFrame(rows).T


def precision(per_class: pd.DataFrame) -> pd.DataFrame:
    """A row a class: VOC's AP at IoU 0.5, and of how many test objects."""
    shown = per_class["ap50_voc"].map("{:.3f}".format)
    return pd.DataFrame({"AP@0.5 VOC ↑": shown, "test objects": per_class["objects"]})


def losses(curves: Path) -> pd.Series:
    """An arm's training loss by step, the mean over its seeds."""
    files = sorted(curves.glob("seed-*/plots/metrics/loss.tsv"))
    return pd.concat([pd.read_csv(file, sep="\t").set_index("step")["loss"] for file in files], axis=1).mean(axis=1)


def overlays(root: Path, selection: pd.DataFrame, arms: Sequence[str], out: Path) -> None:
    """Contact sheets of train images: those that agree least, and those that agree best, by the first arm's truth."""
    source, attention, saliency = (root / place for place in (places.SOURCE, places.ATTENTION, places.SALIENCY))
    trees = {arm: Tree(root / places.VARIANTS / arm) for arm in arms}
    first = selection[selection["arm"] == selection["arm"].iloc[0]]
    ranked = first.dropna(subset="iou").sort_values(["iou", "id"])
    for name, chosen in {"least": ranked.head(SHOWN), "most": ranked.tail(SHOWN)}.items():
        rows = [pictures.variant_row(Tree(source), attention, saliency, trees, image_id) for image_id in chosen["id"]]
        labels = [f"{image_id}\nIoU {iou:.3f}" for image_id, iou in zip(chosen["id"], chosen["iou"], strict=True)]
        pictures.sheet(rows, out / f"agreement_{name}.png", labels)
