"""The planted cue: which class's tile a scene carries, where it lies, what it looks like, and how it is replaced."""

from itertools import combinations

import numpy as np
import pytest

from toolkit.files import read_image
from toolkit.params import Cue
from toolkit.sources.cue import GRAIN, carried, drawn, other, place, place_of, tile
from toolkit.sources.masks import CUE, Condition, read_mask
from toolkit.voc import VOC_CLASSES, Tree

SIZE, SIDE = 128, 23  # 0.18 of it
BLOCK = 8  # JPEG stores pixels by squares of so many
REGION = np.zeros((40, 60), bool)
REGION[10:30, 35:55] = True


def cue(**settings: object) -> Cue:
    return Cue.model_validate({"correlation": 0.9, "place": "overlapping", "side": 0.18, "ambiguous": 0.0} | settings)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", ["aeroplane", "cat", "tvmonitor"])
def test_the_condition_says_whose_tile_is_carried(name: str) -> None:
    for seed in range(50):
        assert carried(name, "none", cue(), rng(seed), VOC_CLASSES) is None
        assert carried(name, "matching", cue(), rng(seed), VOC_CLASSES) == name
        assert carried(name, "random", cue(), rng(seed), VOC_CLASSES) in set(VOC_CLASSES) - {name}
        assert carried(name, "correlated", cue(correlation=1.0), rng(seed), VOC_CLASSES) == name
        assert carried(name, "correlated", cue(correlation=0.0), rng(seed), VOC_CLASSES) in set(VOC_CLASSES) - {name}


def test_a_tile_tells_the_truth_as_often_as_it_is_asked_to() -> None:
    chance = rng()
    truthful = [carried("cat", "correlated", cue(correlation=0.7), chance, VOC_CLASSES) == "cat" for _ in range(2000)]
    assert np.mean(truthful) == pytest.approx(0.7, abs=0.04)  # four standard deviations


@pytest.mark.parametrize("condition", ["none", "matching", "random"])
def test_what_is_drawn_after_the_tile_s_class_is_the_same_in_each_condition(condition: Condition) -> None:
    one, correlated = rng(), rng()
    carried("cat", condition, cue(), one, VOC_CLASSES)
    carried("cat", "correlated", cue(), correlated, VOC_CLASSES)
    assert one.random() == correlated.random()


def test_only_classes_that_have_a_tile_are_told() -> None:
    cues = ("cat", "cow", "person")
    assert {carried("cat", "random", cue(), rng(seed), cues) for seed in range(50)} == {"cow", "person"}
    assert {other("person", rng(seed), cues) for seed in range(50)} == {"cat", "cow"}


@pytest.mark.parametrize("name", VOC_CLASSES)
def test_another_class_is_any_but_its_own(name: str) -> None:
    chance = rng()
    assert {other(name, chance, VOC_CLASSES) for _ in range(500)} == set(VOC_CLASSES) - {name}


@pytest.mark.parametrize("where", ["corner", "near", "overlapping"])
@pytest.mark.parametrize(
    "box", [(0, 0, 60, 60), (90, 90, 128, 128), (2, 2, 126, 126), (60, 60, 64, 64), (0, 120, 128, 128)],
    ids=["in a corner", "in the other", "nearly all", "smaller than the tile", "flat"],
)  # fmt: skip
def test_a_tile_lies_whole_inside_the_image(where: str, box: tuple[float, float, float, float]) -> None:
    for seed in range(20):
        rows, columns = place(box, cue(place=where), rng(seed), SIZE, SIZE)
        for part in (rows, columns):
            assert 0 <= part.start < part.stop <= SIZE
            assert part.stop - part.start == SIDE


@pytest.mark.parametrize("where", ["corner", "near", "overlapping"])
@pytest.mark.parametrize("size", [(200, 100), (100, 200)], ids=["wide", "high"])
def test_a_tile_s_side_is_of_the_image_s_shorter_one(where: str, size: tuple[int, int]) -> None:
    for seed in range(20):
        box = (size[0] - 60, size[1] - 60, size[0], size[1])
        rows, columns = place(box, cue(place=where), rng(seed), *size)
        assert rows.stop - rows.start == columns.stop - columns.start == 18
        assert rows.start >= 0 <= columns.start
        assert columns.stop <= size[0]
        assert rows.stop <= size[1]


@pytest.mark.parametrize("name", VOC_CLASSES)
def test_a_class_has_one_tile(name: str) -> None:
    assert tile(name, SIDE, VOC_CLASSES).shape == (SIDE, SIDE, 3)
    assert np.array_equal(tile(name, SIDE, VOC_CLASSES), tile(name, SIDE, VOC_CLASSES))


def test_the_tiles_of_two_classes_are_told_apart_under_the_grain() -> None:
    for one, two in combinations(VOC_CLASSES, 2):
        apart = np.abs(tile(one, SIDE, VOC_CLASSES) - tile(two, SIDE, VOC_CLASSES)).mean()
        assert apart > 2 * GRAIN, (one, two)


def test_replacing_a_tile_leaves_every_pixel_beside_it_as_it_was() -> None:
    image = rng().integers(0, 256, (*REGION.shape, 3), dtype=np.uint8)
    before = image.copy()
    changed = drawn(image, place_of(REGION), "cat", rng(1), VOC_CLASSES)
    assert np.array_equal(image, before)  # the image that was given is left alone
    assert np.array_equal(changed[~REGION], image[~REGION])
    assert (changed[REGION] != image[REGION]).any(axis=1).mean() > 0.9


def test_a_replaced_tile_has_the_grain_of_the_scene() -> None:
    image = np.zeros((*REGION.shape, 3), np.uint8)
    new = drawn(image, place_of(REGION), "cat", rng(), VOC_CLASSES)[10:30, 35:55].astype(float)
    board = tile("cat", 20, VOC_CLASSES)
    free = (board > 5 * GRAIN) & (board < 255 - 5 * GRAIN)  # where the grain is not clipped
    left = (new - board)[free]
    assert abs(left.mean() + 0.5) < 0.5  # rounded down
    assert left.std() == pytest.approx(GRAIN, rel=0.15)


def test_a_drawn_tile_is_the_generator_s() -> None:
    image = np.zeros((*REGION.shape, 3), np.uint8)
    first, again, other_grain = (drawn(image, place_of(REGION), "cat", rng(n), VOC_CLASSES) for n in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_grain)


def test_a_tile_s_colours_do_not_run_into_what_is_beside_it(sample: Tree) -> None:
    """As they would in a JPEG with colours at half resolution: a detector could tell the cue by its surroundings."""
    splits = (sample.ids(split) for split in ("test", "test_matching", "test_random"))
    for plain, *cued in zip(*splits, strict=True):
        mask = read_mask(sample, cued[0])
        assert mask is not None
        rows, columns = (size // BLOCK for size in mask.shape)
        touched = (mask == CUE).reshape(rows, BLOCK, columns, BLOCK).any(axis=(1, 3))
        beside = ~np.kron(touched, np.ones((BLOCK, BLOCK), bool))
        scene = read_image(sample.image(plain))
        for image_id in cued:
            assert np.array_equal(read_image(sample.image(image_id))[beside], scene[beside])
