"""One image: which object is tested, in what order pixels go, what stands for them, and where the map's sum lies."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.toolkit.faithfulness.toy import BOX, Toy, seen
from toolkit.faithfulness.cases import FILLS, case, curves, inside, rank
from toolkit.faithfulness.randomised import DEPTHS, randomised
from toolkit.faithfulness.rivals import INSIDE, RIVALS
from toolkit.faithfulness.verdict import area
from toolkit.voc import Annotation, Object


def annotated(*boxes: tuple[int, int, int, int]) -> Annotation:
    return Annotation("a.jpg", 64, 64, tuple(Object("cat", box, False, False) for box in boxes))


def test_the_case_is_the_largest_object_that_the_detector_finds() -> None:
    large, elsewhere = (0, 0, 64, 64), (2, 2, 30, 30)  # the first overlaps with what is found by less than half
    found = case(Toy().eval(), "a", seen(0).image, annotated(elsewhere, BOX, large), ["cat"])
    assert found is not None
    assert found.box.tolist() == list(BOX)
    assert found.score > 0.9


def test_an_image_in_which_nothing_annotated_is_found_is_no_case() -> None:
    toy, dark = Toy().eval(), torch.zeros(3, 64, 64)
    assert case(toy, "a", dark, annotated(BOX), ["cat"]) is None
    assert case(toy, "a", seen(0).image, annotated((2, 2, 30, 30)), ["cat"]) is None
    assert case(toy, "a", seen(0).image, annotated(), ["cat"]) is None


def test_ranks_are_the_share_of_pixels_before_each_and_ties_are_drawn_by_the_id() -> None:
    heatmap = np.array([[3.0, 1.0], [2.0, 0.0]])
    assert rank(heatmap, "a").tolist() == [[0.0, 0.5], [0.25, 0.75]]
    flat = np.zeros((8, 8))
    assert sorted(rank(flat, "a").ravel()) == [n / 64 for n in range(64)]
    assert (rank(flat, "a") == rank(flat, "a")).all()
    assert (rank(flat, "a") != rank(flat, "b")).any()


def test_curves_hide_the_first_pixels_and_then_show_them_alone() -> None:
    image, filled = torch.ones(3, 2, 2), torch.zeros(3, 2, 2)
    ranks = rank(np.array([[3.0, 1.0], [2.0, 0.0]]), "a")

    def bright(images: list[torch.Tensor]) -> list[float]:
        return [float(i[0, 0, 0] * 4 + i[0, 1, 0] * 2 + i[0, 0, 1]) for i in images]

    found = curves(bright, image, filled, ranks, [0.25, 0.5])
    assert found == {"deletion": [3.0, 1.0], "insertion": [4.0, 6.0]}


def test_fills_leave_no_shape() -> None:
    image = seen(0).image
    mean, blur = FILLS["mean"](image), FILLS["blur"](image)
    assert torch.equal(mean, image.mean(dim=(1, 2), keepdim=True).expand_as(image))
    assert blur.shape == image.shape
    assert blur.std() < image.std() / 2
    assert torch.allclose(blur.mean(), image.mean(), atol=0.02)


def test_the_area_is_a_curves_mean_height() -> None:
    assert area([0, 0.1, 0.4], [1.0, 1.0, 0.0]) == pytest.approx((0.1 + 0.15) / 0.4)


def test_the_pointing_game_counts_what_lies_in_the_box() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[1, 1], heatmap[3, 3] = 3, 1
    assert inside(heatmap, (0, 0, 2, 2)) == pytest.approx(0.75)
    assert np.isnan(inside(np.zeros((4, 4), np.float32), (0, 0, 2, 2)))


def test_the_rival_that_knows_the_box_hides_all_of_it_first() -> None:
    one = seen(0)
    x0, y0, x1, y1 = BOX
    boxed = np.zeros((64, 64), bool)
    boxed[y0:y1, x0:x1] = True
    for name in (INSIDE, "box centre"):
        heatmap = RIVALS[name].heatmap(one)
        assert boxed[np.unravel_index(heatmap.argmax(), heatmap.shape)]
    ranks = rank(RIVALS[INSIDE].heatmap(one), one.id)
    assert ((ranks < boxed.mean()) == boxed).all()


def test_a_detector_forgets_from_the_last_layer_on() -> None:
    from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0

    adapter = FasterRCNNLite0(2, 96).eval()
    before = adapter.model.state_dict()
    changed = []
    for depth in DEPTHS:
        after = randomised(adapter, depth).model.state_dict()
        changed.append({name for name in before if not torch.equal(before[name], after[name])})
        for name in changed[-1]:
            assert torch.equal(before[name].flatten().sort().values, after[name].flatten().sort().values)
    assert all(fewer < more for fewer, more in pairwise(changed))
    assert any(name.startswith("roi_heads.box_predictor") for name in changed[0])
    assert not any(name.startswith("backbone.body.blocks.0") for name in changed[0])
    assert any(name.startswith("backbone.body.conv_stem") for name in changed[-1])
