"""Eye-tracking recordings: every layout gives the same thing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.toolkit.attention.layouts import ANN, ANN_KEPT, BOB, NOBODY, osie, picture, points_image, scene
from toolkit.attention import recordings
from toolkit.attention.recordings import Recording, Viewing, counts, density
from toolkit.files import png, write


def kept(recording: Recording, image_id: str) -> list[list[list[float]]]:
    return [points.tolist() for points in recording.viewings[image_id].fixations]


def test_osie_names_its_images_and_loses_first_and_outside_fixations(tmp_path: Path) -> None:
    osie(tmp_path, [("b.jpg", [ANN, BOB]), ("a.jpg", [BOB, NOBODY])])
    picture(tmp_path / "stimuli" / "a.jpg")
    picture(tmp_path / "stimuli" / "b.jpg")
    found = recordings.read(tmp_path)
    assert found.name == "OSIE"
    assert list(found.viewings) == ["a", "b"]
    assert kept(found, "a") == [[], []]
    assert kept(found, "b") == [ANN_KEPT, []]
    viewing = found.viewings["b"]
    assert (viewing.image, viewing.size, viewing.degree) == (tmp_path / "stimuli" / "b.jpg", (60, 40), 24)
    assert {(points.dtype.name, points.shape[1]) for points in viewing.fixations} == {("float64", 2)}


def test_scene_goes_by_file_order_and_keeps_a_place_for_who_saw_nothing(tmp_path: Path) -> None:
    scene(tmp_path, [[BOB, NOBODY, ANN], [ANN, ANN, BOB]])
    picture(tmp_path / "stimuli" / "002.jpg")
    picture(tmp_path / "stimuli" / "001.jpg")
    (tmp_path / "stimuli" / "Thumbs.db").write_bytes(b"no image")
    found = recordings.read(tmp_path)
    assert found.name == "Scene"
    assert list(found.viewings) == ["001", "002"]
    assert kept(found, "001") == [[], [], ANN_KEPT]
    assert kept(found, "002") == [ANN_KEPT, ANN_KEPT, []]


def test_a_degree_of_scene_is_that_of_the_image_scaled_to_the_screen(tmp_path: Path) -> None:
    scene(tmp_path, [[BOB]] * 3)
    for name, size in {"a": (256, 256), "b": (1920, 1080), "c": (3840, 1080)}.items():
        picture(tmp_path / "stimuli" / f"{name}.jpg", *size)
    found = recordings.read(tmp_path)
    assert [v.degree for v in found.viewings.values()] == pytest.approx([256 / 25, 1080 / 25, 2 * 1080 / 25])


def test_mit1003_is_one_observer_with_the_middles_of_the_fixated_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "ALLSTIMULI" / "i1.jpeg")
    points_image(tmp_path, "i1", [(0, 0), (59, 39), (20, 7), (21, 7)])
    Image.new("L", (60, 40)).save(tmp_path / "ALLFIXATIONMAPS" / "i1_fixMap.jpg")
    found = recordings.read(tmp_path)
    assert (found.name, list(found.viewings)) == ("MIT1003", ["i1"])
    assert found.viewings["i1"].degree == 35
    assert kept(found, "i1") == [[[0.5, 0.5], [20.5, 7.5], [21.5, 7.5], [59.5, 39.5]]]


def test_a_png_will_do_for_a_stimulus(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN]])
    write(tmp_path / "stimuli" / "a.PNG", png(np.zeros((40, 60, 3), np.uint8)))
    assert kept(recordings.read(tmp_path), "a") == [ANN_KEPT]


def test_a_points_image_of_16_bits_is_read_as_one_of_8(tmp_path: Path) -> None:
    picture(tmp_path / "ALLSTIMULI" / "a.jpeg")
    points_image(tmp_path, "a", [(5, 5)])
    points = np.full((40, 60), 300, np.uint16)  # nearly black: 1 of 255
    points[7, 9] = 65535
    write(tmp_path / "ALLFIXATIONMAPS" / "a_fixPts.jpg", png(points))
    (found,) = recordings.read(tmp_path).viewings["a"].fixations
    assert found.tolist() == [[9.5, 7.5]]


# ---- real recordings


def spread(recording: Recording) -> np.ndarray:
    """Every fixation's place in its image, 0 to 1."""
    return np.concatenate([points / v.size for v in recording.viewings.values() for points in v.fixations])


def test_osie_is_read_whole(real: Path) -> None:
    found = recordings.read(real / "osie")
    assert list(found.viewings) == [str(number) for number in range(1001, 1701)]
    assert {len(v.fixations) for v in found.viewings.values()} == {15}
    assert {v.size for v in found.viewings.values()} == {(800, 600)}
    assert len(spread(found)) == 87_821


def test_scene_is_read_whole_with_no_point_outside(real: Path) -> None:
    found = recordings.read(real / "scene")
    assert len(found.viewings) == 500
    assert {len(v.fixations) for v in found.viewings.values()} == {12}
    assert len(spread(found)) == 43_894 - 5_948  # all but the first of each observer who saw the image
    assert found.viewings["001"].degree == pytest.approx(10.24)


@pytest.mark.parametrize("name", ["osie", "scene"])
def test_people_look_at_the_middle_and_more_so_across_than_down(real: Path, name: str) -> None:
    places = spread(recordings.read(real / name))
    assert np.abs(places.mean(axis=0) - 0.5).max() < 0.05
    wide, high = places.std(axis=0)
    assert high < 0.25 and wide < 0.25 and high < wide


def test_scenes_people_look_at_what_has_edges(real: Path) -> None:
    """The square images alone could have their x and y exchanged unnoticed."""
    found = recordings.read(real / "scene")
    square = [v for v in found.viewings.values() if v.size == (256, 256)][::10]
    right, exchanged = [], []
    for v in square:
        grey = np.asarray(Image.open(v.image).convert("L"), np.float64)
        edges = gaussian_filter(np.hypot(*np.gradient(grey)), 8)
        x, y = np.floor(np.concatenate(v.fixations)).astype(int).T
        right.append((edges[y, x].mean() - edges.mean()) / edges.std())
        exchanged.append((edges[x, y].mean() - edges.mean()) / edges.std())
    assert np.mean(right) > np.mean(exchanged) + 0.4


@pytest.mark.parametrize("name", ["osie", "scene"])
def test_half_of_the_people_look_where_the_other_half_look_in_that_image(real: Path, name: str) -> None:
    def half(viewing: Viewing, start: int) -> np.ndarray:
        return density(counts(viewing, 32, 32, range(start, len(viewing.fixations), 2)), 1.5).ravel()

    viewings = list(recordings.read(real / name).viewings.values())[:40]
    across = np.corrcoef([half(v, 0) for v in viewings], [half(v, 1) for v in viewings])[
        : len(viewings), len(viewings) :
    ]
    assert np.diag(across).mean() > across[~np.eye(len(viewings), dtype=bool)].mean() + 0.3
