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
from tests.training.known import by_image, score
from toolkit import maps, places
from toolkit.files import png, write
from toolkit.params import Arm, Params
from toolkit.voc import Tree
from training import comparison, made_of, notes, pages, report
from training.found import ASKED
from training.pages import Section


def changed(
    root: Path, arm: str, pixels: int, where: Mapping[str, int], cue_removed: Mapping[str, float] | None = None
) -> None:
    about = {"train": 320, "changed": 75, "objects_lost": 12, "pixels": pixels}
    about |= {"where": where, "cue_removed": cue_removed, "content": "c0ffee"}
    write(root / places.VARIANTS / arm / "variant.json", json.dumps(about))


def without_pictures(page: Path) -> str:
    """What a page says: its pictures' data are letters by chance, in which `nan` may stand, too."""
    return re.sub(r"base64,[\w+/=]+", "", page.read_text())


def test_changes_are_counted_and_shared_out_over_the_parts_of_the_image(tmp_path: Path) -> None:
    changed(tmp_path, "none", 0, {"object": 0, "cue": 0}, {"all": 0.0, "given": 0.0})
    changed(tmp_path, "erasing", 200, {"object": 62, "cue": 138}, {"all": 0.104, "given": 0.396})
    changed(tmp_path, "random", 200, {})
    table = made_of.changes(tmp_path, ["none", "erasing", "random"])
    shares = ["on object", "on cue", "of all cues", "of the cues in its images"]
    assert list(table.columns) == ["train images", "changed", "objects lost", *shares]
    assert table.loc["erasing"].tolist() == [320, 75, 12, "31%", "69%", "10%", "40%"]
    assert table.loc["none"].tolist() == [320, 75, 12, "", "", "", ""]
    assert table.loc["random", shares].isna().all()


def test_a_curve_is_told_by_its_seed(tmp_path: Path) -> None:
    for seed, loss in ((1, [3.0, 1.0]), (2, [5.0, 2.0])):
        rows = "".join(f"{step}\t{value}\n" for step, value in zip((0, 25), loss, strict=True))
        write(tmp_path / f"seed-{seed}" / "plots" / "metrics" / "loss.tsv", f"step\tloss\n{rows}")
    curves = report.by_seed(tmp_path)
    assert {seed: loss.to_dict() for seed, loss in curves.items()} == {
        "seed-1": {0: 3.0, 25: 1.0}, "seed-2": {0: 5.0, 25: 2.0},
    }  # fmt: skip


def study(root: Path, sample: Tree, seeds: int) -> None:
    """All that a report of `none` and `erasing` is made of, with scores that are known."""
    (root / places.DATASETS).mkdir(parents=True)
    ids = sample.ids("train")
    (root / places.SOURCE).symlink_to(sample.root)
    for image_id in sample.all_ids():
        for folder in (places.ATTENTION / "human", places.SALIENCY):
            write(root / folder / f"{image_id}.png", maps.encode(np.eye(8, dtype=np.float32)))
    iou = np.linspace(0, 1, len(ids))
    chosen = {"id": ids, "truth": "human", "iou": iou, "selected": iou < 0.4, "threshold": 0.4}
    selection = pd.concat([pd.DataFrame(chosen).assign(arm=arm) for arm in ("base", "none", "erasing")])
    selection.to_parquet(root / places.SELECTION)
    known = pd.DataFrame({"id": ids, "split": "train", "human_iou": iou})
    tested = sample.ids("test")
    test = pd.DataFrame(
        {"id": tested, "split": "test", "human_iou": 0.5, "people_iou": np.linspace(0.6, 0.8, len(tested))}
    )
    pd.concat([known, test]).to_parquet(root / places.AGREEMENT)
    for arm in ("none", "erasing"):
        changed(root, arm, 0, {})
    (root / places.VARIANTS / "erasing" / "JPEGImages").symlink_to(sample.root / "JPEGImages")
    (root / places.VARIANTS / "erasing" / "Annotations").symlink_to(sample.root / "Annotations")
    write(root / places.FAITHFULNESS / "verdict.json", json.dumps({"says": "Is the map true? Yes."}))
    header = "order,direction,fill,images,area,lo,hi,difference,difference_lo,difference_hi"
    rows = [
        f"{order},{way},all,9,.5,.4,.6,-.1,-.2,0" for order in ("map", "inside") for way in ("deletion", "insertion")
    ]
    write(root / places.FAITHFULNESS / "summary.csv", "\n".join([header, *rows]))
    for picture in report.TRUTH_PICTURES:
        write(root / places.FAITHFULNESS / picture, png(np.zeros((40, 2000, 3), np.uint8)))
    for arm, value in (("base", 0.5), ("none", 0.3), ("erasing", 0.4)):
        folder = root / places.SCORES / arm
        folder.mkdir(parents=True)
        values = [value] if arm == "base" else [value + 0.01 * n for n in range(seeds)]
        scores = {
            name: score(*values) for name in ("detection.map50", "human.mae", "human.iou", "gaze.mae", "gaze.iou")
        }
        comparison.stored(scores).to_parquet(folder / "resamples.parquet")
        runs = [by_image(v).assign(run=n) for n, v in enumerate(values)]
        pd.concat(runs).rename_axis("id").reset_index().to_parquet(folder / "images.parquet")
        failures = [(str(n), n, "missed") for n in range(len(values))]
        pd.DataFrame(failures, columns=["id", "run", "kind"]).to_parquet(folder / "failures.parquet")
        write(folder / "scores.csv", "metric,of,value\nhuman.iou,chance,0.05\nhuman.iou,constant,\n")
        write(folder / "per_class.csv", f"class,ap50_voc,objects\ncat,{value},7\ndog,0.12345,12\n")
        for seed in range(seeds):
            write(root / places.CURVES / arm / f"seed-{seed}/plots/metrics/loss.tsv", "step\tloss\n0\t2\n1\t1\n")


ARMS = {"base": Arm(variant="none", steps=0), "none": Arm(variant="none"), "erasing": Arm(variant="erasing")}


def built(root: Path, sample: Tree, settings: Params, seeds: int, arms: Mapping[str, Arm] = ARMS) -> Path:
    """The folder of the report of that study."""
    study(root, sample, seeds)
    out = root / "study"
    out.mkdir()
    text = report.build(settings.model_copy(update={"arms": dict(arms)}), out, root)
    assert text == (out / "results.md").read_text()
    return out


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_report_says_what_its_numbers_cover(tmp_path: Path, sample: Tree, settings: Params, seeds: int) -> None:
    out = built(tmp_path, sample, settings, seeds)
    text, page = (out / "results.md").read_text(), without_pictures(out / "report.html")
    for words in (text, page):
        assert ("Seeds: not covered" in words) == ("(seeds: not covered)" in words) == (seeds == 1)
        assert ("fine-tuned with 3 seeds" in words) == ("the same images and 3 seeds" in words) == (seeds == 3)
        said = [
            ASKED.replace("`none`", "none"), "moved it both ways", "Is the map true? Yes.", "Did the controls work?",
            "How sure is that?", "What did the others move", "At a glance", "(Holm)", "Table 4a", "Table 4b",
            "What each variant changed", "-0.100 [-0.200, +0.000]", "Detection, on the untouched test split",
            "aug.threshold",
        ]  # fmt: skip
        plain = re.sub(r"<[^>]+>|`", "", words.partition("<main")[2] or words)
        assert [plain.index(part) for part in said] == sorted(plain.index(part) for part in said)
        assert "smallest to show" in words
        assert "chance" in words
        assert "people: one person's fixations" in words.replace("&#39;", "'")
        assert "nan" not in words
        assert ("± 0.010" in words) == (seeds == 3)  # each arm's standard deviation over its seeds
    by_class = text.partition("## The base detector: AP@0.5 by class")[2]
    assert [row.split() for row in re.findall(r"\| (\w+ +\| +[\d.]+ +\| +\d+) \|", by_class)] == [
        ["cat", "|", "0.500", "|", "7"], ["dog", "|", "0.123", "|", "12"],
    ]  # fmt: skip
    assert re.search(r"\| people +\|.* 0\.700 ", text)
    by_part = text.partition(f"## {report.BY_PART}")[2]
    assert re.search(r"\| right class +\| +8 +\| 0\.500 \[0\.500, 0\.500\]", by_part)
    assert "+0.100" in text  # erasing is ahead of none, in every seed
    assert pd.read_csv(out / "results.csv")["arm"].unique().tolist() == ["base", "none", "erasing"]
    gaps = pd.read_csv(out / "differences.csv")
    assert gaps["value"][gaps["arm"] == "erasing"].tolist() == [0.1] * 5
    assert (gaps["seeds"] == seeds).all()
    assert {path.name for path in (out / "plots" / "images").iterdir()} == report.PICTURES.keys()


@pytest.mark.parametrize("arms", [["none"], ["base"], ["base", "none"], ["base", "erasing"]])
def test_any_arms_have_a_report(tmp_path: Path, sample: Tree, settings: Params, arms: list[str]) -> None:
    out = built(tmp_path, sample, settings, 3, {arm: ARMS[arm] for arm in arms})
    text, page = (out / "results.md").read_text(), without_pictures(out / "report.html")
    for words in (text, page):
        assert ("How sure is that?" in words) == (arms == ["base", "none"])
        assert "nan" not in words


def test_the_same_inputs_make_the_same_bytes(tmp_path: Path, sample: Tree, settings: Params) -> None:
    first, second = (built(tmp_path / name, sample, settings, 1) for name in "ab")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) > 15
    assert [file for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []


def test_an_arm_is_told_by_its_rule_and_by_what_it_does_otherwise() -> None:
    assert notes.told_of(Arm(variant="none")) == "as they are"
    own = Arm(variant="none", objective="detection", steps=7, aug={"against": "gaze"})
    assert notes.told_of(own) == "as they are, steps 7, aug {'against': 'gaze'}"


def test_dvc_plots_the_pictures_and_the_series_of_the_report() -> None:
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    tested = [str(places.FAITHFULNESS / picture) for picture in report.TRUTH_PICTURES]
    pictures, drawn = plots[: len(tested) + len(report.PICTURES)], plots[len(tested) + len(report.PICTURES) :]
    assert pictures == [*tested, *(str(places.STUDY / "plots" / "images" / picture) for picture in report.PICTURES)]
    for plot in drawn:
        ((path, about),) = plot.items()
        assert Path(path).parent == places.STUDY / "plots" / "metrics"
        assert (ROOT / ".dvc" / "plots" / f"{about['template']}.json").exists()


def test_each_series_has_the_axes_that_dvc_draws(tmp_path: Path, sample: Tree, settings: Params) -> None:
    out = built(tmp_path, sample, settings, 3) / "plots" / "metrics"
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    drawn = {Path(path).name: about for plot in plots if isinstance(plot, dict) for path, about in plot.items()}
    assert drawn.keys() == {path.name for path in out.iterdir()}
    for name, about in drawn.items():
        assert {about["x"], about["y"]} <= set(pd.read_csv(out / name))
    assert pd.read_csv(out / "training.csv")["seed"].nunique() == 3
    assert pd.read_csv(out / "agreement.csv")["train images"].sum() == len(sample.ids("train"))
    assert "MAE human ↓" in set(pd.read_csv(out / "differences.csv")["score"])


def test_a_page_escapes_what_it_is_told() -> None:
    blocks = ["x & y", ("a < b", pd.DataFrame({"human.iou": ["<1>"], "z": [np.nan]})), "**`z < 1`** or *so*"]
    page = pages.html("q < r", [Section("A & B", blocks)])
    for part in (
        "<h1>q &lt; r</h1>", '<h2 id="a-b">A &amp; B</h2>', "<caption>a &lt; b</caption>",
        "<td>&lt;1&gt;</td><td></td>",
        "<p>x &amp; y</p>",
        "<p><strong><code>z &lt; 1</code></strong> or <em>so</em></p>", '<th scope="col">IoU human ↑</th>',
    ):  # fmt: skip
        assert part in page
