"""Two arms, or an arm in two experiments, in pairs of the same test images and seeds: where did they differ."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from toolkit import bootstrap, params
from training.comparison import holm
from training.experiments import Results
from training.headings import FAILURES, VERDICTS, glance, headings
from training.tables import FEWEST, PERMUTATIONS, by_failure, differences, values

LISTED = 12  # images in a table
ONE_SEED = (
    "Each was fine-tuned with one seed, the same: brackets and p cover the choice of test images and not the seed. "
    "Another seed might move a difference further than its interval reaches. Brackets are bootstrap intervals; p is "
    "that of a paired permutation test, which mAP, no mean over images, does not have."
)
SEVERAL_SEEDS = (
    "Values are means over {seeds} seeds, the same of both; brackets and p cover the choice of test images and of "
    "seeds, by t."
)


def differed(a: Results, b: Results) -> pd.DataFrame:
    """A row a score of both, in the order of `headings`: `a`, `b`, and b less a: `value`, `lo`, `hi`, `p`.

    Of the seeds that both have (see `Results.of`).
    """
    scores = {"a": a.scores, "b": b.scores}
    own = values(scores).set_index(["metric", "arm"])["value"].unstack("arm")
    gaps = differences(scores, {name: _first(each) for name, each in (("a", a), ("b", b))}, "a").set_index("metric")
    table = own.join(gaps[["value", "lo", "hi", "p"]], how="inner")
    return table.loc[[name for name in headings() if name in table.index]]


def covers(a: Results) -> str:
    """What the intervals of `differed` cover, in words."""
    return SEVERAL_SEEDS.format(seeds=len(a.seeds)) if len(a.seeds) > 1 else ONE_SEED


def by_image(a: Results, b: Results) -> pd.DataFrame:
    """A row a test image, by id: its `main` object's class, and what changed from a to b.

    `iou_a`, `iou_b` and `change`: the agreement that is told first (people's where known), means over seeds; NaN where
    there are no maps. `right_a`, `right_b`: the share of seeds that find the main object and its class. `verdict`: what
    became of it. `came`, `went`: how many failures b has that a has not and the other way round, over all seeds, and
    `failures`: which.
    """
    one, two = (_test(each) for each in (a, b))
    table = pd.DataFrame({"main": one.groupby("id", sort=False)["main"].first()})
    column = _truth(a, b)
    for name, each in (("a", one), ("b", two)):
        by_id = each.groupby("id", sort=False)
        table[f"iou_{name}"] = by_id[column].mean() if column else np.nan
        table[f"right_{name}"] = by_id["verdict"].agg(lambda own: float((own == VERDICTS[0]).mean()))
    table["change"] = table["iou_b"] - table["iou_a"]
    told = {name: each.groupby("id", sort=False)["verdict"].agg(_told) for name, each in (("a", one), ("b", two))}
    same = told["a"] == told["b"]
    table["verdict"] = told["a"].where(same, told["a"] + " → " + told["b"])
    came, went = _apart(a, b), _apart(b, a)
    table["came"] = [sum(came.get(i, Counter()).values()) for i in table.index]
    table["went"] = [sum(went.get(i, Counter()).values()) for i in table.index]
    table["failures"] = [_signed("+", came.get(i)) + _signed("-", went.get(i)) for i in table.index]
    table["failures"] = table["failures"].str.removesuffix(", ")
    return table


def changed_most(images: pd.DataFrame) -> pd.DataFrame:
    """The images of `by_image` whose agreement changed most, or without maps those whose failures did."""
    size = images["change"].abs() if images["change"].notna().any() else images["came"] + images["went"]
    order = size.sort_values(ascending=False, kind="stable").index
    return images.loc[order[(size[order] > 0).to_numpy()]].head(LISTED)


def turned(images: pd.DataFrame) -> pd.DataFrame:
    """The images of `by_image` whose main object was found or lost: first those where most seeds did."""
    change = images["right_b"] - images["right_a"]
    order = change.abs().sort_values(ascending=False, kind="stable").index
    return images.loc[order[(change[order] != 0).to_numpy()]]


def groups(images: pd.DataFrame, before: pd.Series, resampling: params.Score) -> pd.DataFrame:
    """A row a group of `by_image`'s images, the worst first: how its agreement and its main objects changed.

    Groups are the main object's class, and what a made of it (`before`: of each image, with the first seed), each of
    `tables.FEWEST` images or more. `p` is of a paired permutation test over images, and `p_holm` corrected for the
    number of groups.
    """
    parts: dict[str, pd.Series] = {}
    for kind, label in (("class", images["main"]), ("a", before)):
        for name, count in label.value_counts().items():
            if count >= FEWEST:
                parts[str(name) if kind == "class" else f"{name} in A"] = label == name
    rows: list[dict[str, object]] = []
    for name, chosen in parts.items():
        own = images[chosen]
        change = bootstrap.mean(own["change"].to_numpy(np.float64), resampling.resamples, resampling.seed)
        after, earlier = (own[column].to_numpy(np.float64) for column in ("iou_b", "iou_a"))
        p = bootstrap.permutation_test(after, earlier, PERMUTATIONS, 0)
        found = (own["right_b"] - own["right_a"]).mean()
        failed = (own["came"] - own["went"]).mean()
        rows.append(
            {"group": name, "images": len(own), "value": change.value, "lo": change.lo, "hi": change.hi, "p": p}
            | {"found": found, "failures": failed}
        )
    columns = ["group", "images", "value", "lo", "hi", "p", "found", "failures"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    return table.sort_values(["value", "found"], kind="stable", ignore_index=True)


def told(a: Results, b: Results, names: tuple[str, str], resampling: params.Score) -> list[str]:
    """The pair as Markdown, paragraphs and tables; `names` is what A and B are."""
    table, images = differed(a, b), by_image(a, b)
    sure = table[table["lo"] * table["hi"] > 0]["value"]  # both ends on one side of 0
    moved = ", ".join(f"{headings()[n].title} by {sure[n]:+.3f}" for n in glance(set(table.index)) if n in sure)
    found, lost = ((sign * (images["right_b"] - images["right_a"]) > 0).sum() for sign in (1, -1))
    seeds = len(a.seeds)
    heads = f"Of {len(images)} main objects B gets {found} right more often than A, and {lost} less often."
    if seeds == 1:
        heads = f"Of {len(images)} main objects B gets {found} right that A does not, and A {lost} that B does not."
    if a.failures is not None and b.failures is not None:
        heads += f" {images['came'].sum() / seeds:g} failures came and {images['went'].sum() / seeds:g} went."
    parts = [
        f"A is {names[0]}, B is {names[1]}; a difference is B less A, in pairs of the same {len(images)} images and "
        f"{f'{seeds} seeds' if seeds > 1 else 'seed'}.",
        f"By its interval B moved {moved}." if moved else "By their intervals none of the first scores moved.",
        heads,
        f"## Scores\n\n{covers(a)} p is of each of {len(table)} scores by itself.\n\n{_scores(table)}",
    ]
    if a.failures is not None and b.failures is not None:
        counts = by_failure({"A": a.failures, "B": b.failures}, {"A": a.images, "B": b.images})
        parts.append(f"## Failures\n\n{_legend()}\n\n{counts.to_markdown(disable_numparse=True)}")
    parts.append(f"## Images that changed most\n\n{_images(changed_most(images))}")
    either = turned(images)
    first = f"The first {LISTED} of {len(either)}.\n\n" if len(either) > LISTED else ""
    parts.append(f"## Main objects won or lost\n\n{first}{_images(either.head(LISTED))}")
    parts.append(f"## Worst groups\n\n{_groups(groups(images, _before(a), resampling))}")
    return parts


def _first(results: Results) -> pd.DataFrame:
    """What each test image scored with the first seed, as `tables.first_seed` gives it."""
    own = results.images[(results.images["run"] == 0) & (results.images["split"] != "test_matching")]
    return own.set_index("id")


def _test(results: Results) -> pd.DataFrame:
    return results.images[results.images["split"] == "test"]


def _before(results: Results) -> pd.Series:
    return _first(results)[lambda table: table["split"] == "test"]["verdict"]


def _truth(a: Results, b: Results) -> str | None:
    """The column of the agreement that is told first."""
    known = glance(a.scores.keys() & b.scores.keys())
    return next((name.replace(".", "_") for name in known if name.endswith(".iou")), None)


def _told(verdicts: pd.Series) -> str:
    """`not found`; of several seeds `right in 2 of 3`."""
    if len(verdicts) == 1:
        return str(verdicts.iloc[0] or "")
    return f"right in {(verdicts == VERDICTS[0]).sum()} of {len(verdicts)}"


def _apart(a: Results, b: Results) -> dict[str, Counter[str]]:
    """By image the failures that b has and a has not, seed by seed: kind and label, and how many."""
    if a.failures is None or b.failures is None:
        return {}
    one, two = (
        Counter(zip(*(f[c] for c in ("id", "run", "kind", "label")), strict=True)) for f in (a.failures, b.failures)
    )
    found: dict[str, Counter[str]] = {}
    for (image_id, _, kind, label), count in (two - one).items():
        found.setdefault(image_id, Counter())[f"{kind} {label}"] += count
    return found


def _signed(sign: str, failures: Counter[str] | None) -> str:
    """`+missed cat, +2 background dog, `."""
    return "".join(f"{sign}{f'{n} ' if n > 1 else ''}{name}, " for name, n in sorted((failures or {}).items()))


def _legend() -> str:
    return "; ".join(f"{kind}: {about}" for kind, about in FAILURES.items()) + "."


def _scores(table: pd.DataFrame) -> str:
    rows = [
        [str(headings()[row["metric"]]), *(f"{row[c]:.3f}" for c in ("a", "b")), *_gap(row)]
        for row in table.reset_index().to_dict("records")
    ]
    return _markdown(rows, ["score", "A", "B", "difference", "p"])


def _gap(row: Mapping[Hashable, Any], p: str = "p") -> tuple[str, str]:
    """`+0.010 [-0.020, +0.040]` and `0.123`."""
    if np.isnan(row["value"]):
        return "", ""
    small = "" if np.isnan(row[p]) else "<0.001" if row[p] < 0.001 else f"{row[p]:.3f}"
    return f"{row['value']:+.3f} [{row['lo']:+.3f}, {row['hi']:+.3f}]", small


def _images(images: pd.DataFrame) -> str:
    if images.empty:
        return "None."
    rows = [
        [row["id"], row["main"] or "", row["verdict"], *_ious(row), row["failures"]]
        for row in images.reset_index().to_dict("records")
    ]
    return _markdown(rows, ["image", "main object", "verdict", "IoU A", "IoU B", "difference", "failures"])


def _ious(row: Mapping[Hashable, Any]) -> list[str]:
    forms = {"iou_a": ".3f", "iou_b": ".3f", "change": "+.3f"}
    return ["" if np.isnan(row[name]) else f"{row[name]:{form}}" for name, form in forms.items()]


def _groups(table: pd.DataFrame) -> str:
    if table.empty:
        return f"No group has {FEWEST} images."
    rows = [
        [row["group"], str(row["images"]), *_gap(row, "p_holm"), f"{row['found']:+.0%}", f"{row['failures']:+.2f}"]
        for row in table.to_dict("records")
    ]
    about = (
        f"All {len(table)} groups of {FEWEST} images or more that were looked at, by class and by what A made of the "
        f"main object, the worst first; p is corrected for their number (Holm). A group that is chosen by what A made "
        "of it comes back towards the mean in B by that alone. The intervals cover images."
    )
    heads = ["group", "images", "IoU difference", "p", "main objects right", "failures an image"]
    return f"{about}\n\n{_markdown(rows, heads)}"


def _markdown(rows: Sequence[Sequence[object]], heads: Sequence[str]) -> str:
    return pd.DataFrame(rows, columns=list(heads)).to_markdown(index=False, disable_numparse=True)
