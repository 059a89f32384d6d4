"""A sweep: which combinations it has, which it refuses, and its table by hand."""

from pathlib import Path

import pandas as pd
import pytest

from toolkit import pictures
from toolkit.errors import BadInput
from toolkit.params import Params
from training.sweep import changed, grid, markdown, once, told

SWEPT = ["aug.threshold", "aug.erase_percent"]


def table() -> pd.DataFrame:
    """Two combinations, of which `erasing` hangs on both names and `none` on neither."""
    rows = []
    for threshold, percent in ((0.1, 2.5), (0.2, 2.5)):
        for arm, changed_, reliance in (("none", 0, 0.3), ("erasing", round(100 * threshold), 0.3 - threshold)):
            row = {"aug.threshold": threshold, "aug.erase_percent": percent, "arm": arm, "changed": changed_}
            row |= {"pixels": 10 * changed_, "of all cues": changed_ / 100, "detection.map50": 0.9}
            row |= {"detection.map50 lo": 0.8, "detection.map50 hi": 1.0, "cue.reliance": reliance}
            row |= {"cue.reliance lo": reliance - 0.05, "cue.reliance hi": reliance + 0.05}
            if arm != "none":
                row |= {
                    f"less none: cue.reliance{end}": -threshold + by for end, by in (("", 0), (" lo", -1), (" hi", 1))
                }
            rows.append(row)
    return pd.DataFrame(rows)


def test_a_grid_has_every_combination_the_last_name_varying_fastest() -> None:
    assert grid(["aug.threshold=0.1,1", "aug.inpaint.method=dip,telea"]) == [
        {"aug.threshold": 0.1, "aug.inpaint.method": "dip"},
        {"aug.threshold": 0.1, "aug.inpaint.method": "telea"},
        {"aug.threshold": 1, "aug.inpaint.method": "dip"},
        {"aug.threshold": 1, "aug.inpaint.method": "telea"},
    ]


def test_a_value_may_be_a_list() -> None:
    assert grid(["train.seeds=[1, 2],[3]"]) == [{"train.seeds": [1, 2]}, {"train.seeds": [3]}]


@pytest.mark.parametrize("text", ["aug.threshold", "aug.threshold=", "aug.threshold=[0.1"])
def test_what_is_no_list_of_values_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"aug\.threshold=0\.05,0\.1"):
        grid([text])


def test_a_param_that_is_given_twice_is_refused() -> None:
    with pytest.raises(BadInput, match=r"aug\.threshold again"):
        grid(["aug.threshold=0.1", "aug.threshold=0.2"])


def test_a_combination_changes_its_own_params_alone(settings: Params) -> None:
    found = changed(settings, {"aug.threshold": 0.25, "arms.erasing.steps": 7})
    assert (found.aug.threshold, found.arms["erasing"].steps) == (0.25, 7)
    assert found.model_copy(update={"aug": settings.aug, "arms": settings.arms}) == settings


@pytest.mark.parametrize(
    ("name", "value", "key"), [("aug.treshold", 0.1, "aug.treshold"), ("aug.erase_percent", 200, "aug.erase_percent")]
)
def test_a_param_that_is_not_there_or_out_of_range_stops_before_anything_runs(
    settings: Params, name: str, value: float, key: str
) -> None:
    with pytest.raises(BadInput, match=key):
        changed(settings, {name: value})


def test_a_combination_is_told_as_it_is_typed() -> None:
    assert told({"aug.threshold": 0.05, "aug.inpaint.method": "dip"}) == 'aug.threshold=0.05 aug.inpaint.method="dip"'


def test_an_arm_that_no_combination_changed_is_told_once() -> None:
    rows = once(table(), SWEPT)
    assert rows[["arm", *SWEPT]].to_numpy().tolist() == [
        ["none", "any", "any"],
        ["erasing", 0.1, 2.5],
        ["erasing", 0.2, 2.5],
    ]


def test_the_table_has_what_was_changed_and_scores_with_their_intervals() -> None:
    lines = markdown(once(table(), SWEPT), SWEPT).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]
    assert cells[0] == [
        *SWEPT, "arm", "images changed", "pixels", "of all cues", "mAP@0.5 ↑", "cue reliance ↓",
        "cue reliance, less `none`",
    ]  # fmt: skip
    assert cells[1] == ["any", "any", "none", "0", "0", "0.0%", "0.900 [0.800, 1.000]", "0.300 [0.250, 0.350]", ""]
    assert cells[3] == [
        "0.2", "2.5", "erasing", "20", "200", "20.0%", "0.900 [0.800, 1.000]", "0.100 [0.050, 0.150]",
        "-0.200 [-1.200, +0.800]",
    ]  # fmt: skip


def test_the_plot_is_drawn_for_numbers_and_for_names(tmp_path: Path) -> None:
    rows = once(table(), SWEPT)
    pictures.swept(rows, SWEPT, {"of all cues": "share", "cue.reliance": "reliance"}, tmp_path / "numbers.png")
    named = rows.replace({"aug.threshold": {0.1: "dip", 0.2: "telea"}})
    pictures.swept(named, SWEPT[:1], {"cue.reliance": "reliance"}, tmp_path / "names.png")
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("numbers", "names"))
