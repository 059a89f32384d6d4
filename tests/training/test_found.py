"""What a run found, in words: said of differences that are known beforehand."""

import numpy as np
import pandas as pd
import pytest

from training.found import NO_CONTROL, ONE_SEED, found, headline, how_sure, in_short, shows

RULES = {"none": "none", "erasing": "erasing", "oracle": "oracle", "changed": "counterfactual"}
RELIES, ODDS, PRECISION = "cue.reliance", "cue.log_odds", "detection.map50"


def gap(arm: str, metric: str, value: float, half: float, p: float = np.nan, detectable: float = 0.02) -> dict:
    """A difference to `none` whose interval reaches `half` to either side."""
    ends = {"lo": value - half, "hi": value + half}
    return {"arm": arm, "metric": metric, "value": value, **ends, "p_holm": p, "detectable": detectable}


def differences(*gaps: dict) -> pd.DataFrame:
    """Those given; else every arm differs in nothing, within .01 to either side."""
    still = [gap(arm, metric, 0.0, 0.01) for arm in RULES if arm != "none" for metric in (RELIES, PRECISION)]
    given = {(row["arm"], row["metric"]) for row in gaps}
    return pd.DataFrame([*gaps, *(row for row in still if (row["arm"], row["metric"]) not in given)])


def said(*gaps: dict) -> tuple[str, str]:
    """The paragraphs on the controls and on the other arms, where `none` relies on the cue by .25."""
    results = pd.DataFrame({"arm": ["none"], "metric": [RELIES], "value": [0.25], "seeds": [3]})
    controls, others = found(results, differences(*gaps), RULES)
    return controls, others


def test_the_controls_worked_where_each_relies_less_on_the_cue() -> None:
    controls, _ = said(gap("oracle", RELIES, -0.1, 0.05), gap("changed", RELIES, -0.2, 0.05))
    assert controls.startswith("Did the controls work? Yes. Reliance on the cue is 0.250 in `none`")
    assert "by `oracle` -0.100 [-0.150, -0.050]; `changed` -0.200 [-0.250, -0.150]." in controls


def test_they_worked_in_part_where_one_does() -> None:
    controls, _ = said(gap("oracle", RELIES, -0.1, 0.2), gap("changed", RELIES, -0.2, 0.05))
    assert controls.startswith("Did the controls work? In part.")


def test_where_none_does_nothing_is_to_be_made_of_the_cue() -> None:
    controls, _ = said(gap("oracle", RELIES, -0.1, 0.2), gap("changed", RELIES, 0.3, 0.1))
    assert controls.startswith("Did the controls work? No.")
    assert controls.endswith("this run cannot tell a detector that was freed of it.")
    assert "mAP" not in controls


def test_a_control_that_comes_to_rely_more_on_the_cue_did_not_work() -> None:
    assert said(gap("oracle", RELIES, 0.3, 0.1))[0].startswith("Did the controls work? No.")


def test_reliance_in_log_odds_is_told_beside_it_with_its_unit() -> None:
    controls, _ = said(gap("oracle", RELIES, -0.1, 0.05), gap("oracle", ODDS, -1.5, 0.5, detectable=0.7))
    assert "`oracle` -0.100 [-0.150, -0.050], -1.500 [-2.000, -1.000] nats;" in controls
    assert controls.endswith("This run can tell a difference of 0.020 and 0.700 nats in reliance.")


@pytest.mark.parametrize("sizes", [(0.05, 0.01, np.nan), (np.nan, 0.05, 0.01), (0.01, np.nan, 0.05)])
def test_what_a_run_can_tell_is_what_its_widest_comparison_can(sizes: tuple[float, ...]) -> None:
    """One in which nothing varied says nothing of that, wherever it stands."""
    arms = zip(("oracle", "changed", "erasing"), sizes, strict=True)
    controls, _ = said(*(gap(arm, RELIES, -0.1, 0.05, detectable=size) for arm, size in arms))
    assert controls.endswith("This run can tell a difference of 0.050 in reliance.")


def test_where_no_comparison_varied_nothing_is_said_of_what_a_run_can_tell() -> None:
    controls, _ = said(*(gap(arm, RELIES, -0.1, 0, detectable=np.nan) for arm in RULES if arm != "none"))
    assert "This run can tell" not in controls


def test_what_the_controls_cost_in_precision_is_named() -> None:
    worked = gap("oracle", RELIES, -0.1, 0.05), gap("changed", RELIES, -0.2, 0.05)
    assert "It cost no mAP@0.5 that shows." in said(*worked)[0]
    controls, _ = said(*worked, gap("oracle", PRECISION, -0.04, 0.03), gap("changed", PRECISION, 0.04, 0.03))
    assert "It cost mAP@0.5: `oracle` -0.040 [-0.070, -0.010]." in controls


@pytest.mark.parametrize(("half", "effect"), [(0.1, "did not move it"), (0.01, "moved it too")])
def test_fine_tuning_by_itself_is_told_where_the_base_detector_was_scored(half: float, effect: str) -> None:
    worked = gap("oracle", RELIES, -0.1, 0.05)
    assert f"Fine-tuning by itself {effect} (`base` +0.050 [" in said(worked, gap("base", RELIES, 0.05, half))[0]
    assert "Fine-tuning" not in said(worked)[0]


def test_without_a_control_that_is_said_instead() -> None:
    table, results = differences(), pd.DataFrame({"arm": ["none"], "metric": [RELIES], "value": [0.25], "seeds": [3]})
    assert found(results, table, {"none": "none", "erasing": "erasing"})[0] == NO_CONTROL
    uncued = table[table["metric"] == PRECISION]
    assert found(results, uncued, RULES)[0] == NO_CONTROL  # no planted cue was scored


def test_without_none_there_is_nothing_to_compare_with() -> None:
    assert found(pd.DataFrame(), pd.DataFrame(), {"erasing": "erasing"}) == []


def test_without_other_arms_nothing_is_said_of_them() -> None:
    results = pd.DataFrame({"arm": ["none"], "metric": [RELIES], "value": [0.25], "seeds": [3]})
    (controls,) = found(results, differences(), {"none": "none", "oracle": "oracle"})
    assert controls.startswith("Did the controls work? No.")


def test_each_other_arm_is_told_with_what_it_moved() -> None:
    _, others = said(gap("erasing", RELIES, -0.1, 0.05), gap("erasing", PRECISION, 0.02, 0.01))
    assert others == (
        "What did the others move away from `none`, of mAP@0.5, cue reliance? `erasing` moved mAP@0.5 +0.020 "
        "[+0.010, +0.030], cue reliance -0.100 [-0.150, -0.050]. `erasing` came to rely less on the cue."
    )


def test_an_arm_that_moved_nothing_is_told_too() -> None:
    _, others = said(gap("erasing", RELIES, -0.1, 0.2))
    assert others.endswith("`erasing` moved nothing that shows. None of them came to rely less on the cue.")


def test_one_seed_is_warned_of() -> None:
    one, several = (
        found(pd.DataFrame({"arm": ["none"], "metric": [RELIES], "value": [0.25], "seeds": [n]}), differences(), RULES)
        for n in (1, 3)
    )
    assert one == [several[0], f"{several[1]} {ONE_SEED}"]


def test_agreement_is_with_people_where_they_are_known_and_else_with_the_gaze_predictor() -> None:
    gaze, human = (gap("erasing", f"{truth}.iou", 0.1, 0.05) for truth in ("gaze", "human"))
    assert said(gaze)[1].endswith(
        "`erasing` moved IoU gaze +0.100 [+0.050, +0.150]. None of them came to rely less on the cue."
    )
    assert said(gaze, human)[1].endswith(
        "`erasing` moved IoU human +0.100 [+0.050, +0.150]. None of them came to rely less on the cue."
    )


@pytest.mark.parametrize(("p", "half", "expected"), [(0.04, 0.2, True), (0.06, 0.05, False), (0.05, 0.05, False)])
def test_a_difference_shows_by_its_corrected_p_whatever_its_interval(p: float, half: float, expected: bool) -> None:
    assert shows(gap("erasing", "human.iou", 0.1, half, p)) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.1, True), (-0.1, True), (0.04, False), (-0.04, False)])
def test_without_a_p_it_shows_by_its_interval(value: float, expected: bool) -> None:
    assert shows(gap("erasing", PRECISION, value, 0.05)) == expected


def test_a_difference_that_is_not_known_does_not_show() -> None:
    assert not shows(gap("erasing", PRECISION, np.nan, np.nan))


LOOKS, ERROR = "human.iou", "human.mae"


def in_a_line(*gaps: dict, seeds: int = 3) -> str:
    results = pd.DataFrame({"arm": ["none"], "metric": [LOOKS], "value": [0.25], "seeds": [seeds]})
    rest = [gap("erasing", LOOKS, 0.0, 0.01)] if not any(row["metric"] == LOOKS for row in gaps) else []
    return headline(results, differences(*gaps, *rest), RULES)


def test_the_first_line_says_which_arm_moved_saliency_towards_people_and_its_cost() -> None:
    nearer = gap("erasing", LOOKS, 0.1, 0.05)
    assert in_a_line(nearer) == "**`erasing` moved saliency towards people, at no cost in mAP@0.5 that shows.**"
    cost = gap("erasing", PRECISION, -0.1, 0.05)
    assert in_a_line(nearer, cost) == (
        "**`erasing` moved saliency towards people; mAP@0.5 fell in `erasing` by -0.100 [-0.150, -0.050].**"
    )
    assert in_a_line() == "**No arm moved saliency towards people that shows.**"


def test_a_smaller_error_is_nearer_and_a_greater_one_farther_and_both_at_once_is_neither() -> None:
    assert "`erasing` (by MAE human alone) moved saliency" in in_a_line(gap("erasing", ERROR, -0.1, 0.05))
    assert "; `erasing` moved it away from them" in in_a_line(gap("erasing", ERROR, 0.1, 0.05))
    both = gap("erasing", ERROR, 0.1, 0.05), gap("erasing", LOOKS, 0.1, 0.05)
    assert "; `erasing` moved it both ways" in in_a_line(*both)


def test_one_seed_is_the_first_word_of_it() -> None:
    line = in_a_line(seeds=1)
    assert line.startswith("**One seed speaks for itself alone: in it, no arm moved")
    assert line.endswith("Set several `train.seeds` before you believe it.")


def test_controls_are_told_as_such_and_not_in_the_first_line() -> None:
    nearer = gap("oracle", LOOKS, 0.1, 0.05), gap("erasing", LOOKS, 0.0, 0.01)
    assert "oracle" not in in_a_line(*nearer)
    table = in_short(differences(*nearer), RULES)
    assert list(table.index) == ["erasing", "oracle (control)", "changed (control)"]
    towards, cost, cue = table.loc["oracle (control)"]
    assert towards == "yes: IoU human +0.100 [+0.050, +0.150]"
    assert cost == "none that shows: mAP@0.5 +0.000 [-0.010, +0.010]"
    assert cue == "no change that shows: cue reliance +0.000 [-0.010, +0.010]"
    assert table.loc["changed (control)"].iloc[0] == "not measured"


def test_how_sure_it_is_says_what_the_intervals_cover() -> None:
    gaps = differences(gap("erasing", LOOKS, 0.0, 0.01, detectable=0.125))
    one, three = (how_sure(pd.DataFrame({"seeds": [n]}), gaps, 80) for n in (1, 3))
    assert "cover the choice of the 80 test images, and not of the seed" in one
    assert "cover the choice of both the 80 test images and the 3 seeds." in three
    assert "0.125 of IoU human" in one


def test_that_the_detector_before_fine_tuning_is_nearer_is_said_beside_an_arm_that_is() -> None:
    before = gap("base", LOOKS, 0.1, 0.05)
    assert "which was not fine-tuned, lies nearer" in in_a_line(gap("erasing", LOOKS, 0.1, 0.05), before)
    assert "not fine-tuned" not in in_a_line(before)
