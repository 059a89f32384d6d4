"""Inpainting changes the hole alone, fills it from its 2-D surroundings, and gives the same bytes in any company."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from toolkit import maps
from toolkit.files import read_image
from toolkit.params import Inpaint
from toolkit.variants import deep_image_prior, study_prior
from toolkit.variants.inpainting import RADIUS, Holed, inpaint, telea
from toolkit.variants.regions import most_salient
from toolkit.workers import batches, mapped

DIP, TELEA = Inpaint(method="dip", preset="fast"), Inpaint(method="telea", preset="fast")
ENGINES = pytest.mark.parametrize("engine", [DIP, TELEA], ids=["dip", "telea"])


def waves(height: int = 60, width: int = 84, period: float = 40) -> np.ndarray:
    """Slanted colour waves on a gradient, [H, W, 3] uint8: what a hole in them hides can be told from around it."""
    y, x = np.mgrid[:height, :width]
    planes = [np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / period) for turn in (0.3, 0.9, 2.0)]
    return np.rint(np.stack(planes, axis=2) * 70 + 100 + (x / width * 40)[..., None]).astype(np.uint8)


def rectangle(image: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hole = np.zeros(image.shape[:2], bool)
    hole[top:bottom, left:right] = True
    return hole


def error(filled: np.ndarray, image: np.ndarray, hole: np.ndarray) -> float:
    """Root mean square error in the hole, in grey levels."""
    return float(np.sqrt(np.mean((filled[hole].astype(float) - image[hole]) ** 2)))


def mean_colour(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.where(hole[..., None], np.rint(image[~hole].mean(axis=0)), image).astype(np.uint8)


def dip(image: np.ndarray, hole: np.ndarray, seed: int = 1, iterations: int = 5) -> np.ndarray:
    return deep_image_prior.fill(image, hole, seed, iterations)


@pytest.mark.parametrize("fill", [dip, telea])
@pytest.mark.parametrize(
    "bounds",
    [(20, 34, 30, 50), (30, 31, 0, 84), (0, 60, 12, 13), (0, 9, 70, 84), (7, 8, 7, 8), (0, 59, 0, 84)],
    ids=["inside", "one row", "one column", "corner", "one pixel", "all but one row"],
)
def test_known_pixels_keep_their_bytes(fill: Callable[..., np.ndarray], bounds: tuple[int, int, int, int]) -> None:
    image = waves()
    hole = rectangle(image, *bounds)
    blank = np.where(hole[..., None], np.uint8(255), image)
    before = blank.copy()
    filled = fill(blank, hole)
    assert filled.shape == image.shape and filled.dtype == np.uint8
    assert (filled[~hole] == image[~hole]).all()
    assert (filled[hole] != 255).any()
    assert (blank == before).all()


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (3, 5), (300, 20)])
def test_images_of_any_shape(shape: tuple[int, int]) -> None:
    image = waves(*shape)
    hole = np.zeros(shape, bool)
    hole.flat[hole.size // 2] = True
    filled = dip(image, hole)
    assert (filled[~hole] == image[~hole]).all()
    assert error(filled, image, hole) < 60


@pytest.mark.parametrize("shape", [(96, 128), (128, 96)])
def test_texture_is_filled_from_its_two_dimensional_surroundings(shape: tuple[int, int]) -> None:
    """The study ran Deep Image Prior on a transposed tensor, whose columns and colours were its two dimensions."""
    image = waves(*shape)
    hole = rectangle(image, 40, 62, 44, 66)
    filled = dip(np.where(hole[..., None], np.uint8(0), image), hole, iterations=100)
    assert error(filled, image, hole) < 0.6 * error(mean_colour(image, hole), image, hole)


def test_what_the_hole_hides_does_not_matter() -> None:
    image = waves()
    hole = rectangle(image, 20, 34, 30, 50)
    assert (dip(np.where(hole[..., None], np.uint8(0), image), hole) == dip(image, hole)).all()


def test_grey_stays_nearly_grey() -> None:
    image = np.repeat(waves()[..., :1], 3, axis=2)
    hole = rectangle(image, 20, 34, 30, 50)
    filled = dip(image, hole, iterations=60)[hole].astype(int)
    assert np.ptp(filled, axis=1).mean() < 10


def test_a_constant_image_stays_nearly_constant() -> None:
    image = np.full((50, 70, 3), 131, np.uint8)
    hole = rectangle(image, 10, 30, 10, 30)
    assert error(dip(image, hole, iterations=40), image, hole) < 6


def test_the_seed_decides() -> None:
    image = waves()
    hole = rectangle(image, 20, 34, 30, 50)
    state = torch.random.get_rng_state()
    once = dip(image, hole, seed=2**59 + 1)
    assert (once == dip(image, hole, seed=2**59 + 1)).all()
    assert (once != dip(image, hole, seed=7)).any()
    assert torch.equal(torch.random.get_rng_state(), state)


def side_by_side(work: Sequence[Holed], size: int = 1) -> list[np.ndarray]:
    """Filled as variants are: by each thread a batch at a time."""
    return list(chain.from_iterable(mapped(lambda: partial(inpaint, settings=DIP), batches(work, size))))


@pytest.mark.parametrize(("threads", "size"), [(1, 1), (2, 1), (2, 3), (3, 2)])
def test_company_slot_and_threads_change_nothing(threads: int, size: int) -> None:
    image, others = waves(), [waves(70, 50, 9), waves(40, 90, 25), waves(33, 33, 13)]
    hole = rectangle(image, 20, 34, 30, 50)
    holes = [rectangle(other, 5, 25, 5, 25) for other in others]
    (alone,) = side_by_side([Holed(image, hole, 1)])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        first, *_ = side_by_side(list(map(Holed, [image, *others], [hole, *holes], [1, 4, 5, 6])), size)
        *_, last = side_by_side(list(map(Holed, [*others[:2], image], [*holes[:2], hole], [8, 9, 1])), size)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert first.tobytes() == last.tobytes() == alone.tobytes()


def test_the_study_s_procedure_fills_from_two_dimensions_and_leaves_the_rest() -> None:
    image = waves(40, 56, 24)
    hole = rectangle(image, 16, 24, 20, 30)
    blank = np.where(hole[..., None], np.uint8(0), image)
    filled = study_prior.fill(blank, hole, 1, side=32, iterations=250)
    assert (filled[~hole] == image[~hole]).all()
    assert error(filled, image, hole) < 0.6 * error(mean_colour(image, hole), image, hole)
    assert (
        study_prior.fill(blank, hole, 1, side=32, iterations=3)
        == study_prior.fill(image, hole, 1, side=32, iterations=3)
    ).all()


def test_the_study_s_network() -> None:
    convolutions = [m for m in study_prior.network().modules() if isinstance(m, torch.nn.Conv2d)]
    assert (study_prior.SIDE, study_prior.ITERATIONS, study_prior.BLOCKS) == (512, 4001, 8)
    assert [c.in_channels for c in convolutions] == [32] * 19
    assert study_prior.network()(torch.rand(1, 32, 24, 24)).shape == (1, 3, 24, 24)


@ENGINES
def test_an_empty_hole_changes_nothing(engine: Inpaint) -> None:
    image = waves()
    (filled,) = inpaint([Holed(image, np.zeros(image.shape[:2], bool), 1)], engine)
    assert (filled == image).all()


@ENGINES
def test_a_hole_that_leaves_nothing_is_refused(engine: Inpaint) -> None:
    image = waves()
    with pytest.raises(ValueError, match="covers the whole image"):
        inpaint([Holed(image, np.ones(image.shape[:2], bool), 2)], engine)


def test_a_hole_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the hole is"):
        inpaint([Holed(waves(), np.zeros((5, 5), bool), 1)], DIP)


def test_telea_is_opencvs() -> None:
    image = waves()
    hole = rectangle(image, 20, 34, 30, 50)
    (filled,) = inpaint([Holed(image, hole, 1)], TELEA)
    expected = cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    assert (filled[hole] == expected[hole]).all()


def test_no_images() -> None:
    assert inpaint([], DIP) == []


def test_photographs_are_filled_better_than_by_the_mean_colour(real: Path) -> None:
    paths = sorted((real / "voc2012_mini" / "JPEGImages").glob("*.jpg"))[:4]
    images = [read_image(path) for path in paths]
    holes = []
    for seed, image in enumerate(images):
        coarse = cv2.GaussianBlur(np.random.default_rng(seed).random((16, 16)).astype(np.float32), (0, 0), 2)
        holes.append(most_salient(maps.scale(maps.normalise(coarse), *image.shape[:2]), 2.5, str(seed)))
    filled = side_by_side(list(map(Holed, images, holes, range(4))))
    ours = [error(*three) for three in zip(filled, images, holes, strict=True)]
    plain = [error(mean_colour(image, hole), image, hole) for image, hole in zip(images, holes, strict=True)]
    assert np.mean(ours) < 0.8 * np.mean(plain)
