"""Selection: train images below the threshold, each with its reason."""

import numpy as np
import pandas as pd
import pytest

from toolkit.errors import BadInput
from toolkit.params import Params
from toolkit.selection import build, select, told

TABLE = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "split": ["train", "train", "train", "train", "test"],
        "human_iou": [0.05, 0.10, np.nan, np.nan, 0.0],
        "gaze_iou": [0.30, 0.01, 0.02, 0.40, 0.0],
    }
)


def chosen(threshold: float, against: str) -> list[str]:
    table = select(TABLE, threshold, against)
    return list(table["id"][table["selected"]])


def test_only_train_images_are_judged() -> None:
    assert list(select(TABLE, 1.0, "known")["id"]) == ["a", "b", "c", "d"]


def test_the_threshold_itself_is_not_below_it() -> None:
    assert chosen(0.10, "human") == ["a"]


def test_known_is_human_where_there_is_any_and_gaze_elsewhere() -> None:
    table = select(TABLE, 0.1, "known")
    assert list(table["truth"]) == ["human", "human", "gaze", "gaze"]
    assert chosen(0.1, "known") == ["a", "c"]
    assert chosen(0.1, "gaze") == ["b", "c"]


def test_without_attention_an_image_is_never_selected() -> None:
    table = select(TABLE, 1.0, "human").set_index("id")
    assert not table.loc["c", "selected"]
    assert table.loc["c", "reason"] == "no human attention"


def test_a_source_without_human_attention_is_judged_by_gaze() -> None:
    table = select(TABLE.drop(columns="human_iou"), 0.1, "known")
    assert list(table["truth"]) == ["gaze"] * 4


def test_reasons_say_why() -> None:
    assert list(select(TABLE, 0.1, "known")["reason"])[:2] == ["IoU 0.0500 < 0.1", "IoU 0.1000 >= 0.1"]


def test_a_lower_threshold_selects_a_subset() -> None:
    assert set(chosen(0.05, "gaze")) <= set(chosen(0.1, "gaze")) <= set(chosen(0.35, "gaze"))


def test_an_empty_train_split_is_refused() -> None:
    with pytest.raises(BadInput, match="train"):
        select(TABLE[TABLE["split"] == "test"], 0.1, "known")


def test_each_arm_is_chosen_for_by_its_own_settings(settings: Params) -> None:
    known, gaze = (settings.aug.model_copy(update={"threshold": 0.1, "against": a}) for a in ("known", "gaze"))
    table = build(TABLE, {"erasing": known, "erasing_gaze": gaze})
    assert [list(rows["id"][rows["selected"]]) for _, rows in table.groupby("arm")] == [["a", "c"], ["b", "c"]]
    assert (table["threshold"] == 0.1).all()


def test_an_arms_rows_are_those_of_its_settings_whatever_the_other_arms_ask_for(settings: Params) -> None:
    lower = settings.aug.model_copy(update={"threshold": 0.02})
    table = build(TABLE, {"a": settings.aug, "b": lower, "c": settings.aug})
    assert list(table["arm"].unique()) == ["a", "b", "c"]
    for arm, aug in (("a", settings.aug), ("b", lower), ("c", settings.aug)):
        own = table[table["arm"] == arm].drop(columns=["arm", "threshold"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(own, select(TABLE, aug.threshold, aug.against))


def test_the_selection_is_told_in_one_line_for_arms_that_were_chosen_for_alike(settings: Params) -> None:
    known, gaze = (settings.aug.model_copy(update={"threshold": 0.4, "against": a}) for a in ("known", "gaze"))
    assert told(build(TABLE, {"erasing": known, "random": known})) == [
        "3 of 4 train images (75%) were selected: the IoU of the base detector's saliency with gaze and human "
        "attention is below 0.4."
    ]
    first, second = told(build(TABLE, {"erasing": known, "random": known, "erasing_gaze": gaze}))
    assert first.startswith("erasing, random: 3 of 4 ")
    assert second.startswith("erasing_gaze: 3 of 4 train images (75%) were selected: the IoU of the base detector's ")
