"""What a run found, in words: which arm moved saliency towards people and at what cost, whether the controls worked."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from toolkit.variants.rules import RULES
from training.headings import glance, headings
from training.tables import REFERENCE

RELIANCE = ("cue.reliance", "cue.log_odds")  # on the planted cue: over the split, and image by image
PRECISION = "detection.map50"
BEFORE = "base"  # the arm of no steps
ALPHA = 0.05
NO_CONTROL = (
    "Did the controls work? There is none here: a detector that must move takes a planted cue, such as the sample's. "
    "Where nothing moved, it may be that nothing could have been seen."
)
ONE_SEED = "All of this is of one seed; another might move a score further than its interval reaches."
ASKED = (
    "Asked: does a detector that is fine-tuned on changed images look where people look, more than one that is "
    "fine-tuned on the images as they are (`none`), and what does that cost in mAP@0.5?"
)
Gaps = Mapping[tuple[str, str], Mapping[Hashable, Any]]  # by arm and metric a row of `training.tables.differences`


def headline(results: pd.DataFrame, differences: pd.DataFrame, rules: Mapping[str, str]) -> str:
    """In a sentence or two: which arms but the controls moved saliency towards people, at what cost, and the caveat."""
    gaps = _indexed(differences)
    looks, towards = _looks(differences)
    arms = [arm for arm, rule in rules.items() if arm != REFERENCE and not RULES[rule].frees]
    ways = {arm: _ways(gaps, arm, looks) for arm in arms}
    nearer = [arm for arm in arms if ways[arm] == {True}]
    costs = {arm: _cell(gaps[arm, PRECISION], PRECISION) for arm in nearer if _ways(gaps, arm, [PRECISION]) == {False}}
    if nearer:
        by = {arm: _alone(gaps, arm, looks) for arm in nearer}
        cost = f"; mAP@0.5 fell in {', '.join(f'`{arm}` by {cell}' for arm, cell in costs.items())}"
        says = f"{_names(nearer, by)} moved saliency towards {towards}" + (
            cost if costs else ", at no cost in mAP@0.5 that shows"
        )
        if _ways(gaps, BEFORE, looks) == {True}:
            says += f"; `{BEFORE}`, which was not fine-tuned, lies nearer to them than `{REFERENCE}`, too"
    else:
        says = f"No arm moved saliency towards {towards} that shows"
    for way, told in (({False}, "moved it away from them"), ({True, False}, "moved it both ways")):
        if others := [arm for arm in arms if ways[arm] == way]:
            says += f"; {_names(others)} {told}"
    if results["seeds"].max() > 1:
        return f"**{says}.**"
    says = says.replace("No arm", "no arm", 1)
    return f"**One seed speaks for itself alone: in it, {says}.** Set several `train.seeds` before you believe it."


def _indexed(differences: pd.DataFrame) -> Gaps:
    return {(row["arm"], row["metric"]): row for row in differences.to_dict("records")}


def _names(arms: Sequence[str], by: Mapping[str, str] | None = None) -> str:
    named = [f"`{arm}`{(by or {}).get(arm, '')}" for arm in arms]
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def _alone(gaps: Gaps, arm: str, metrics: Sequence[str]) -> str:
    """` (by MAE alone)` where the others of the metrics do not show it."""
    known = [name for name in metrics if (arm, name) in gaps]
    shown = [name for name in known if shows(gaps[arm, name])]
    return f" (by {headings()[shown[0]].title} alone)" if len(shown) == 1 < len(known) else ""


def _looks(differences: pd.DataFrame) -> tuple[list[str], str]:
    """The study's two scores of agreement, IoU first, and with whom they compare: people where they are known."""
    looks = [name for name in glance(set(differences["metric"])) if name.endswith((".iou", ".mae"))][::-1]
    return looks, "people" if looks and looks[0].startswith("human") else "the gaze predictor"


def _ways(gaps: Gaps, arm: str, metrics: Sequence[str]) -> set[bool]:
    """Whether the differences that show are for the better, as a set: empty where none shows."""
    shown = [(gaps[arm, name], headings()[name]) for name in metrics if (arm, name) in gaps]
    return {(gap["value"] > 0) == heading.higher_is_better for gap, heading in shown if shows(gap)}


def in_short(differences: pd.DataFrame, rules: Mapping[str, str]) -> pd.DataFrame:
    """A row an arm: whether it moved saliency towards people, at what cost, and whether off the cue.

    The detector before fine-tuning comes first. Without people's attention it is the gaze predictor's. `rules` as in
    `found`.
    """
    gaps = _indexed(differences)
    known = glance(set(differences["metric"]))
    looks, towards = _looks(differences)
    rows = {}
    named = {BEFORE: "none"} | dict(rules) if (BEFORE, PRECISION) in gaps else rules
    for arm, rule in named.items():
        if arm != REFERENCE:
            row = {
                f"moved saliency towards {towards}?": _way(
                    gaps, arm, looks, ("yes", "no, away from them", "no move that shows")
                )
            }
            row |= {
                "at what cost in mAP@0.5?": _way(gaps, arm, [PRECISION], ("none, a gain", "a cost", "none that shows"))
            }
            if reliance := [name for name in RELIANCE if name in known]:
                row |= {
                    "relies less on the cue?": _way(gaps, arm, reliance, ("yes", "no, more", "no change that shows"))
                }
            about = " (before fine-tuning)" if arm == BEFORE else " (control)" if RULES[rule].frees else ""
            rows[f"{arm}{about}"] = row
    return pd.DataFrame(rows).T.rename_axis("arm")


def _way(gaps: Gaps, arm: str, metrics: Sequence[str], words: tuple[str, str, str]) -> str:
    """Which way an arm moved by these metrics, in `words` for better, worse and neither, and by how much.

    Those that show are told, or the first where none does.
    """
    known = [name for name in metrics if (arm, name) in gaps and not np.isnan(gaps[arm, name]["value"])]
    better, worse, neither = words
    ways = _ways(gaps, arm, known)
    says = "both ways" if len(ways) > 1 else {None: neither, True: better, False: worse}[next(iter(ways), None)]
    shown = [name for name in known if shows(gaps[arm, name])]
    if not known:
        return "not measured"
    each = [f"{headings()[name].title} {_cell(gaps[arm, name], name)}" for name in shown or known[:1]]
    return f"{says}: {'; '.join(each)}"


def how_sure(results: pd.DataFrame, differences: pd.DataFrame, images: int) -> str:
    """What the intervals cover, of so many test images, and how small a difference this run could have shown."""
    seeds = int(results["seeds"].max())
    covered = f"of both the {images} test images and the {seeds} seeds" if seeds > 1 else f"of the {images} test images"
    left = "" if seeds > 1 else ", and not of the seed: each arm has one, and another might change any answer here"
    widest = differences.groupby("metric")["detectable"].max().dropna()
    sizes = [f"{widest[name]:.3f} of {headings()[name].title}" for name in glance(set(widest.index))]
    says = f"How sure is that? Brackets are 95 % intervals of the difference to `{REFERENCE}`: they cover the choice "
    says += (
        f"{covered}{left}. A difference counts where p < {ALPHA}, corrected over the arms (mAP of one seed has no p: "
    )
    says += "where its interval excludes 0)."
    return says + (
        f" One of {', '.join(sizes)} would have been seen 4 times in 5; a smaller one may be there unseen."
        if sizes
        else ""
    )


def found(results: pd.DataFrame, differences: pd.DataFrame, rules: Mapping[str, str]) -> list[str]:
    """Paragraphs: whether the controls worked, and what the other arms moved; none without the arm `none`.

    The two tables are those of `training.tables`; `rules` names the rule of each arm that was fine-tuned.
    """
    if REFERENCE not in rules:
        return []
    gaps = _indexed(differences)
    known = set(differences["metric"])
    metrics = glance(known)
    controls = [arm for arm, rule in rules.items() if RULES[rule].frees and RELIANCE[0] in known]
    others = [arm for arm, rule in rules.items() if arm != REFERENCE and not RULES[rule].frees]
    stood = results.set_index(["arm", "metric"])["value"].get((REFERENCE, RELIANCE[0]), np.nan)
    first = verdict(gaps, controls, float(stood)) if controls else NO_CONTROL
    says = [first, moved(gaps, others, metrics)] if others else [first]
    return [*says[:-1], f"{says[-1]} {ONE_SEED}"] if results["seeds"].max() == 1 else says


def verdict(gaps: Gaps, controls: Sequence[str], stood: float) -> str:
    """Whether each control's reliance fell below that of `none`, which `stood` at so much, by its interval."""
    measure = RELIANCE[0]
    worked = [arm for arm in controls if gaps[arm, measure]["hi"] < 0]
    answer = "Yes" if len(worked) == len(controls) else "In part" if worked else "No"
    says = [
        f"Did the controls work? {answer}.",
        f"Reliance on the cue is {stood:.3f} in `{REFERENCE}`; the detectors that must come to rely less on it differ "
        f"from that by {_each(gaps, controls, RELIANCE)}.",
    ]
    if not worked:
        says += ["So nothing that is said of the cue means much: this run cannot tell a detector that was freed of it."]
        return " ".join(says)
    if before := [gaps[BEFORE, name] for name in RELIANCE if (BEFORE, name) in gaps]:
        steady = all(gap["lo"] <= 0 <= gap["hi"] for gap in before)
        effect = "did not move it" if steady else "moved it too"
        says += [f"Fine-tuning by itself {effect} ({_each(gaps, [BEFORE], RELIANCE)})."]
    cost = [arm for arm in controls if gaps[arm, PRECISION]["hi"] < 0]
    says += [f"It cost mAP@0.5: {_each(gaps, cost, [PRECISION])}." if cost else "It cost no mAP@0.5 that shows."]
    sizes = []
    for name in RELIANCE:
        known = [row["detectable"] for (_, metric), row in gaps.items() if metric == name]
        if each := [size for size in known if not np.isnan(size)]:
            sizes.append(f"{max(each):.3f} {headings()[name].unit}".rstrip())
    says += [f"This run can tell a difference of {' and '.join(sizes)} in reliance."] if sizes else []
    return " ".join(says)


def moved(gaps: Gaps, arms: Sequence[str], metrics: Sequence[str]) -> str:
    """Which of the arms moved which of the metrics away from `none`, and that the others did not; which were freed."""
    parts = []
    for arm in arms:
        shown = [name for name in metrics if (arm, name) in gaps and shows(gaps[arm, name])]
        each = ", ".join(f"{headings()[name].title} {_cell(gaps[arm, name], name)}" for name in shown)
        parts.append(f"`{arm}` {'moved ' + each if shown else 'moved nothing that shows'}")
    asked = ", ".join(headings()[name].title for name in metrics)
    says = f"What did the others move away from `{REFERENCE}`, of {asked}? " + "; ".join(parts) + "."
    if not (reliance := [name for name in RELIANCE if name in metrics]):
        return says
    rows = {arm: [gaps[arm, name] for name in reliance if (arm, name) in gaps] for arm in arms}
    freed = [f"`{arm}`" for arm, known in rows.items() if any(shows(gap) and gap["value"] < 0 for gap in known)]
    return f"{says} {' and '.join(freed) or 'None of them'} came to rely less on the cue."


def shows(gap: Mapping[Hashable, Any]) -> bool:
    """Whether a difference is one: by its p, corrected over the arms, or by its interval where it has no p."""
    return bool(gap["lo"] > 0 or gap["hi"] < 0) if np.isnan(gap["p_holm"]) else bool(gap["p_holm"] < ALPHA)


def _each(gaps: Gaps, arms: Sequence[str], metrics: Sequence[str]) -> str:
    """`oracle` -0.011 [-0.030, +0.005], -0.312 [-0.401, -0.220] nats; `counterfactual` ..."""
    known = {arm: [_cell(gaps[arm, name], name) for name in metrics if (arm, name) in gaps] for arm in arms}
    return "; ".join(f"`{arm}` " + ", ".join(cells) for arm, cells in known.items())


def _cell(gap: Mapping[Hashable, Any], metric: str) -> str:
    return f"{gap['value']:+.3f} [{gap['lo']:+.3f}, {gap['hi']:+.3f}] {headings()[metric].unit}".rstrip()
