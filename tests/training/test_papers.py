"""Tables 4a and 4b for a paper: the page's own cells, in LaTeX that a strict reader takes."""

import re

import pandas as pd

from training import papers

KNOWN = pd.DataFrame([("gaze.iou", "chance", 0.053)], columns=["metric", "of", "value"])


def results(*metrics: str) -> pd.DataFrame:
    rows = [(arm, name, 1, -0.5, 0.0, -0.6, 0.7) for arm in ("none", "random_inpainting") for name in metrics]
    return pd.DataFrame(rows, columns=["arm", "metric", "seeds", "value", "sd", "lo", "hi"])


def test_there_is_a_table_a_truth_that_is_known() -> None:
    assert list(papers.tables4(results("detection.map50", "gaze.mae", "gaze.iou"), KNOWN)) == ["4a"]
    both = papers.tables4(results("detection.map50", "gaze.iou", "human.mae", "human.iou"), KNOWN)
    assert [list(cells) for _, cells in both.values()] == [
        ["detection.map50", "gaze.iou"], ["detection.map50", "human.mae", "human.iou"],
    ]  # fmt: skip


def test_the_latex_has_the_same_numbers_in_as_many_columns_and_is_escaped() -> None:
    title, cells = papers.tables4(results("detection.map50", "gaze.mae", "gaze.iou"), KNOWN)["4a"]
    text = papers.latex(title, cells, "tab:4a")
    assert r"\begin{tabular}{lrrr}" in text
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[0] == ["", r"mAP@0.5 $\uparrow$", r"MAE gaze $\downarrow$", r"IoU gaze $\uparrow$"]
    assert [row[0] for row in rows[1:]] == ["none", r"random\_inpainting", "chance"]
    for row, shown in zip(rows[1:], cells.to_numpy(), strict=True):
        assert [cell.replace("$-$", "-") for cell in row[1:]] == list(shown)
    assert rows[1][1] == "$-$0.500 [$-$0.600, 0.700]"
    rules = re.findall(r"\\(toprule|midrule|bottomrule)", text)
    assert rules == ["toprule", "midrule", "midrule", "bottomrule"]
    assert text.isascii()
    assert r"\label{tab:4a}" in text and r"\caption{The arms" in text


def test_the_spread_over_seeds_is_written_in_mathematics() -> None:
    several = results("detection.map50", "gaze.iou").assign(seeds=3, sd=0.01)
    title, cells = papers.tables4(several, KNOWN)["4a"]
    assert r"$-$0.500 $\pm$ 0.010 [$-$0.600, 0.700]" in papers.latex(title, cells, "tab:4a")
