"""A detector whose evidence is known by construction: only the map of that evidence is called true."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pytest

from tests.toolkit.faithfulness.toy import SHARE, Toy, seen, true_map
from toolkit.attention.bottom_up import centre_bias
from toolkit.bootstrap import Estimate
from toolkit.faithfulness.cases import Case
from toolkit.faithfulness.rivals import INSIDE, MAP, RIVALS
from toolkit.faithfulness.trials import explained, probed
from toolkit.faithfulness.verdict import FEW, Verdict, as_read, by_image, summary, verdict
from toolkit.params import Faithfulness, Saliency

SETTINGS = Faithfulness(images=30, fills=["mean", "blur"], shares=[0.05, 0.1, 0.2, 0.4], drise=False)
SALIENCY = Saliency(method="odam", layer="shown", sign="objectness")
IMAGES = 24


def edges(case: Case) -> np.ndarray:
    grey = case.image.mean(dim=0).numpy()
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def noise(case: Case) -> np.ndarray:
    return np.random.default_rng(len(case.id)).random(case.image.shape[-2:])


def judged(heatmap: Callable[[Case], np.ndarray], images: int = IMAGES, settings: Faithfulness = SETTINGS) -> Verdict:
    toy, trials = Toy().eval(), []
    for case in map(seen, range(images)):
        orders = {MAP: heatmap(case), INSIDE: RIVALS[INSIDE].heatmap(case)}
        trial = probed(toy, case, orders, settings, at_once=1)
        trials.append(trial | {"kept": {"1.0": 0.0}, "inside": 0.5, "box": 0.3})
    return verdict(trials, by_image(trials, settings), settings, "a method", "a layer", images)


def test_the_map_of_what_the_score_reads_is_true() -> None:
    found = judged(true_map)
    assert found.true is True
    assert found.deletion.hi < -0.2
    assert found.insertion.lo > 0.05
    assert "Is the map true? Yes." in str(found)


def test_so_is_the_map_that_odam_finds_by_itself() -> None:
    toy = Toy().eval()
    assert judged(lambda case: explained(toy, case, SALIENCY)).true is True


@pytest.mark.parametrize("heatmap", [edges, noise, lambda case: centre_bias(*case.image.shape[-2:])])
def test_edges_noise_and_the_centre_bias_are_not(heatmap: Callable[[Case], np.ndarray]) -> None:
    found = judged(heatmap)
    assert found.true is not True
    assert found.deletion.value > 0
    assert "means little" in str(found) or "may mean little" in str(found)


def test_what_is_no_better_than_its_rival_is_not_called_true() -> None:
    found = judged(RIVALS[INSIDE].heatmap)
    assert found.deletion == Estimate(0, 0, 0)
    assert found.true is None
    assert "cannot tell" in str(found)


def test_a_handful_of_images_decides_nothing() -> None:
    found = judged(true_map, images=FEW - 1)
    assert found.true is None
    assert f"{FEW - 1} images are too few to tell" in str(found)


def test_a_detector_that_finds_nothing_leaves_it_untested() -> None:
    found = verdict([], by_image([], SETTINGS), SETTINGS, "a method", "a layer", 50)
    assert found.true is None
    assert "Not tested: the detector finds no object in any of 50 test images" in str(found)


def trial(image: str, curves: Mapping[str, Mapping[str, list[float]]]) -> dict[str, object]:
    return {"id": image, "score": 1.0, "gone": {"mean": 0.0}, "curves": {o: {"mean": c} for o, c in curves.items()}}


def test_areas_and_differences_are_those_that_paper_and_pencil_give() -> None:
    settings = Faithfulness(images=2, fills=["mean"], shares=[0.2, 0.4], drise=False)
    ours = {"deletion": [0.5, 0.0], "insertion": [0.5, 1.0]}  # half of the square, both
    theirs = {"deletion": [1.0, 0.0], "insertion": [0.0, 0.0]}  # three quarters, nothing
    trials = [trial(name, {MAP: ours, INSIDE: theirs}) for name in "ab"]
    table = summary(by_image(trials, settings)).query("fill == 'all'").set_index(["direction", "order"])
    assert table["area"].to_dict() == pytest.approx(
        {("deletion", MAP): 0.5, ("deletion", INSIDE): 0.75, ("insertion", MAP): 0.5, ("insertion", INSIDE): 0.0}
    )
    assert table.loc[("deletion", MAP), "difference"] == pytest.approx(-0.25)
    assert table.loc[("insertion", MAP), "difference"] == pytest.approx(0.5)
    read = as_read(summary(by_image(trials, settings)))
    assert read.loc[MAP].tolist() == [
        "0.500 [0.500, 0.500]", "-0.250 [-0.250, -0.250]", "0.500 [0.500, 0.500]", "+0.500 [+0.500, +0.500]",
    ]  # fmt: skip


def test_hiding_just_the_patch_takes_the_whole_score() -> None:
    settings = Faithfulness(images=1, fills=["mean"], shares=[SHARE, 0.5], drise=False)
    case = seen(0)
    made = probed(Toy().eval(), case, {MAP: true_map(case)}, settings, at_once=1)
    curve = made["curves"][MAP]["mean"]
    assert case.score > 0.9
    assert curve["deletion"][0] < 0.2
    assert curve["insertion"][0] == pytest.approx(case.score, abs=1e-6)
