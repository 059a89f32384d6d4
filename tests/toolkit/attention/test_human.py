"""People's attention from outside: annotators' masks by id, or a recording's fixations and their density."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.toolkit.attention.test_recordings import ANN, BOB, NOBODY, osie, picture, scene
from toolkit import maps
from toolkit.attention.human import SIDE, Human, attention_of, marked, seen
from toolkit.attention.recordings import Viewing
from toolkit.errors import BadInput
from toolkit.files import png, write

few = settings(max_examples=30, deadline=None)
VOC = Path("Image") / "PASCAL_VOC_2012"


def blot(left: int, width: int = 60, height: int = 40) -> np.ndarray:
    """A grey mask that is bright for ten columns."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, left : left + 10] = 255
    return mask


def jpeg(path: Path, pixels: np.ndarray) -> None:
    write(path, cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


@pytest.fixture
def benchmark_tree(tmp_path: Path) -> Path:
    """The benchmark's tree: `a` is marked for two classes, `b` for one, and the photographs have the same names."""
    masks = tmp_path / VOC / "human_attention_mask"
    jpeg(masks / "cat" / "a.jpg", blot(0))
    jpeg(masks / "dog" / "a.jpg", blot(40))
    jpeg(masks / "dog" / "b.jpg", blot(20))
    picture(tmp_path / VOC / "original_images" / "cat" / "a.jpg")
    picture(tmp_path / VOC / "human_attention_overlay" / "cat" / "c.jpg")
    return tmp_path


def problems(path: Path, wanted: list[str]) -> dict[str, str]:
    """The fault of each file that is named, by its path below `path`."""
    with pytest.raises(BadInput) as error:
        attention_of(path, wanted)
    assert all(problem.mend for problem in error.value.problems)
    return {str(Path(p.file).relative_to(path)): p.fault for p in error.value.problems}


# ---- masks


def test_an_image_marked_for_two_classes_has_their_mean(benchmark_tree: Path) -> None:
    known = attention_of(benchmark_tree, ["a", "b", "c", "d"])
    a = known("a")
    assert a.viewing is None and a.map is not None
    assert (a.map.shape, a.map.dtype) == ((40, 60), np.float32)
    assert a.map[:, 2:8].min() > 0.9 and a.map[:, 42:48].min() > 0.9
    assert a.map[:, 15:35].max() < 0.1


def test_an_image_without_a_mask_is_not_known(benchmark_tree: Path) -> None:
    known = attention_of(benchmark_tree, ["a", "c", "d"])
    assert known("c") == known("d") == known("b") == Human(None, None)


@pytest.mark.parametrize("below", [".", VOC, VOC / "human_attention_mask"])
def test_the_folder_may_be_given_at_any_height(benchmark_tree: Path, below: Path) -> None:
    whole, part = attention_of(benchmark_tree, ["a"])("a"), attention_of(benchmark_tree / below, ["a"])("a")
    assert np.array_equal(whole.map, part.map)


def test_masks_need_no_folder_of_that_name(tmp_path: Path) -> None:
    jpeg(tmp_path / "deep" / "down" / "a.JPG", blot(20))
    assert attention_of(tmp_path, ["a"])("a").map is not None


def test_a_mask_is_a_stored_map_without_loss(benchmark_tree: Path, tmp_path: Path) -> None:
    found = attention_of(benchmark_tree, ["a"])("a").map
    assert found is not None
    write(tmp_path / "a.png", maps.encode(found))
    assert np.array_equal(maps.load(tmp_path / "a.png"), found)


def test_masks_of_other_sizes_are_scaled_to_the_first() -> None:
    found = marked([blot(0), cv2.resize(blot(40), (120, 80))]).map
    assert found is not None
    assert found.shape == (40, 60)
    assert found[:, 2:8].min() > 0.9 and found[:, 42:48].min() > 0.9


@few
@given(st.permutations([0, 15, 30, 45]))
def test_the_order_of_masks_of_one_size_does_not_matter(order: list[int]) -> None:
    assert np.array_equal(
        marked([blot(left) for left in order]).map, marked([blot(0), blot(15), blot(30), blot(45)]).map
    )


@pytest.mark.parametrize("level", [0, 200])
def test_a_constant_mask_says_nothing(level: int) -> None:
    assert marked([np.full((40, 60), level, np.uint8)]) == Human(None, None)


def test_grey_in_three_channels_is_grey(tmp_path: Path) -> None:
    jpeg(tmp_path / "a.jpg", np.repeat(blot(20)[..., None], 3, axis=2))
    jpeg(tmp_path / "b.jpg", blot(20))
    known = attention_of(tmp_path, ["a", "b"])
    assert np.allclose(known("a").map, known("b").map, atol=0.02)


def test_a_mask_of_16_bits_is_read_as_one_of_8(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
    write(tmp_path / "a.png", png(ramp * np.uint16(257)))
    write(tmp_path / "b.png", png(ramp))
    known = attention_of(tmp_path, ["a", "b"])
    assert np.array_equal(known("a").map, known("b").map)


def test_every_mask_that_is_no_grey_image_is_named(tmp_path: Path) -> None:
    jpeg(tmp_path / "good.jpg", blot(20))
    write(tmp_path / "text.jpg", "text")
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.jpg")
    write(tmp_path / "cut.jpg", (tmp_path / "good.jpg").read_bytes()[:-100])
    write(tmp_path / "unwanted.jpg", "text")
    found = problems(tmp_path, ["good", "text", "red", "cut", "missing"])
    assert found.pop("cut.jpg").startswith("does not decode")
    assert found == {"text.jpg": "is not a JPEG or PNG image", "red.jpg": "is coloured"}


def test_no_id_leads_out_of_the_folder(tmp_path: Path) -> None:
    jpeg(tmp_path / "secret.jpg", blot(0))
    jpeg(tmp_path / "masks" / "a.jpg", blot(20))
    known = attention_of(tmp_path / "masks", ["a", "../secret", str(tmp_path / "secret")])
    assert known("../secret") == known(str(tmp_path / "secret")) == Human(None, None)


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    jpeg(tmp_path / "secret.jpg", blot(0))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    assert "leads out of the folder" in problems(tmp_path / "masks", ["a"])["a.jpg"]


def test_a_folder_that_knows_no_wanted_image_is_refused(benchmark_tree: Path, tmp_path: Path) -> None:
    assert problems(benchmark_tree, ["x", "y"]) == {".": "knows none of the 2 images"}
    assert problems(tmp_path / "nowhere", ["x"]) == {".": "is not a folder"}


# ---- recordings


def test_a_recording_gives_fixations_and_a_map_that_peaks_among_them(tmp_path: Path) -> None:
    rest = np.array([[400.0, 300.0]])
    look = np.array([[600.0, 150.0], [604.0, 152.0]])
    osie(tmp_path, [("a.jpg", [np.vstack([rest, look]), np.vstack([rest, look + 1])]), ("b.jpg", [rest, NOBODY])])
    picture(tmp_path / "stimuli" / "a.jpg", 800, 600)
    picture(tmp_path / "stimuli" / "b.jpg", 800, 600)
    known = attention_of(tmp_path, ["a", "b", "c"])
    a = known("a")
    assert a.map is not None and a.viewing is not None
    assert [own.tolist() for own in a.viewing.fixations] == [look.tolist(), (look + 1).tolist()]
    assert (a.map.shape, a.map.dtype, a.map.max()) == ((192, 256), np.float32, 1)
    y, x = np.unravel_index(a.map.argmax(), a.map.shape)
    assert ((x + 0.5) * 800 / 256, (y + 0.5) * 600 / 192) == pytest.approx((602.5, 151.5), abs=3.2)
    assert known("b") == known("c") == Human(None, None)


def test_a_degree_away_a_density_has_fallen_to_the_gaussians_0_6(tmp_path: Path) -> None:
    found = seen(Viewing(Path("a.jpg"), [np.array([[400.0, 300.0]])], (800, 600), 100.0)).map
    assert found is not None
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert found[y, x + 32] == pytest.approx(np.exp(-0.5), abs=0.001)  # 32 cells are 100 pixels


@pytest.mark.parametrize(("size", "cells"), [((800, 600), (192, 256)), ((60, 40), (40, 60)), ((3000, 2), (1, 256))])
def test_a_density_has_no_more_cells_than_it_needs(size: tuple[int, int], cells: tuple[int, int]) -> None:
    found = seen(Viewing(Path("a.jpg"), [np.array([[1.0, 1.0]])], size, 5.0)).map
    assert found is not None
    assert found.shape == cells
    assert max(cells) <= SIDE


def test_a_recording_of_other_images_is_refused(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN, BOB]])
    picture(tmp_path / "stimuli" / "a.jpg")
    assert problems(tmp_path, ["x"]) == {".": "knows none of the 1 images"}


def test_a_broken_recording_is_not_taken_for_masks(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN]])
    picture(tmp_path / "stimuli" / "a.jpg")
    write(tmp_path / "fixations.mat", "text")
    assert list(problems(tmp_path, ["a"])) == ["fixations.mat"]


@pytest.mark.parametrize("name", ["osie", "scene"])
def test_real_recordings_give_every_image_a_map_and_its_fixations(real: Path, name: str) -> None:
    ids = sorted(path.stem for path in (real / name / "stimuli").iterdir())[:10]
    known = attention_of(real / name, ids)
    for image_id in ids:
        found = known(image_id)
        assert found.map is not None and found.viewing is not None
        assert 0 < found.map.mean() < 0.5  # people look at a part of an image
        assert sum(map(len, found.viewing.fixations)) > 20
