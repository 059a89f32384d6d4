"""What a run found, in words: first whether its controls worked, then what each arm moved."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from toolkit.variants.rules import RULES
from training.headings import glance, headings
from training.tables import REFERENCE

RELIANCE = ("cue.reliance", "cue.log_odds")  # on the planted cue: over the split, and image by image
PRECISION = "detection.map50"
ALPHA = 0.05
NO_CONTROL = (
    "Did the controls work? There is none here: a detector that must move takes a planted cue, such as the sample's. "
    "Where nothing moved, it may be that nothing could have been seen."
)
ONE_SEED = "All of this is of one seed; another might move a score further than its interval reaches."
Gaps = Mapping[tuple[str, str], Mapping[Hashable, Any]]  # by arm and metric a row of `training.tables.differences`


def found(results: pd.DataFrame, differences: pd.DataFrame, rules: Mapping[str, str]) -> list[str]:
    """Paragraphs: whether the controls worked, and what the other arms moved; none without the arm `none`.

    The two tables are those of `training.tables`; `rules` names the rule of each arm that was fine-tuned.
    """
    if REFERENCE not in rules:
        return []
    gaps = {(row["arm"], row["metric"]): row for row in differences.to_dict("records")}
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
    if before := [gaps["base", name] for name in RELIANCE if ("base", name) in gaps]:
        steady = all(gap["lo"] <= 0 <= gap["hi"] for gap in before)
        effect = "did not move it" if steady else "moved it too"
        says += [f"Fine-tuning by itself {effect} ({_each(gaps, ['base'], RELIANCE)})."]
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
