"""The study's report: what came out, in words and figures, every arm beside the others, with intervals."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from toolkit import pictures, places
from toolkit.agreement import TRUTHS
from toolkit.faithfulness.verdict import PICTURES as TRUTH_PICTURES
from toolkit.faithfulness.verdict import as_read
from toolkit.files import write
from toolkit.metrics import METRICS
from toolkit.params import Params
from toolkit.selection import told
from toolkit.variants.rules import RULES
from toolkit.voc import Tree
from training import figures, gallery, made_of, series
from training.figures import Panel
from training.found import ASKED, found, headline, how_sure, in_short, shows
from training.headings import FAILURES, GROUPS, glance, headings
from training.notes import notes
from training.pages import Block, Figure, Section, drawn, html, markdown
from training.papers import latex, tables4
from training.tables import (
    REFERENCE,
    at_a_glance,
    baseline_rows,
    by_failure,
    by_part,
    by_threshold,
    ceiling,
    columns,
    differences,
    first_seed,
    in_group,
    smallest,
    stored_scores,
    values,
    wide,
)  # fmt: skip

TITLE = "Did it move saliency towards people?"
SHOWN = 6  # images in a contact sheet
BY_PART = "The base detector's map and people, by what became of the main object and by its class"
LOOKS = ("human.iou", "human.cc", "human.nss", "gaze.iou", "gaze.cc")
FOREST = (
    "Blue diamonds: better, and it counts; orange squares: worse, and it counts; hollow circles: neither. Band: a true "
    "difference outside of it would almost surely have been seen in every row; a smaller one may be missed."
)
READ = {"id", "split", *(f"{whose}_iou" for whose in TRUTHS), *(f"people_{name}" for name in METRICS)}  # of agreement
FAILED = {"id", "run", "split", "pointed", "kind"}  # of failures, and of images
HUMAN_LIKE = "Test images on which the base detector's map agrees {how} with {whom}, by IoU"
PLOTS = Path("plots")  # within the report's folder, as DVCLive lays them out
PICTURES = {
    "differences.png": "Each arm's difference to `none`, and its interval",
    "results.png": "Scores and their intervals",
    "training.png": "Training loss by step, a line a seed",
    "per_class.png": "Average precision by class",
    "agreement.png": "The train images' IoU, and the threshold",
    "agreement_least.png": "The train images on which saliency and attention agree least",
    "agreement_most.png": "Those on which they agree most",
}


def build(params: Params, out: Path, root: Path = Path()) -> str:
    """Write page, tables, figures and series into `out`; returns the tables as Markdown. `root` is the repository's."""
    folders = {arm: root / places.SCORES / arm for arm in params.arms}
    images = {arm: first_seed(folder / "images.parquet") for arm, folder in folders.items()}
    scores = {arm: stored_scores(folder / "resamples.parquet", images[arm]) for arm, folder in folders.items()}
    results, gaps = values(scores), differences(scores, images)
    results.to_csv(out / "results.csv", index=False, float_format="%.4f")
    gaps.to_csv(out / "differences.csv", index=False, float_format="%.4f")
    trained = [arm for arm in params.arms if params.train_of(arm).steps]
    rules = {arm: params.arms[arm].variant for arm in trained}
    selection = columns(root / places.SELECTION, lambda name: name != "reason")
    agreement = columns(root / places.AGREEMENT, READ.__contains__)
    people = ceiling(agreement)
    known = pd.concat([pd.read_csv(folders[next(iter(params.arms))] / "scores.csv"), people])
    classes = {arm: pd.read_csv(folder / "per_class.csv", index_col=0) for arm, folder in folders.items()}
    precision = pd.DataFrame({arm: table["ap50_voc"] for arm, table in classes.items()})
    losses = {arm: by_seed(root / places.CURVES / arm) for arm in trained}
    seeds = int(results["seeds"].max())
    four = tables4(results, known)
    for name, table in four.items():
        write(out / f"table{name}.tex", latex(*table, label=f"tab:{name}"))

    main = {
        name: heading for name, heading in headings().items() if heading.pictured and name in set(results["metric"])
    }
    titles = {name: str(headings()[name]) for name in headings() if name in {*main, *glance(set(results["metric"]))}}
    train = agreement[agreement["split"] == "train"]
    iou = {truth: train[f"{truth}_iou"].dropna().to_numpy() for truth in TRUTHS if f"{truth}_iou" in train}
    series.build(results, gaps, titles, losses, precision, iou, out / PLOTS / "metrics")
    shelf = out / PLOTS / "images"
    pictures.intervals(results, {name: heading.title for name, heading in main.items()}, shelf / "results.png")
    overlays(root, selection, [arm for arm in trained if rules[arm] != "none"], shelf)

    asked = [arm for arm, row in params.arms.items() if RULES[row.variant].images == "selected"]
    first = next((truth for truth in TRUTHS if truth in iou), "gaze")
    figure = _shown(shelf)
    tested = int((images[next(iter(params.arms))]["split"] == "test").sum())
    verdict = json.loads((root / places.FAITHFULNESS / "verdict.json").read_text())["says"]
    least, most = gallery.least_and_most(agreement, first)
    sections = [
        Section("What came out", outcome(results, gaps, rules, verdict, tested, figure)),
        Section("How to read it", notes(params, seeds, not people.empty)),
        Section("Tables 4a and 4b", list(four.values())),
        Section("Images changed", [
            *told(selection[selection["arm"].isin(asked)]),
            ("What each variant changed", made_of.changes(root, trained)),
            figure("agreement", _histograms(selection, asked)),
            ("How many train images each threshold selects", by_threshold(agreement)),
            *[Figure(PICTURES[name], [gallery.whole(shelf / name, PICTURES[name])]) for name in list(PICTURES)[-2:]],
        ]),
        Section("Training", [figure("training", figures.training(losses, REFERENCE))] if losses else []),
        Section("Classes", [
            figure("per_class", [figures.per_class(precision, "AP@0.5 VOC")]),
        ]),
        Section("Least and most human-like", [
            Figure(HUMAN_LIKE.format(how=how, whom=TRUTHS[first]), gallery.overlays(
                rows, first, Tree(root / places.SOURCE), root / places.ATTENTION, root / places.SALIENCY, how,
            ), "Where people look, then where the detector looks. Each opens large.")
            for how, rows in {"least": least, "most": most}.items() if len(rows)
        ]),
        Section("Failures", failed(folders)),
        Section("Is the map true?", [verdict, *truth(root)]),
        Section("All tables", [
            *tables(results, gaps, known, seeds),
            *([("The base detector: AP@0.5 by class", by_class(classes["base"]))] if "base" in classes else []),
            *by_parts(images, params),
        ], folded=True),
        Section("Params and data", [
            made_of.ABOUT,
            ("Images, by the hash of their content", made_of.content(root, trained)),
            ("Params", made_of.settings(params)),
        ], folded=True),
    ]  # fmt: skip
    sections = [section for section in sections if section.blocks]
    text = markdown(TITLE, sections)
    write(out / "results.md", text)
    write(out / "report.html", html(TITLE, sections))
    return text


def outcome(
    results: pd.DataFrame,
    gaps: pd.DataFrame,
    rules: Mapping[str, str],
    verdict: str,
    tested: int,
    figure: Callable[..., Figure],
) -> list[Block]:
    """What was asked and what came out over so many `tested` images; the question alone where no arm compares."""
    says = found(results, gaps, rules)
    if not says or gaps.empty:
        return [ASKED, *says]
    true = verdict.partition(". ")[0].removesuffix(".")
    return [
        ASKED,
        f"{headline(results, gaps, rules)} {true}.",
        ("What came out, in short", in_short(gaps, rules)),
        says[0],
        how_sure(results, gaps, tested),
        figure("differences", _forest(gaps), FOREST),
        *says[1:],
        (f"At a glance: `{REFERENCE}`, and how the others differ from it", at_a_glance(results, gaps)),
    ]


def _shown(shelf: Path) -> Callable[..., Figure]:
    """What makes a figure of panels for the page, and the same as a picture on the shelf."""

    def figure(name: str, panels: Sequence[Panel], about: str = "") -> Figure:
        figures.png(panels, shelf / f"{name}.png")
        named = {f"{name}-{number}": panel for number, panel in enumerate(panels)}
        return Figure(PICTURES[f"{name}.png"], drawn(named), about)

    return figure


def _forest(gaps: pd.DataFrame) -> list[Panel]:
    known = {name: headings()[name] for name in glance(set(gaps["metric"]))}
    shown = [(row["arm"], row["metric"]) for row in gaps.to_dict("records") if shows(row)]
    titles = {name: (f"{h.title} {h.unit}".rstrip(), h.higher_is_better) for name, h in known.items()}
    return figures.forest(gaps, titles, shown)


def _histograms(selection: pd.DataFrame, asked: Sequence[str]) -> list[Panel]:
    """A panel for all arms that were chosen for alike; of the first arm where none asks for a selection."""
    alike: dict[tuple[str, float], list[str]] = {}
    for arm in asked or list(selection["arm"].unique()[:1]):
        own = selection[selection["arm"] == arm]
        alike.setdefault((" and ".join(sorted(own["truth"].unique())), float(own["threshold"].iloc[0])), []).append(arm)
    panels = []
    for (truths, threshold), arms in alike.items():
        iou = selection.loc[selection["arm"] == arms[0], "iou"].dropna().to_numpy()
        panels.append(figures.histogram(iou, threshold, f"{truths} attention: {', '.join(arms)}"))
    return panels


def tables(results: pd.DataFrame, gaps: pd.DataFrame, known: pd.DataFrame, seeds: int) -> list[Block]:
    """Each group's scores above those that take no detector, then its differences to `none`."""
    pairs = "in pairs over the same images " + (f"and {seeds} seeds" if seeds > 1 else "(seeds: not covered)")
    shown: list[Block] = []
    for group, title in GROUPS.items():
        cells = wide(results, in_group(group))
        if not cells.empty:
            shown.append((title, pd.concat([cells, baseline_rows(known, list(cells.columns))]).fillna("")))
    for group, title in GROUPS.items():
        cells = wide(gaps, in_group(group), "+")
        if not cells.empty:
            row = smallest(gaps, list(cells.columns))
            shown.append((f"{title}: difference to `{REFERENCE}`, {pairs}", pd.concat([cells, row])))
    return shown


def truth(root: Path) -> list[Block]:
    """The table and the pictures that say whether the map is true; nothing where no image could be tested."""
    folder = root / places.FAITHFULNESS
    if not (folder / "summary.csv").exists():
        return []
    shown = [Figure(title, [gallery.whole(folder / file, title)]) for file, title in TRUTH_PICTURES.items()]
    return [("Is the map true? The object's score as pixels go", as_read(pd.read_csv(folder / "summary.csv"))), *shown]


def failed(folders: Mapping[str, Path]) -> list[Block]:
    """What goes wrong in the test images, by arm and by whether it looked at the object."""
    found = {arm: columns(folder / "failures.parquet", FAILED.__contains__) for arm, folder in folders.items()}
    images = {arm: columns(folder / "images.parquet", FAILED.__contains__) for arm, folder in folders.items()}
    kinds = "; ".join(f"{kind}: {about}" for kind, about in FAILURES.items())
    counts = {
        arm: own["kind"].value_counts().reindex(list(FAILURES), fill_value=0) / images[arm]["run"].nunique()
        for arm, own in found.items()
    }
    panel = figures.stacked(pd.DataFrame(counts).T, "Failures in the test images")
    return [
        f"Wrong detections and missed objects of the test images, means over seeds. {kinds}.",
        Figure("Failures by kind", drawn({"failures": panel})),
        ("Failures, and how many in images in which the arm looked away from the objects", by_failure(found, images)),
    ]


def by_parts(images: Mapping[str, pd.DataFrame], params: Params) -> list[Block]:
    """How the base detector's map agrees with people in parts of the test images; nothing without that arm."""
    if "base" not in images:
        return []
    whole = images["base"][images["base"]["split"] == "test"]
    looks = [name for name in LOOKS if name.replace(".", "_") in whole]
    return [(BY_PART, by_part(whole, looks, params.score.resamples, params.score.seed))]


def by_class(per_class: pd.DataFrame) -> pd.DataFrame:
    """A row a class: VOC's AP at IoU 0.5, and of how many test objects."""
    shown = per_class["ap50_voc"].map("{:.3f}".format)
    return pd.DataFrame({"AP@0.5 VOC ↑": shown, "test objects": per_class["objects"]})


def by_seed(curves: Path) -> dict[str, pd.Series]:
    """An arm's training loss by step, of each of its seeds."""
    files = sorted(curves.glob("seed-*/plots/metrics/loss.tsv"))
    return {file.parts[-4]: pd.read_csv(file, sep="\t").set_index("step")["loss"] for file in files}


def overlays(root: Path, selection: pd.DataFrame, arms: Sequence[str], shelf: Path) -> None:
    """Contact sheets of train images: those that agree least, and those that agree best, by the first arm's truth."""
    source, attention, saliency = (root / place for place in (places.SOURCE, places.ATTENTION, places.SALIENCY))
    trees = {arm: Tree(root / places.VARIANTS / arm, beneath=Tree(source)) for arm in arms}
    first = selection[selection["arm"] == selection["arm"].iloc[0]]
    ranked = first.dropna(subset="iou").sort_values(["iou", "id"])
    for name, chosen in {"least": ranked.head(SHOWN), "most": ranked.tail(SHOWN)}.items():
        rows = [pictures.variant_row(Tree(source), attention, saliency, trees, image_id) for image_id in chosen["id"]]
        labels = [f"{image_id}\nIoU {iou:.3f}" for image_id, iou in zip(chosen["id"], chosen["iou"], strict=True)]
        pictures.sheet(rows, shelf / f"agreement_{name}.png", labels)
