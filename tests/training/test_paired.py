"""What differs between two, worked by hand: image by image, seed by seed, group by group."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from tests.training.known import score
from toolkit.params import Params
from training import paired
from training.experiments import Results
from training.headings import VERDICTS
from training.tables import FEWEST

RIGHT, WRONG, MISSED = VERDICTS
Row = tuple[str, int, float, str]  # id, run, IoU, verdict
Failed = tuple[str, int, str, str]  # id, run, kind, label


def results(rows: Sequence[Row], failed: Sequence[Failed] | None = (), mains: str = "cat") -> Results:
    """An arm on some test images whose main objects are all of one class, and one image with a cue beside them."""
    images = pd.DataFrame(rows, columns=["id", "run", "human_iou", "verdict"]).assign(split="test", main=mains)
    images["pointed"] = True
    with_cue = pd.DataFrame({"id": ["a_matching"], "run": [0], "split": ["test_matching"], "human_iou": [np.nan]})
    runs = sorted(images["run"].unique())
    means = [images.loc[images["run"] == run, "human_iou"].mean() for run in runs]
    failures = None if failed is None else pd.DataFrame(failed, columns=["id", "run", "kind", "label"])
    whole = pd.concat([images, with_cue], ignore_index=True)
    return Results(tuple(run + 1 for run in runs), {"human.iou": score(*means, images=len(images))}, whole, failures)


def test_scores_are_told_with_their_difference_and_what_it_covers() -> None:
    a, b = results([("x", 0, 0.2, RIGHT), ("y", 0, 0.4, RIGHT)]), results([("x", 0, 0.4, RIGHT), ("y", 0, 0.6, RIGHT)])
    row = paired.differed(a, b).loc["human.iou"]
    assert row[["a", "b", "value", "lo", "hi"]].tolist() == pytest.approx([0.3, 0.5, 0.2, 0.2, 0.2])
    assert row["p"] == pytest.approx(0.5, abs=0.02)  # two images that differ alike: two of four signs
    assert "not the seed" in paired.covers(a)
    assert "2 seeds" in paired.covers(results([("x", 0, 0.2, RIGHT), ("x", 1, 0.4, RIGHT)]))


def test_an_image_has_its_change_its_verdicts_and_the_failures_that_came_and_went() -> None:
    a = results(
        [("x", 0, 0.2, RIGHT), ("y", 0, 0.4, MISSED)], [("y", 0, "missed", "cat"), ("y", 0, "background", "dog")]
    )
    b = results(
        [("x", 0, 0.3, WRONG), ("y", 0, 0.4, MISSED)], [("x", 0, "classification", "dog"), ("y", 0, "missed", "cat")]
    )
    table = paired.by_image(a, b)
    assert list(table.index) == ["x", "y"]
    assert table["change"].tolist() == pytest.approx([0.1, 0])
    assert table["verdict"].tolist() == [f"{RIGHT} → {WRONG}", MISSED]
    assert table["failures"].tolist() == ["+classification dog", "-background dog"]
    assert table[["came", "went"]].to_numpy().tolist() == [[1, 0], [0, 1]]


def test_of_several_seeds_an_image_has_the_mean_and_a_failure_is_compared_within_its_seed() -> None:
    a = results([("x", 0, 0.1, RIGHT), ("x", 1, 0.3, MISSED)], [("x", 1, "missed", "cat")])
    b = results([("x", 0, 0.4, MISSED), ("x", 1, 0.4, MISSED)], [("x", 0, "missed", "cat"), ("x", 1, "missed", "cat")])
    row = paired.by_image(a, b).loc["x"]
    assert row["change"] == pytest.approx(0.2)
    assert row["verdict"] == "right in 1 of 2 → right in 0 of 2"
    assert (row["failures"], row["came"], row["went"]) == ("+missed cat", 1, 0)


def test_the_images_that_changed_most_come_first_whichever_way() -> None:
    a = results([(i, 0, 0.5, RIGHT) for i in "wxyz"])
    b = results([("w", 0, 0.5, RIGHT), ("x", 0, 0.6, MISSED), ("y", 0, 0.1, RIGHT), ("z", 0, 0.7, RIGHT)])
    images = paired.by_image(a, b)
    assert list(paired.changed_most(images).index) == ["y", "z", "x"]
    assert list(paired.turned(images).index) == ["x"]


def test_without_maps_those_come_first_whose_failures_changed_most() -> None:
    nowhere = [(i, 0, np.nan, RIGHT) for i in "xy"]
    b = results(nowhere, [("y", 0, "missed", "cat"), ("y", 0, "missed", "dog")])
    assert list(paired.changed_most(paired.by_image(results(nowhere), b)).index) == ["y"]


def test_where_one_knows_nothing_of_failures_nothing_is_said_of_them(settings: Params) -> None:
    rows = [("x", 0, 0.5, RIGHT)]
    text = "\n".join(
        paired.told(results(rows, None), results(rows, [("x", 0, "missed", "cat")]), ("a", "b"), settings.score)
    )
    assert "failures came" not in text and "## Failures" not in text


def test_groups_are_told_the_worst_first_and_only_those_with_enough_images(settings: Params) -> None:
    cats = [(f"c{n}", 0, 0.5, RIGHT) for n in range(FEWEST)]
    dogs = [(f"d{n}", 0, 0.5, MISSED) for n in range(FEWEST)]
    rare = [(f"e{n}", 0, 0.5, WRONG) for n in range(FEWEST - 1)]
    mains = ["cat"] * FEWEST + ["dog"] * FEWEST + ["cow"] * (FEWEST - 1)
    a, b = (
        results(cats + dogs + rare),
        results([(i, r, v + (0.1 if i[0] == "c" else -0.1), RIGHT) for i, r, v, _ in cats + dogs + rare]),
    )
    for each in (a, b):
        each.images.loc[each.images["split"] == "test", "main"] = mains
    table = paired.groups(paired.by_image(a, b), paired._before(a), settings.score)
    assert table["group"].tolist() == ["dog", f"{MISSED} in A", "cat", f"{RIGHT} in A"]
    assert table["value"].tolist() == pytest.approx([-0.1, -0.1, 0.1, 0.1])
    assert table["found"].tolist() == [1, 1, 0, 0]
    assert (table["p_holm"] >= table["p"]).all() and table["p_holm"].max() < 0.05
    text = "\n".join(paired.told(a, b, ("one", "two"), settings.score))
    assert "All 4 groups of 10 images or more" in text


def test_what_has_one_run_stands_in_for_each_seed_of_another() -> None:
    one = results([("x", 0, 0.5, RIGHT)], [("x", 0, "missed", "cat")]).of([1, 2, 3])
    assert one.seeds == (1, 2, 3)
    assert one.scores["human.iou"].values.tolist() == [0.5] * 3
    assert one.scores["human.iou"].samples.shape[0] == 3
    assert one.images.loc[one.images["split"] == "test", "run"].tolist() == [0, 1, 2]
    assert one.failures is not None and one.failures["run"].tolist() == [0, 1, 2]


def test_of_several_seeds_some_can_be_kept() -> None:
    kept = results([("x", 0, 0.1, RIGHT), ("x", 1, 0.3, RIGHT)]).of([2])
    assert kept.scores["human.iou"].values.tolist() == [0.3]
    assert kept.images.loc[kept.images["split"] == "test", ["run", "human_iou"]].to_numpy().tolist() == [[0, 0.3]]
