"""Figures: what an SVG shows is read back from its marks, and what it says from its words."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit.files import read_image
from training import figures

GAPS = pd.DataFrame(
    [("base", "m", 0.5, 0.2, 0.6, 0.1), ("erasing", "m", -0.3, -0.4, -0.25, 0.2), ("x", "other", 9, 0, 99, 9)],
    columns=["arm", "metric", "value", "lo", "hi", "detectable"],
)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


def test_a_forest_has_a_row_an_arm_its_interval_to_scale_and_the_band() -> None:
    (panel,) = figures.forest(GAPS, {"m": ("M", True)}, [("erasing", "m")])
    assert panel.says == (
        "M, difference to none: base +0.500, from +0.200 to +0.600; erasing -0.300, from -0.400 to -0.250. "
        "A difference of 0.200 would have shown in every row."
    )
    drawn = figures.svg(panel, "a")
    lines = [numbers(d) for d, style in re.findall(r'<path d="([^"]+)"[^>]*style="([^"]+)"', drawn) if "1.6" in style]
    (left, base_y, right, _), (worse_left, erasing_y, worse_right, _) = lines
    assert base_y < erasing_y  # the first arm on top
    scale = (right - left) / 0.4  # points
    assert (worse_left, worse_right) == pytest.approx((left - 0.6 * scale, left - 0.45 * scale), abs=0.1)
    band = next(numbers(d) for d in re.findall(r'<path d="([^"]+)"[^>]*opacity: 0.1', drawn))
    assert max(band[::2]) - min(band[::2]) == pytest.approx(0.4 * scale, abs=0.1)


@pytest.mark.parametrize(("more", "hue"), [(True, "var(--bad)"), (False, "var(--good)")])
def test_a_difference_that_shows_has_the_hue_of_its_way(more: bool, hue: str) -> None:
    (panel,) = figures.forest(GAPS, {"m": ("M", more)}, [("erasing", "m")])
    drawn = figures.svg(panel, "a")
    assert set(re.findall(r"var\(--\w+\)", drawn)) == {hue}
    (still,) = figures.forest(GAPS, {"m": ("M", more)}, [])
    assert "var(" not in figures.svg(still, "a")


def test_an_svg_is_the_same_each_time_follows_the_page_and_keeps_to_its_own_ids() -> None:
    (panel,) = figures.forest(GAPS, {"m": ("M", True)}, [])
    drawn = figures.svg(panel, "first")
    assert drawn == figures.svg(panel, "first")
    assert "currentColor" in drawn and figures.INK not in drawn
    assert "<style" not in drawn and "DejaVu" not in drawn and "<metadata" not in drawn
    ids = set(re.findall(r'id="([^"]+)"', drawn))
    assert ids and all(name.startswith("first-") for name in ids)
    assert set(re.findall(r'(?:url\(|href=")#([\w.-]+)', drawn)) == ids
    assert ">erasing</text>" in drawn  # text, not outlines


def test_training_has_a_line_a_seed_over_the_mean_of_none() -> None:
    none = {"seed-1": pd.Series([4.0, 2.0]), "seed-2": pd.Series([2.0, 2.0])}
    panels = figures.training({"none": none, "erasing": {"seed-1": pd.Series([3.0, 1.0])}}, "none")
    assert [panel.title for panel in panels] == ["none", "erasing"]
    assert panels[1].says == "Training loss of erasing, over 2 steps; seed-1: 3.00 to 1.00."
    assert figures.svg(panels[0], "a").count("stroke: var(--good)") == 2
    assert "stroke-dasharray" in figures.svg(panels[1], "a")


def test_classes_have_a_row_each_and_those_without_objects_none() -> None:
    precision = pd.DataFrame({"none": [0.5, np.nan, 1.0], "erasing": [0.25, np.nan, 1.0]}, ["cat", "cow", "dog"])
    panel = figures.per_class(precision, "AP")
    assert panel.says == "AP, over 2 classes. Mean: none 0.750, erasing 0.625."
    drawn = figures.svg(panel, "a")
    assert ">cat</text>" in drawn and "cow" not in drawn


def test_a_histogram_tells_how_many_are_below_the_threshold() -> None:
    panel = figures.histogram(np.array([0.0, 0.05, 0.1, 0.4]), 0.1, "human")
    assert panel.says == "human: 2 of 4 train images below the threshold of 0.1; median 0.075."
    assert "2 below 0.1" in figures.svg(panel, "a")
    assert figures.histogram(np.array([]), 0.1, "human").says.endswith("0.1.")


def test_failures_are_stacked_and_told() -> None:
    panel = figures.stacked(pd.DataFrame({"missed": [2.0, 1.5], "both": [0, 1]}, ["none", "erasing"]), "Failures")
    assert panel.says == "Failures. none: 2 missed, 0 both; erasing: 1.5 missed, 1 both."
    assert figures.MARKS[1][0] in figures.svg(panel, "a")


def test_panels_are_one_picture_for_dvc(tmp_path: Path) -> None:
    panels = figures.forest(GAPS, {"m": ("M", True), "other": ("Other", False)}, [])
    figures.png(panels, tmp_path / "a.png")
    shown = read_image(tmp_path / "a.png")
    assert shown.shape[1] == pytest.approx(2 * figures.WIDTH * 110, abs=2)
    assert (shown[0, 0] == 255).all()
