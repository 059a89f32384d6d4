"""Gaze predictors, and the stage that stores attention by image id."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from toolkit import agreement, attention, maps, metrics
from toolkit.attention import PREDICTORS, Predictor, bottom_up
from toolkit.attention.bottom_up import centre_bias
from toolkit.errors import BadInput
from toolkit.files import png, read_image, sha256, write
from toolkit.voc import Tree


def spot(height: int, width: int, row: float, column: float) -> np.ndarray:
    """A red disc on grey; its centre at these shares of the image."""
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - row * height, x - column * width) < 0.08 * max(height, width)
    return np.where(disc[..., None], np.uint8([200, 30, 30]), np.uint8(128))


EMBEDDED = [name for name in PREDICTORS if name != "deepgaze2e"]


def predicted(name: str, image: np.ndarray) -> np.ndarray:
    """What the predictor says of an image alone."""
    (density,) = attention.load(name)([image])
    return density


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("size", [(96, 96), (60, 200), (300, 40)])
def test_a_density_is_finite_positive_and_about_the_image_s_shape(name: str, size: tuple[int, int]) -> None:
    density = predicted(name, np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    assert np.isfinite(density).all()
    assert (density >= 0).all()
    assert density.shape[0] / density.shape[1] == pytest.approx(size[0] / size[1], rel=0.25)


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_batch_of_any_sizes_gives_what_its_images_give_alone(name: str) -> None:
    images = [spot(*shape, 0.5, 0.3) for shape in ((60, 200), (96, 96), (300, 40))]
    together = attention.load(name)(images)
    for image, density in zip(images, together, strict=True):
        assert np.array_equal(density, predicted(name, image))
    assert attention.load(name)([]) == []


BLANK = np.full((64, 64, 3), 128, np.uint8)


def peak(density: np.ndarray) -> tuple[float, float]:
    """The middle of the highest cell, in shares of the height and width."""
    row, column = np.unravel_index(density.argmax(), density.shape)
    return (row + 0.5) / density.shape[0], (column + 0.5) / density.shape[1]


@pytest.mark.parametrize("name", ["bottom_up", "spectral_residual", "centre"])
def test_a_blank_image_leaves_the_centre_bias(name: str) -> None:
    density = predicted(name, BLANK)
    assert maps.normalise(density) == pytest.approx(maps.normalise(centre_bias(*density.shape)), abs=0.001)


def test_gaze_lite0_looks_at_the_middle_of_a_blank_image() -> None:
    density = predicted("gaze_lite0", BLANK)
    height, width = density.shape
    assert peak(density) == pytest.approx((0.5, 0.5), abs=0.15)
    assert density[height // 4 : -height // 4, width // 4 : -width // 4].sum() > 0.5  # of the density, on a quarter
    assert np.corrcoef(density.ravel(), density[:, ::-1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["gaze_lite0", "bottom_up", "spectral_residual"])
@pytest.mark.parametrize("place", [(0.35, 0.35), (0.6, 0.7)])
def test_what_stands_out_is_looked_at(name: str, place: tuple[float, float]) -> None:
    density = predicted(name, spot(120, 160, *place))
    assert peak(density) == pytest.approx(place, abs=0.12)
    assert density[0, 0] < 0.1 * density.max()


@pytest.mark.parametrize(
    ("photograph", "face"),
    [(skimage.data.astronaut, (0.14, 0.33, 0.37, 0.55)), (skimage.data.chelsea, (0.15, 0.27, 0.8, 0.6))],
)
def test_gaze_lite0_looks_at_a_face(
    photograph: Callable[[], np.ndarray], face: tuple[float, float, float, float]
) -> None:
    row, column = peak(predicted("gaze_lite0", photograph()))
    top, left, bottom, right = face
    assert top < row < bottom and left < column < right


def test_the_centre_bias_is_a_gaussian_of_the_image_s_proportions() -> None:
    bias = centre_bias(31, 91)
    assert bias[15, 45] == 1
    assert bias[15, 0] == pytest.approx(np.exp(-((45 / 91) ** 2) / (2 * 0.28**2)))
    assert bias[0, 0] == pytest.approx(np.exp(-((45 / 91) ** 2 + (15 / 31) ** 2) / (2 * 0.28**2)))


def test_the_centre_bias_is_highest_in_the_middle_of_any_shape() -> None:
    bias = centre_bias(30, 90)
    assert bias.max() == bias[14:16, 44:46].max()
    assert np.allclose(bias, bias[::-1, ::-1])


def test_bottom_up_beats_the_centre_bias_on_the_sample(sample: Tree) -> None:
    def mean_iou(name: str) -> float:
        scores = []
        for image_id in sample.ids("test"):
            truth = maps.load(sample.attention(image_id))
            found = maps.normalise(predicted(name, read_image(sample.image(image_id))))
            scores.append(metrics.iou(maps.scale(found, *truth.shape), truth))
        return float(np.mean(scores))

    assert mean_iou("bottom_up") > mean_iou("centre")


@pytest.fixture
def nobody(workplace: Path) -> Path:
    """The folder for people's attention as it comes: nothing in it but what says what it is for."""
    write(workplace / "human" / "README.md", "people")
    return workplace / "human"


def test_the_stage_pairs_by_id_and_keeps_human_attention_as_it_is(sample: Tree, workplace: Path, nobody: Path) -> None:
    attention.build(sample, "bottom_up", nobody, workplace / "out")
    ids = sorted(path.stem for path in (workplace / "out" / "gaze").iterdir())
    assert ids == sample.all_ids()
    for image_id in ids:
        assert sha256(workplace / "out" / "human" / f"{image_id}.png") == sha256(sample.attention(image_id))


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_map_of_the_source_s_is_not_known_attention(
    sample: Tree, workplace: Path, nobody: Path, level: int
) -> None:
    source = Tree(workplace / "source")
    shutil.copytree(sample.root, source.root)
    blank, *others = sample.all_ids()
    source.attention(blank).unlink()  # a link to the sample's own
    write(source.attention(blank), png(np.full((96, 96), level, np.uint8)))
    attention.build(source, "centre", nobody, workplace / "out")
    assert sorted(path.stem for path in (workplace / "out" / "human").iterdir()) == others
    assert (workplace / "out" / "gaze" / f"{blank}.png").exists()
    row = agreement.against(maps.load(sample.attention(blank)), workplace / "out", blank)
    assert not any(name.startswith("human") for name in row)
    assert row["gaze_iou"] > 0  # what `against: known` selects by


def test_a_stored_map_is_not_made_again(
    sample: Tree, workplace: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention.build(sample, "centre", nobody, workplace / "first")

    def fail(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        raise AssertionError("predicted again")

    monkeypatch.setattr(bottom_up, "centre", fail)
    attention.build(sample, "centre", nobody, workplace / "second")
    for path in (workplace / "first" / "gaze").iterdir():
        assert sha256(path) == sha256(workplace / "second" / "gaze" / path.name)


def leftmost(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A predictor that says of any image that people look at its left edge."""
    return [np.tile(np.arange(8, 0, -1), (6, 1)) for _ in images]


def test_a_row_in_the_table_is_all_that_a_predictor_needs(
    sample: Tree, workplace: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PREDICTORS, "leftmost", Predictor(__name__, "the left edge"))
    attention.build(sample, "leftmost", nobody, workplace / "out")
    for image_id in sample.all_ids():
        gaze = maps.load(workplace / "out" / "gaze" / f"{image_id}.png")
        assert np.array_equal(gaze, maps.load(workplace / "out" / "gaze" / f"{sample.all_ids()[0]}.png"))
        assert (np.diff(gaze, axis=1) < 0).all()


def test_an_unknown_predictor_is_refused_by_name_and_the_known_ones_are_told(
    sample: Tree, workplace: Path, nobody: Path
) -> None:
    with pytest.raises(BadInput) as refused:
        attention.build(sample, "rightmost", nobody, workplace / "out")
    (problem,) = refused.value.problems
    assert problem.file == "attention.predictor" and "'rightmost'" in problem.fault
    assert all(name in problem.mend for name in PREDICTORS)


def test_masks_in_the_folder_for_people_take_the_place_of_the_source_s(sample: Tree, workplace: Path) -> None:
    marked, other = sample.ids("train")[:2]
    mask = np.zeros((96, 96), np.uint8)
    mask[10:30, 50:80] = 255
    write(workplace / "human" / "masks" / "cat" / f"{marked}.png", png(mask))
    attention.build(sample, "centre", workplace / "human", workplace / "out")
    found = maps.load(workplace / "out" / "human" / f"{marked}.png")
    assert np.array_equal(found > 0.5, mask > 0)
    assert not (workplace / "out" / "human" / f"{other}.png").exists()


def test_a_recording_gives_densities_and_the_fixations_themselves(sample: Tree, workplace: Path) -> None:
    image_id = sample.ids("train")[0]
    recording = workplace / "human" / "mit"
    points = np.zeros((96, 96), np.uint8)
    points[[20, 21, 70], [30, 31, 80]] = 255
    write(recording / "ALLSTIMULI" / f"{image_id}.jpeg", sample.image(image_id).read_bytes())
    jpeg = cv2.imencode(".jpg", points, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    write(recording / "ALLFIXATIONMAPS" / f"{image_id}_fixPts.jpg", jpeg)
    attention.build(sample, "centre", recording, workplace / "out")
    found = np.loadtxt(workplace / "out" / "fixations" / f"{image_id}.csv", delimiter=",", skiprows=1)
    assert sorted(map(tuple, found[:, :2])) == [(30.5, 20.5), (31.5, 21.5), (80.5, 70.5)]
    assert np.unique(found[:, 2:], axis=0).tolist() == [[0, 35]]  # nobody told whose each is; pixels in a degree
    density = maps.load(workplace / "out" / "human" / f"{image_id}.png")
    assert density[20:22, 30:32].min() > density[70, 80] > density[5, 90]


def test_a_folder_for_people_that_is_not_there_is_bad_input(sample: Tree, workplace: Path) -> None:
    with pytest.raises(BadInput, match="is not a folder"):
        attention.build(sample, "centre", workplace / "nowhere", workplace / "out")


def test_masks_may_lie_in_the_folder_itself(sample: Tree, workplace: Path, nobody: Path) -> None:
    image_id = sample.ids("train")[0]
    write(nobody / f"{image_id}.png", png(np.eye(96, dtype=np.uint8) * 255))
    attention.build(sample, "centre", nobody, workplace / "out")
    assert [path.stem for path in (workplace / "out" / "human").iterdir()] == [image_id]
