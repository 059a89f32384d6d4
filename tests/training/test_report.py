"""The report: tables whose numbers, signs and words are known beforehand."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT
from toolkit import maps, places
from toolkit.files import write
from toolkit.params import Arm, Params
from toolkit.voc import Tree
from training import comparison, report, tables
from training.comparison import Score

FLIPPED = 2 / 2**8  # the p of eight images that differ alike: all signs or none


def score(*values: float, images: int = 8) -> Score:
    """A score whose resamples lie .1 to either side of each seed's value."""
    return Score(np.array(values), np.array(values)[:, None] + [-0.1, 0.1], images)


def by_image(value: float) -> pd.DataFrame:
    """Eight images that score alike."""
    return pd.DataFrame({"human_iou": np.full(8, value)}, index=[f"{n}" for n in range(8)])


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
    assert tables.wide(gaps, "human", "+").empty


def test_a_cell_says_value_and_interval() -> None:
    table = cells(("base", "human.iou", 0.5, np.nan), ("none", "human.iou", 0.3, np.nan), ("none", "human.cc", 0.75, 0))
    wide = tables.wide(table, "human")
    assert list(wide.index) == ["base", "none"]
    assert list(wide.columns) == ["human.iou", "human.cc"]  # in the order of the headings
    assert wide["human.iou"].tolist() == ["0.500 [0.250, 0.750]", "0.300 [0.050, 0.550]"]
    assert wide["human.cc"]["none"] == "0.750 [0.500, 1.000]"


def test_a_cell_says_the_spread_over_seeds_and_p_where_there_are() -> None:
    several = cells(("none", "human.iou", 0.3, 0.0125), p=0.04, seeds=3)
    assert tables.wide(several, "human", "+").to_numpy().tolist() == [["+0.300 ± 0.013 [+0.050, +0.550] p=0.040"]]
    sure = cells(("none", "human.iou", -0.3, np.nan), p=0.0009)
    assert tables.wide(sure, "human", "+").to_numpy().tolist() == [["-0.300 [-0.550, -0.050] p<0.001"]]


def test_a_table_has_its_own_groups_known_metrics_alone() -> None:
    table = cells(
        ("none", "gaze.iou", 0.3, 0),
        ("none", "human.iou", 0.3, 0),
        ("none", "cue.gain", 0.1, 0),
        ("none", "human.kl", np.nan, 0),
    )
    assert list(tables.wide(table, "human").columns) == ["human.iou"]
    assert tables.wide(table, "cue").empty  # it has no heading


def test_the_last_row_is_what_the_widest_comparison_would_have_shown() -> None:
    gaps = pd.DataFrame(
        {"metric": ["human.iou", "human.iou", "human.cc"], "detectable": [0.0123, 0.0456, 0.7]}, index=[0, 1, 2]
    )
    row = tables.smallest(gaps, ["human.cc", "human.iou"])
    assert row.to_dict("index") == {"smallest to show": {"human.cc": "0.700", "human.iou": "0.046"}}


def test_p_is_written_as_papers_do() -> None:
    assert [tables._shown(p) for p in (0.0499, 0.001, 0.00099, np.nan)] == [" p=0.050", " p=0.001", " p<0.001", ""]


def test_baselines_stand_under_the_metric_that_they_belong_to() -> None:
    known = {"human_chance_mae": 0.2, "human_chance_iou": 0.05, "human_centre_cc": 0.4456, "gaze_constant_mae": 0.9}
    rows = tables.baseline_rows(known, ["human.mae", "human.iou", "human.cc"]).fillna("")
    assert rows.to_dict("index") == {
        "chance": {"human.mae": "0.200", "human.iou": "0.050", "human.cc": ""},
        "centre": {"human.mae": "", "human.iou": "", "human.cc": "0.446"},
    }


def changed(root: Path, arm: str, pixels: int, where: Mapping[str, int] | None) -> None:
    about = {"train": 320, "changed": 75, "objects_lost": 12, "pixels": pixels, "where": where}
    write(root / places.VARIANTS / arm / "variant.json", json.dumps(about))


def test_changes_are_counted_and_shared_out_over_the_parts_of_the_image(tmp_path: Path) -> None:
    changed(tmp_path, "none", 0, {"object": 0, "cue": 0})
    changed(tmp_path, "erasing", 200, {"object": 62, "cue": 138})
    changed(tmp_path, "random", 200, None)
    table = report.changes(tmp_path, ["none", "erasing", "random"])
    assert list(table.columns) == ["train images", "changed", "objects lost", "on object", "on cue"]
    assert table.loc["erasing"].tolist() == [320, 75, 12, "31%", "69%"]
    assert table.loc["none"].tolist() == [320, 75, 12, "", ""]
    assert table.loc["random", ["on object", "on cue"]].isna().all()


def test_a_curve_is_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, loss in ((1, [3.0, 1.0]), (2, [5.0, 2.0])):
        rows = "".join(f"{step}\t{value}\n" for step, value in zip((0, 25), loss, strict=True))
        write(tmp_path / f"seed-{seed}" / "plots" / "metrics" / "loss.tsv", f"step\tloss\n{rows}")
    assert report.losses(tmp_path).to_dict() == {0: 4.0, 25: 1.5}


def test_scores_are_read_with_the_images_that_they_were_measured_on(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        [("a", 0.5, "test", 0), ("b", np.nan, "test", 0), ("a", 0.7, "test", 1), ("c", 0.9, "test_random", 0)],
        columns=["id", "human_iou", "split", "run"],
    )
    rows.to_parquet(tmp_path / "images.parquet")
    images = tables.first_seed(tmp_path / "images.parquet")
    assert images["human_iou"].to_dict() == pytest.approx({"a": 0.5, "b": np.nan}, nan_ok=True)
    comparison.stored({"human.iou": score(0.5, 0.7), "detection.map50": score(0.1, 0.2)}).to_parquet(
        tmp_path / "r.parquet"
    )
    scores = tables.stored_scores(tmp_path / "r.parquet", images)
    assert (scores["human.iou"].images, scores["detection.map50"].images) == (1, 2)
    assert scores["human.iou"].values == pytest.approx([0.5, 0.7])


def study(root: Path, sample: Tree, seeds: int) -> None:
    """All that a report of `none` and `erasing` is made of, with scores that are known."""
    (root / places.DATASETS).mkdir()
    ids = sample.ids("train")
    (root / places.SOURCE).symlink_to(sample.root)
    for image_id in ids:
        for folder in (places.ATTENTION / "human", places.SALIENCY):
            write(root / folder / f"{image_id}.png", maps.encode(np.eye(8, dtype=np.float32)))
    iou = np.linspace(0, 1, len(ids))
    chosen = {"id": ids, "truth": "human", "iou": iou, "selected": iou < 0.4, "threshold": 0.4}
    selection = pd.concat([pd.DataFrame(chosen).assign(arm=arm) for arm in ("base", "none", "erasing")])
    selection.to_parquet(root / places.SELECTION)
    for arm in ("none", "erasing"):
        changed(root, arm, 0, None)
    (root / places.VARIANTS / "erasing" / "JPEGImages").symlink_to(sample.root / "JPEGImages")
    (root / places.VARIANTS / "erasing" / "Annotations").symlink_to(sample.root / "Annotations")
    write(root / places.FAITHFULNESS / "verdict.json", json.dumps({"says": "Is the map true? Yes."}))
    header = "order,direction,fill,images,area,lo,hi,difference,difference_lo,difference_hi"
    rows = [
        f"{order},{way},all,9,.5,.4,.6,-.1,-.2,0" for order in ("map", "inside") for way in ("deletion", "insertion")
    ]
    write(root / places.FAITHFULNESS / "summary.csv", "\n".join([header, *rows]))
    write(root / places.METRICS / "base.json", json.dumps({"baseline": {"human_chance_iou": 0.05}}))
    for arm, value in (("base", 0.5), ("none", 0.3), ("erasing", 0.4)):
        folder = root / places.SCORES / arm
        folder.mkdir(parents=True)
        values = [value] if arm == "base" else [value + 0.01 * n for n in range(seeds)]
        scores = {"detection.map50": score(*values), "human.iou": score(*values)}
        comparison.stored(scores).to_parquet(folder / "resamples.parquet")
        runs = [by_image(v).assign(split="test", run=n) for n, v in enumerate(values)]
        pd.concat(runs).rename_axis("id").reset_index().to_parquet(folder / "images.parquet")
        write(folder / "per_class.csv", f"class,ap50_voc,objects\ncat,{value},7\ndog,0.12345,12\n")
        write(root / places.CURVES / arm / "seed-1" / "plots" / "metrics" / "loss.tsv", "step\tloss\n0\t2\n1\t1\n")


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_report_says_what_its_numbers_cover(tmp_path: Path, sample: Tree, settings: Params, seeds: int) -> None:
    study(tmp_path, sample, seeds)
    out = tmp_path / "study"
    out.mkdir()
    arms = {"base": Arm(variant="none", steps=0), "none": Arm(variant="none"), "erasing": Arm(variant="erasing")}
    text = report.build(settings.model_copy(update={"arms": arms}), out, tmp_path)
    page = (out / "report.html").read_text()
    assert text == (out / "results.md").read_text()
    for words in (text, page):
        assert ("Seeds: not covered" in words) == ("(seeds: not covered)" in words) == (seeds == 1)
        assert ("fine-tuned with 3 seeds" in words) == ("the same images and 3 seeds" in words) == (seeds == 3)
        assert "(Holm)" in words
        assert (
            0 < words.index("Is the map true? Yes.") < words.index("-0.100 [-0.200, +0.000]") < words.index("IoU human")
        )
        assert "smallest to show" in words
        assert "chance" in words
        assert ("± 0.010" in words) == (seeds == 3)  # each arm's standard deviation over its seeds
    by_class = text.partition("## The base detector: AP@0.5 by class")[2]
    assert [row.split() for row in re.findall(r"\| (\w+ +\| +[\d.]+ +\| +\d+) \|", by_class)] == [
        ["cat", "|", "0.500", "|", "7"], ["dog", "|", "0.123", "|", "12"],
    ]  # fmt: skip
    assert "+0.100" in text  # erasing is ahead of none, in every seed
    assert pd.read_csv(out / "results.csv")["arm"].unique().tolist() == ["base", "none", "erasing"]
    gaps = pd.read_csv(out / "differences.csv")
    assert gaps["value"][gaps["arm"] == "erasing"].tolist() == [0.1, 0.1]
    assert (gaps["seeds"] == seeds).all()
    assert {path.name for path in out.glob("*.png")} == report.PICTURES.keys()


def test_an_arm_is_told_by_its_rule_and_by_what_it_does_otherwise() -> None:
    assert report.told_of(Arm(variant="none")) == "as they are"
    own = Arm(variant="none", objective="detection", steps=7, aug={"against": "gaze"})
    assert report.told_of(own) == "as they are, steps 7, aug {'against': 'gaze'}"


def test_dvc_plots_the_pictures_of_the_report() -> None:
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    tested = [str(places.FAITHFULNESS / picture) for picture in report.TRUTH_PICTURES]
    assert plots == [*tested, *(str(places.STUDY / picture) for picture in report.PICTURES)]


def test_a_page_escapes_what_it_is_told() -> None:
    page = report.html({"a < b": pd.DataFrame({"human.iou": ["<1>"]})}, ["x & y", "`z < 1`"], {"a.png": "a"})
    assert "<h2>a &lt; b</h2>" in page
    assert "&lt;1&gt;" in page
    assert "<p>x &amp; y</p>" in page
    assert "<p><code>z &lt; 1</code></p>" in page
    assert "<th>IoU human ↑</th>" in page
