"""Tables of scores: values, differences and cells whose numbers, signs and words are known beforehand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.known import by_image, score
from training import comparison, tables
from training.comparison import Score
from training.headings import FAILURES

FLIPPED = 2 / 2**8  # the p of eight images that differ alike: all signs or none


def compared(scores: Mapping[str, Mapping[str, Score]], iou: Mapping[str, float]) -> pd.DataFrame:
    images = {arm: by_image(value) for arm, value in iou.items()}
    return tables.differences(scores, images).set_index(["arm", "metric"])


def cells(*rows: tuple[str, str, float, float], p: float = np.nan, seeds: int = 1) -> pd.DataFrame:
    """A table of arm, metric, value and standard deviation over seeds, whose intervals reach .25 to either side."""
    table = pd.DataFrame(rows, columns=["arm", "metric", "value", "sd"])
    return table.assign(seeds=seeds, lo=table["value"] - 0.25, hi=table["value"] + 0.25, p_holm=p)


def test_values_have_a_row_an_arm_and_metric() -> None:
    table = tables.values({"base": {"human.iou": score(0.5)}, "none": {"human.iou": score(0.2, 0.4)}})
    assert list(table.columns) == ["arm", "metric", "seeds", "value", "sd", "lo", "hi"]
    assert table["arm"].tolist() == ["base", "none"]
    assert table["seeds"].tolist() == [1, 2]
    assert table["value"].tolist() == pytest.approx([0.5, 0.3])
    assert table["sd"].tolist() == pytest.approx([np.nan, 0.02**0.5], nan_ok=True)
    assert (table["lo"][0], table["hi"][0]) == pytest.approx((0.405, 0.595))  # the middle 95 % of .4 to .6
    assert (table["lo"][1], table["hi"][1]) == pytest.approx(comparison.interval(score(0.2, 0.4)))


def test_a_difference_is_the_arm_less_none() -> None:
    scores = {arm: {"human.iou": score(value)} for arm, value in (("base", 0.5), ("none", 0.3), ("erasing", 0.1))}
    gaps = compared(scores, {"base": 0.5, "none": 0.3, "erasing": 0.1})
    assert list(gaps.index) == [("base", "human.iou"), ("erasing", "human.iou")]
    assert gaps["value"].tolist() == pytest.approx([0.2, -0.2])
    assert gaps["lo"].tolist() == pytest.approx([0.2, -0.2])  # the resamples move both arms by as much
    assert gaps["p"].tolist() == pytest.approx([FLIPPED, FLIPPED], abs=0.003)
    assert gaps["p_holm"].tolist() == pytest.approx(2 * gaps["p"])  # two arms were compared


def test_each_metric_is_corrected_by_itself_and_what_has_no_p_is_left_out() -> None:
    each = {"detection.map50": score(0.5), "human.iou": score(0.5)}
    gaps = compared({"none": each, "erasing": each, "random": each}, {"none": 0.5, "erasing": 0.9, "random": 0.5})
    p = gaps["p_holm"].unstack("metric")
    assert p["human.iou"].tolist() == pytest.approx([2 * FLIPPED, 1], abs=0.006)
    assert p["detection.map50"].isna().all()  # one seed: no mean over images, no permutation test


def test_several_seeds_are_compared_pair_by_pair_by_t() -> None:
    scores = {"none": {"detection.map50": score(0.2, 0.6)}, "erasing": {"detection.map50": score(0.3, 0.9)}}
    gap = compared(scores, {"none": 0, "erasing": 0}).loc[("erasing", "detection.map50")]
    # differences of .1 and .3, none over images: mean .2, standard error .1, one degree of freedom
    assert (gap["value"], gap["sd"], gap["seeds"]) == pytest.approx((0.2, 0.02**0.5, 2))
    assert (gap["lo"], gap["hi"]) == pytest.approx((0.2 - 1.27062, 0.2 + 1.27062), abs=1e-5)
    assert gap["p"] == pytest.approx(2 * (1 / 2 - np.arctan(2) / np.pi))  # Cauchy's distribution beyond 2
    assert gap["detectable"] == pytest.approx(0.1 * (12.7062 + 1.3764), abs=1e-5)


def test_base_is_compared_with_each_seed_of_none() -> None:
    scores = {"base": {"human.iou": score(0.5)}, "none": {"human.iou": score(0.2, 0.6)}}
    gap = compared(scores, {"base": 0.5, "none": 0.2}).loc[("base", "human.iou")]
    assert (gap["value"], gap["seeds"], gap["sd"]) == pytest.approx((0.1, 2, 0.08**0.5))


def test_without_none_nothing_is_compared() -> None:
    gaps = tables.differences({"base": {"human.iou": score(0.5)}}, {"base": by_image(0.5)})
    assert gaps.empty
    assert tables.wide(gaps, tables.in_group("human"), "+").empty


def test_a_cell_says_value_and_interval() -> None:
    table = cells(("base", "human.iou", 0.5, np.nan), ("none", "human.iou", 0.3, np.nan), ("none", "human.cc", 0.75, 0))
    wide = tables.wide(table, tables.in_group("human"))
    assert list(wide.index) == ["base", "none"]
    assert list(wide.columns) == ["human.iou", "human.cc"]  # in the order of the headings
    assert wide["human.iou"].tolist() == ["0.500 [0.250, 0.750]", "0.300 [0.050, 0.550]"]
    assert wide["human.cc"]["none"] == "0.750 [0.500, 1.000]"


def test_a_cell_says_the_spread_over_seeds_and_p_where_there_are() -> None:
    several = cells(("none", "human.iou", 0.3, 0.0125), p=0.04, seeds=3)
    assert tables.wide(several, tables.in_group("human"), "+").to_numpy().tolist() == [
        ["+0.300 ± 0.013 [+0.050, +0.550] p=0.040"]
    ]
    sure = cells(("none", "human.iou", -0.3, np.nan), p=0.0009)
    assert tables.wide(sure, tables.in_group("human"), "+").to_numpy().tolist() == [["-0.300 [-0.550, -0.050] p<0.001"]]


def test_a_table_has_its_own_groups_known_metrics_alone() -> None:
    table = cells(
        ("none", "gaze.iou", 0.3, 0),
        ("none", "human.iou", 0.3, 0),
        ("none", "cue.gain", 0.1, 0),
        ("none", "human.kl", np.nan, 0),
    )
    assert list(tables.wide(table, tables.in_group("human")).columns) == ["human.iou"]
    assert tables.wide(table, tables.in_group("cue")).empty  # it has no heading


def test_the_last_row_is_what_the_widest_comparison_would_have_shown() -> None:
    gaps = pd.DataFrame(
        {"metric": ["human.iou", "human.iou", "human.cc"], "detectable": [0.0123, 0.0456, 0.7]}, index=[0, 1, 2]
    )
    row = tables.smallest(gaps, ["human.cc", "human.iou"])
    assert row.to_dict("index") == {"smallest to show": {"human.cc": "0.700", "human.iou": "0.046"}}


def test_p_is_written_as_papers_do() -> None:
    assert [tables._shown(p) for p in (0.0499, 0.001, 0.00099, np.nan)] == [" p=0.050", " p=0.001", " p<0.001", ""]


def baseline(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """An arm's `scores.csv`, in part."""
    return pd.DataFrame(rows, columns=["metric", "of", "value"])


def test_baselines_stand_in_their_order_under_the_metric_that_they_belong_to() -> None:
    known = baseline(
        ("human.iou", "detector", 0.9),
        ("human.cc", "centre", 0.4456),
        ("human.mae", "chance", 0.2),
        ("human.iou", "chance", 0.05),
        ("gaze.mae", "constant", 0.9),
        ("human.kl", "centre", 0.3),
    )
    rows = tables.baseline_rows(known, ["human.mae", "human.iou", "human.cc"]).fillna("")
    assert list(rows.columns) == ["human.mae", "human.iou", "human.cc"]
    assert rows.to_dict("index") == {
        "chance": {"human.mae": "0.200", "human.iou": "0.050", "human.cc": ""},
        "centre": {"human.mae": "", "human.iou": "", "human.cc": "0.446"},
    }


def test_a_baseline_that_says_nothing_has_no_row() -> None:
    known = baseline(("human.iou", "chance", 0.05), ("human.cc", "constant", np.nan), ("gaze.iou", "centre", 0.1))
    assert list(tables.baseline_rows(known, ["human.iou", "human.cc"]).index) == ["chance"]
    assert tables.baseline_rows(known, ["detection.map50"]).empty


def test_scores_are_read_with_the_images_that_they_were_measured_on(tmp_path: Path) -> None:
    """What is no mean over images with all of the test split, whatever other conditions there are."""
    nan = np.nan
    rows = [
        ("a", "test", 0, 0.5, nan, nan),
        ("b", "test", 0, nan, nan, nan),
        ("a", "test", 1, 0.7, nan, nan),
        ("a_matching", "test_matching", 0, nan, 0.3, nan),
        ("b_matching", "test_matching", 0, nan, 0.3, nan),
        ("a_random", "test_random", 0, nan, 0.1, nan),
        ("b_random", "test_random", 0, nan, 0.1, 2.0),
    ]
    columns = ["id", "split", "run", "human_iou", "cue_looked_at", "cue_log_odds"]
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "images.parquet")
    images = tables.first_seed(tmp_path / "images.parquet")
    assert images["human_iou"]["a"] == 0.5
    assert list(images.index) == ["a", "b", "a_random", "b_random"]  # no score is a mean over those that match
    names = ("human.iou", "detection.map50", "cue.reliance", "cue.looked_at", "cue.log_odds")
    comparison.stored({name: score(0.5, 0.7) for name in names}).to_parquet(tmp_path / "r.parquet")
    scores = tables.stored_scores(tmp_path / "r.parquet", images)
    assert [scores[name].images for name in names] == [1, 2, 2, 2, 1]
    assert scores["human.iou"].values == pytest.approx([0.5, 0.7])


def test_what_an_images_baselines_scored_is_not_read(tmp_path: Path) -> None:
    row = {"id": "a", "split": "test", "run": 0, "human_iou": 0.5, "human_chance_iou": 0.1, "gaze_centre_cc": 0.2}
    pd.DataFrame([row | {"gaze_constant_mae": 0.3, "main": "cat"}]).to_parquet(tmp_path / "images.parquet")
    assert list(tables.first_seed(tmp_path / "images.parquet")) == ["split", "human_iou", "main"]


def test_scores_of_scenes_with_a_cue_are_compared_over_those_scenes_alone() -> None:
    """Four scenes that differ alike have p = 2 / 2^4: the plain images, which lack the score, are none of them."""

    def images(log_odds: float) -> pd.DataFrame:
        cued = pd.DataFrame({"cue_log_odds": log_odds, "split": "test_random"}, index=[f"{n}_random" for n in range(4)])
        return pd.concat([by_image(0.5), cued])

    scores = {arm: {"cue.log_odds": score(value, images=4)} for arm, value in (("none", 3.0), ("oracle", 1.0))}
    gaps = tables.differences(scores, {"none": images(3.0), "oracle": images(1.0)})
    assert gaps["value"].tolist() == [-2]
    assert gaps["p"].tolist() == pytest.approx([2 / 2**4], abs=0.01)


def test_a_glance_has_none_as_it_is_and_of_the_others_their_differences() -> None:
    scores = {
        arm: {"human.iou": score(value), "human.cc": score(value)} for arm, value in (("none", 0.3), ("erasing", 0.1))
    }
    images = {"none": by_image(0.3), "erasing": by_image(0.1)}
    glance = tables.at_a_glance(tables.values(scores), tables.differences(scores, images))
    assert (list(glance.index), list(glance.columns)) == (["none", "erasing", "smallest to show"], ["human.iou"])
    assert glance["human.iou"].tolist()[:2] == ["0.300 [0.205, 0.395]", "-0.200 [-0.200, -0.200] p=0.007"]


def test_each_part_of_the_test_images_has_its_own_mean() -> None:
    images = pd.DataFrame(
        {
            "id": [f"{n}" for n in range(22)],
            "main": ["cat"] * 10 + ["dog"] * 11 + [None],
            "verdict": ["right class"] * 10 + ["not found"] * 11 + [None],
            "human_iou": [0.2] * 10 + [0.4] * 11 + [np.nan],
        }
    )
    table = tables.by_part(images, ["human.iou"], 50, 1)
    assert table["images"].to_dict() == {
        "all": 22, "right class": 10, "wrong class": 0, "not found": 11, "dog": 11, "cat": 10,
    }  # fmt: skip
    assert table.loc["cat", "human.iou"] == table.loc["right class", "human.iou"] == "0.200 [0.200, 0.200]"
    assert table.loc["all", "human.iou"].startswith("0.305 [0.2")
    assert table.loc["wrong class", "human.iou"] == ""


def test_a_class_of_few_images_has_no_part_of_its_own() -> None:
    images = pd.DataFrame({"id": ["a"], "main": ["cat"], "verdict": ["not found"], "human_iou": [0.2]})
    assert "cat" not in tables.by_part(images, ["human.iou"], 50, 1).index


def test_each_threshold_selects_the_train_images_below_it() -> None:
    agreement = pd.DataFrame({"split": ["train"] * 4 + ["test"], "human_iou": [0.01, 0.1, 0.29, np.nan, 0]})
    table = tables.by_threshold(agreement)
    assert table.index.tolist() == ["against human"]
    assert table.loc["against human"].to_dict() == {
        "< 0.02": "1 (25%)", "< 0.05": "1 (25%)", "< 0.1": "1 (25%)",
        "< 0.15": "2 (50%)", "< 0.2": "2 (50%)", "< 0.3": "3 (75%)",
    }  # fmt: skip


def test_people_stand_below_the_baselines_where_they_are_known() -> None:
    agreement = pd.DataFrame({"split": ["train", "test", "test"], "people_iou": [0, 0.4, 0.6]})
    known = pd.DataFrame([("human.iou", "chance", 0.05)], columns=["metric", "of", "value"])
    rows = tables.baseline_rows(pd.concat([known, tables.ceiling(agreement)]), ["human.iou"])
    assert rows["human.iou"].to_dict() == {"chance": "0.050", "people": "0.500"}
    assert tables.ceiling(agreement[["split"]]).empty


def failed(*rows: tuple[str, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "run", "kind"])


def looked(*rows: tuple[str, int, bool]) -> pd.DataFrame:
    """Test images, whether their maps point at an object, and one with a cue that nobody asks about."""
    table = pd.DataFrame(rows, columns=["id", "run", "pointed"]).assign(split="test")
    return pd.concat([table, pd.DataFrame({"id": ["a_random"], "run": [0], "split": ["test_random"]})])


def test_failures_are_counted_by_kind_and_by_whether_the_detector_looked_at_an_object() -> None:
    failures = failed(("a", 0, "missed"), ("b", 0, "missed"), ("b", 0, "background"))
    table = tables.by_failure({"none": failures}, {"none": looked(("a", 0, True), ("b", 0, False), ("c", 0, True))})
    row = table.loc["none"]
    assert list(table)[:7] == [*FAILURES, "all"]
    assert (row["missed"], row["background"], row["both"]) == (
        "2 (1 looked away)", "1 (1 looked away)", "0",
    )  # fmt: skip
    assert row["all"] == "3 (2 looked away)"
    rates = row[["an image, looked at", "an image, looked away", "images looked away"]]
    assert rates.tolist() == ["0.50", "2.00", "33%"]


def test_failures_of_several_seeds_are_their_mean_each_by_its_own_map() -> None:
    failures = failed(("a", 0, "missed"), ("a", 1, "missed"), ("b", 1, "missed"))
    images = looked(("a", 0, True), ("b", 0, True), ("a", 1, False), ("b", 1, True))
    row = tables.by_failure({"none": failures}, {"none": images}).loc["none"]
    assert row["missed"] == "1.5 (0.5 looked away)"
    assert row[["an image, looked at", "an image, looked away"]].tolist() == ["0.67", "1.00"]


def test_without_maps_failures_are_counted_alone() -> None:
    images = looked(("a", 0, True)).drop(columns="pointed")
    row = tables.by_failure({"theirs": failed(("a", 0, "missed"))}, {"theirs": images}).loc["theirs"]
    assert row.to_dict() == dict.fromkeys(FAILURES, "0") | {"missed": "1", "all": "1"}


def test_an_arm_that_never_looks_away_or_never_fails_has_a_row() -> None:
    images = looked(("a", 0, True))
    row = tables.by_failure({"none": failed().astype({"run": int})}, {"none": images}).loc["none"]
    assert row[["all", "an image, looked at", "an image, looked away"]].tolist() == ["0", "0.00", ""]
