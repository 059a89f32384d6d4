"""POET's recording: five people's gaze on photographs of VOC that do not come with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.toolkit.attention.layouts import NOBODY, Eyes, picture, poet
from toolkit.attention import recordings
from toolkit.attention.human import attention_of
from toolkit.attention.recordings import Recording
from toolkit.errors import BadInput
from toolkit.voc import Tree, read

ANIMALS = {"bird", "cat", "cow", "dog", "horse", "sheep"}
START = [-200.0, 90.0]  # where a trial's first fixation is: outside of the photograph
NAN = [np.nan, np.nan]


def both(*points: list[float]) -> Eyes:
    return np.array([START, *points]), np.array([START, *points])


def fixated(folder: Path, image_id: str = "2008_000001") -> list[list[list[float]]]:
    return [points.tolist() for points in recordings.read(folder).viewings[image_id].fixations]


def test_dimensions_are_height_and_width_and_positions_x_and_y(tmp_path: Path) -> None:
    poet(tmp_path, "cat", [("2008_000001", (500, 375), [both([300.0, 450.0], [450.0, 300.0])])])
    poet(tmp_path, "dog", [("2008_000002", (375, 500, 3), [both([300.0, 450.0], [450.0, 300.0])])])
    found = recordings.read(tmp_path)
    assert (found.name, list(found.viewings), found.benchmark) == ("POET", ["2008_000001", "2008_000002"], False)
    assert [viewing.size for viewing in found.viewings.values()] == [(375, 500), (500, 375)]
    assert fixated(tmp_path) == [[[300.0, 450.0]]]
    assert fixated(tmp_path, "2008_000002") == [[[450.0, 300.0]]]


def test_a_fixation_is_the_mean_of_the_eyes_that_are_known(tmp_path: Path) -> None:
    left = np.array([START, [10.0, 20.0], NAN, [30.0, np.nan], NAN, [50.0, 60.0]])
    right = np.array([START, [14.0, 26.0], [18.0, 28.0], [34.0, 46.0], NAN, [54.0, np.nan]])
    poet(tmp_path, "cat", [("2008_000001", (375, 500), [(left, right)])])
    assert fixated(tmp_path) == [[[12.0, 23.0], [18.0, 28.0], [34.0, 46.0], [50.0, 60.0]]]


def test_each_first_fixation_and_those_outside_are_dropped(tmp_path: Path) -> None:
    first_inside = np.array([[250.0, 180.0], [0.0, 0.0], [499.9, 374.9]])
    outside = both([500.0, 10.0], [10.0, 375.0], [-0.1, 10.0], [7.0, 8.0])
    poet(tmp_path, "cat", [("2008_000001", (375, 500), [(first_inside, first_inside), outside])])
    assert fixated(tmp_path) == [[[0.0, 0.0], [499.9, 374.9]], [[7.0, 8.0]]]


@pytest.mark.parametrize("nothing", [NOBODY, np.zeros((0, 0), np.uint8)])
def test_an_empty_trial_is_an_observer_who_fixated_nothing(tmp_path: Path, nothing: np.ndarray) -> None:
    poet(tmp_path, "cat", [("2008_000001", (375, 500), [(nothing, nothing), both([7.0, 8.0]), both()])])
    assert fixated(tmp_path) == [[], [[7.0, 8.0]], []]


def test_whoever_searched_a_photograph_for_another_class_is_one_more_observer(tmp_path: Path) -> None:
    poet(tmp_path, "cat", [("2008_000001", (375, 500), [both([1.0, 2.0])])])
    poet(tmp_path, "sofa", [("2008_000001", (375, 500), [both([3.0, 4.0]), both([5.0, 6.0])])])
    assert fixated(tmp_path) == [[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]


def test_a_degree_is_that_of_the_photograph_scaled_to_500_pixels_or_to_the_screen_s_height(tmp_path: Path) -> None:
    sizes = {"a": (375, 500), "b": (500, 250), "c": (500, 100)}
    poet(tmp_path, "cat", [(image_id, size, [both()]) for image_id, size in sizes.items()])
    found = recordings.read(tmp_path)
    assert [v.degree for v in found.viewings.values()] == pytest.approx([37, 37 / 2, 37 * 500 / 1050])


def test_photographs_are_needed_only_by_who_looks_at_them(tmp_path: Path) -> None:
    poet(tmp_path, "cat", [(image_id, (40, 60), [both([7.0, 8.0])]) for image_id in ("a", "b")])
    assert attention_of(tmp_path, ["a"])("a").map is not None
    with pytest.raises(BadInput, match=r"has none of the images of POET -- put the images into .*stimuli"):
        recordings.with_images(tmp_path)
    picture(tmp_path / "stimuli" / "b.jpg")
    found = recordings.with_images(tmp_path)
    assert list(found.viewings) == ["b"]
    assert found.viewings["b"].image == tmp_path / "stimuli" / "b.jpg"
    picture(tmp_path / "stimuli" / "a.jpg", width=50)
    with pytest.raises(BadInput, match=r"a\.jpg: has \(50, 40\) pixels, its image in the recording \(60, 40\)"):
        recordings.with_images(tmp_path)


# ---- refused


def faults(folder: Path) -> dict[str, str]:
    with pytest.raises(BadInput) as error:
        recordings.read(folder)
    assert all(problem.mend for problem in error.value.problems)
    return {Path(problem.file).name: problem.fault for problem in error.value.problems}


def test_every_file_that_is_not_poet_s_is_named(tmp_path: Path) -> None:
    poet(tmp_path, "cat", [("a", (40, 60), [both([7.0, 8.0])])])
    (tmp_path / "etData_dog.mat").write_bytes((tmp_path / "etData_cat.mat").read_bytes()[:-40])
    (tmp_path / "etData_cow.mat").write_text("text")
    savemat(tmp_path / "etData_boat.mat", {"other": np.zeros(3)})
    savemat(tmp_path / "etData_sofa.mat", {"etData": np.zeros(3)})
    savemat(tmp_path / "etData_horse.mat", {"etData": np.zeros((0, 1), [("filename", object)])})
    found = faults(tmp_path)
    assert set(found) == {f"etData_{name}.mat" for name in ("dog", "cow", "boat", "sofa", "horse")}
    assert "it has no variable `etData`" in found["etData_boat.mat"]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "b/a"])
def test_an_id_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    poet(tmp_path, "cat", [(name, (40, 60), [both()])])
    assert "is no file name" in faults(tmp_path)["etData_cat.mat"]


@pytest.mark.parametrize(
    ("dimensions", "eyes", "fault"),
    [
        ((0, 60), both(), "no image has 60 x 0 pixels"),
        ((40, 60), (NOBODY, both()[1]), "different numbers of fixations"),
        ((40, 60), (np.zeros((4, 3)), np.zeros((4, 3))), r"are no x and y"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, dimensions: tuple[int, int], eyes: Eyes, fault: str) -> None:
    poet(tmp_path, "cat", [("a", dimensions, [eyes])])
    assert fault in faults(tmp_path)["etData_cat.mat"]


def test_a_photograph_of_two_sizes_is_refused(tmp_path: Path) -> None:
    poet(tmp_path, "cat", [("a", (40, 60), [both()])])
    poet(tmp_path, "dog", [("a", (60, 40), [both()])])
    assert faults(tmp_path) == {tmp_path.name: "has a in two sizes, (60, 40) and (40, 60)"}


# ---- the real recording


@pytest.fixture(scope="module")
def tree(real: Path) -> Tree:
    """Its photographs of animals, with boxes."""
    if not (real / "poet").is_dir():
        pytest.skip("SALVOC_REAL has no POET")
    return Tree(real / "poet" / "voc")


@pytest.fixture(scope="module")
def recording(real: Path, tree: Tree) -> Recording:
    return recordings.read(real / "poet" / "etData")


def test_poet_is_read_whole(recording: Recording) -> None:
    found = recording.viewings.values()
    assert len(found) == 6_131
    observers = [len(viewing.fixations) for viewing in found]
    assert (observers.count(5), observers.count(10)) == (5_992, 139)
    per_trial = np.mean([len(points) for viewing in found for points in viewing.fixations])
    assert per_trial == pytest.approx(3.0, abs=0.05)  # of 4.1: without the first and the 3 % outside
    assert all(viewing.degree < 37.1 * max(viewing.size) / 500 for viewing in found)


def test_every_photograph_has_the_size_that_poet_says(recording: Recording, tree: Tree) -> None:
    for image_id in tree.all_ids():
        with Image.open(tree.image(image_id)) as image:
            assert recording.viewings[image_id].size == image.size


@pytest.mark.parametrize("upright", [False, True])
def test_people_look_at_the_animals(recording: Recording, tree: Tree, upright: bool) -> None:
    """Twice as often as chance, in photographs that are wider than high and in others; exchanged, x and y do worse."""
    on, exchanged, share = [], [], []
    for image_id in tree.all_ids():
        viewing = recording.viewings[image_id]
        width, height = viewing.size
        if (height > width) != upright:
            continue
        mask = np.zeros((height, width), bool)
        for item in read(tree.annotation(image_id)).objects:
            if item.name in ANIMALS:
                x0, y0, x1, y1 = map(int, item.box)
                mask[y0:y1, x0:x1] = True
        points = np.concatenate(viewing.fixations) / viewing.size
        for places, found in ((points, on), (points[:, ::-1], exchanged)):
            x, y = np.floor(places * viewing.size).astype(int).T
            found.extend(mask[y, x])
        share += [mask.mean()] * len(points)
    assert np.mean(on) > np.mean(share) + 0.25
    assert np.mean(on) > np.mean(exchanged) + 0.1
