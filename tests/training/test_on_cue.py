"""How much of a detector's most salient part lies on the sample's cue."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toolkit.files import png, write
from toolkit.sources.scenes import CUE, OBJECT
from toolkit.voc import Tree
from training.score import on_cue

SCENE = np.zeros((20, 40), np.uint8)  # of its 800 pixels 2.5 % are 20
SCENE[:, :10] = OBJECT
SCENE[10:, 38:] = CUE  # 20 pixels at the lower right


def scene(folder: Path, mask: np.ndarray = SCENE) -> Tree:
    write(Tree(folder).mask("a"), png(mask))
    return Tree(folder)


def test_it_is_the_cue_s_share_of_the_most_salient_pixels(tmp_path: Path) -> None:
    heatmap = np.zeros((20, 40), np.float32)
    heatmap[10:15, 38:] = 1  # ten pixels on the cue
    heatmap[10:15, :2] = 0.5  # ten on the object
    assert on_cue(heatmap, scene(tmp_path), "a") == {"cue_looked_at": 0.5, "cue_area": 20 / 800}


@pytest.mark.parametrize("turn", [np.copy, np.flipud, np.fliplr])
def test_pixels_that_tie_count_in_part_wherever_they_lie(
    tmp_path: Path, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    heatmap = np.zeros((20, 40), np.float32)
    heatmap[:, 30:] = 1  # two hundred pixels, among them the cue's twenty
    assert on_cue(turn(heatmap), scene(tmp_path, turn(SCENE)), "a")["cue_looked_at"] == pytest.approx(0.1)


def test_a_map_that_says_nothing_is_not_on_the_cue(tmp_path: Path) -> None:
    assert on_cue(np.zeros((20, 40), np.float32), scene(tmp_path), "a")["cue_looked_at"] == 0


def test_where_no_cue_is_known_there_is_no_score(tmp_path: Path) -> None:
    assert on_cue(np.zeros((20, 40), np.float32), Tree(tmp_path), "a") == {}
