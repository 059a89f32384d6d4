"""Eye-tracking recordings: every layout gives the same thing, and what is in none of them is refused by name."""

import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from toolkit.attention import recordings
from toolkit.attention.recordings import Recording, Viewing, counts, density
from toolkit.errors import BadInput
from toolkit.files import png, write

few = settings(max_examples=40, deadline=None)
ANN = np.array([[30.0, 20.0], [10.5, 4.0], [59.9, 39.9], [60.0, 5.0], [-1.0, 5.0], [np.nan, 5.0]])  # x, y of 60 x 40
BOB = np.array([[31.0, 21.0]])
NOBODY = np.zeros((0, 2))
ANN_KEPT = [[10.5, 4.0], [59.9, 39.9]]


def picture(path: Path, width: int = 60, height: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "grey").save(path)


def cells(rows: Sequence[Sequence[object]]) -> np.ndarray:
    """MATLAB's cell array of these."""
    made = np.empty((len(rows), len(rows[0])), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            made[i, j] = cell
    return made


def osie(folder: Path, shown: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Path:
    """A folder laid out as OSIE: these points for each image name; the images are not made."""
    rows = [
        [
            {
                "img": name,
                "subjects": cells([[{"fix_x": p[:, 0], "fix_y": p[:, 1], "fix_duration": p[:, 0]}] for p in observers]),
            }
        ]
        for name, observers in shown
    ]
    (folder / "stimuli").mkdir(parents=True, exist_ok=True)
    savemat(folder / "fixations.mat", {"fixations": cells(rows)})
    return folder


def scene(folder: Path, rows: Sequence[Sequence[np.ndarray]]) -> Path:
    """A folder laid out as Scene: a row of observers' points for each image, in the order of their names."""
    (folder / "stimuli").mkdir(parents=True, exist_ok=True)
    timed = [[np.column_stack([p[:, 1], p[:, 0], p[:, 0], p[:, 0]]) if len(p) else NOBODY for p in row] for row in rows]
    savemat(folder / "fixations.mat", {"fixations": cells(timed)}, do_compression=True)
    return folder


def points_image(
    folder: Path, image_id: str, pixels: Sequence[tuple[int, int]], width: int = 60, height: int = 40
) -> None:
    """MIT1003's picture of the fixated pixels (x, y), with a JPEG's noise."""
    made = np.zeros((height, width), np.uint8)
    for x, y in pixels:
        made[y, x] = 255
    (folder / "ALLFIXATIONMAPS").mkdir(parents=True, exist_ok=True)
    Image.fromarray(made).save(folder / "ALLFIXATIONMAPS" / f"{image_id}_fixPts.jpg", quality=90)


def faults(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as error:
        recordings.read(folder)
    assert all(problem.mend for problem in error.value.problems)
    return [(str(Path(p.file).relative_to(folder)), p.fault) for p in error.value.problems]


def kept(recording: Recording, image_id: str) -> list[list[list[float]]]:
    return [points.tolist() for points in recording.viewings[image_id].fixations]


# ---- layouts


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


# ---- what is refused


@pytest.mark.parametrize("made", [[], ["stimuli"], ["fixations.mat"], ["ALLSTIMULI"]])
def test_a_folder_of_no_layout_is_told_the_layouts(tmp_path: Path, made: list[str]) -> None:
    for name in made:
        (tmp_path / name).mkdir()
    assert not recordings.fits(tmp_path)
    with pytest.raises(BadInput, match=r"OSIE .* Scene .* MIT1003"):
        recordings.read(tmp_path)


HDF5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"


@pytest.mark.parametrize("data", [b"", b"text", b"\x80\x04cos\nsystem\n", HDF5, "cut", "numbers", "structs", "nothing"])
def test_what_is_no_recording_of_matlab_is_refused_by_name(tmp_path: Path, data: bytes | str) -> None:
    scene(tmp_path, [[ANN]])
    picture(tmp_path / "stimuli" / "a.jpg")
    file = tmp_path / "fixations.mat"
    if data == "cut":
        data = file.read_bytes()[:-40]
    if isinstance(data, bytes):
        file.write_bytes(data)
    else:
        other = {"numbers": {"fixations": ANN}, "structs": {"fixations": cells([[{"img": 1}]])}, "nothing": {"x": ANN}}
        savemat(file, other[data])
    ((named, _),) = faults(tmp_path)
    assert named == "fixations.mat"


def element(kind: int, data: bytes) -> bytes:
    """An element of a MATLAB file."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def headed(name: bytes) -> bytes:
    """What a cell array of 1 x 1 begins with: its class, its dimensions and its name."""
    return element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1)) + element(1, name)


def matlab(folder: Path, packed: bytes) -> int:
    """Make the recording's file one compressed element of these bytes; its size."""
    data = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    (folder / "fixations.mat").write_bytes(data)
    return len(data)


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN]])
    picture(tmp_path / "stimuli" / "a.jpg")
    packing, size = zlib.compressobj(), 300_000_000
    packed = packing.compress(struct.pack("<II", 14, size) + headed(b"fixations"))
    packed += b"".join(packing.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)) + packing.flush()
    assert matlab(tmp_path, packed) < 400_000
    tracemalloc.start()
    try:
        ((named, fault),) = faults(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert named == "fixations.mat"
    assert f"unpacks to more than {recordings.MAX_UNPACKED} bytes" in fault


def test_cells_nested_without_end_are_refused(tmp_path: Path) -> None:
    """SciPy's reader calls itself for each; the process that it runs in does not outlive 40 kB of them."""
    scene(tmp_path, [[ANN]])
    picture(tmp_path / "stimuli" / "a.jpg")
    depth, cell = 50_000, headed(b"")
    sizes = [8 + (8 + len(cell)) * inside for inside in range(depth)]
    nested = b"".join(struct.pack("<II", 14, len(cell) + size) + cell for size in reversed(sizes))
    outer = headed(b"fixations") + nested + struct.pack("<II", 14, 0)
    assert matlab(tmp_path, zlib.compress(element(14, outer))) < 150_000
    ((named, fault),) = faults(tmp_path)
    assert named == "fixations.mat"
    assert "is no MATLAB file that can be read" in fault


def test_a_stimulus_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    osie(tmp_path, [("a.png", [ANN])])
    side = int(recordings.MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(tmp_path / "stimuli" / "a.png")
    assert faults(tmp_path) == [("stimuli/a.png", f"has more than {recordings.MAX_PIXELS} pixels")]


@settings(max_examples=12, deadline=None)  # each may start the reader's process
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_never_end_in_anything_but_a_recording_or_bad_input(
    damaged: Path, changes: list[tuple[float, int]]
) -> None:
    data = bytearray((damaged / "whole.mat").read_bytes())
    for place, byte in changes:
        data[int(place * len(data))] = byte
    (damaged / "fixations.mat").write_bytes(data)
    try:
        assert set(recordings.read(damaged).viewings) == {"a"}
    except BadInput as error:
        assert error.problems


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of one image, to be damaged from `whole.mat`."""
    folder = scene(tmp_path_factory.mktemp("damaged"), [[ANN, BOB]])
    picture(folder / "stimuli" / "a.jpg")
    (folder / "fixations.mat").rename(folder / "whole.mat")
    return folder


def test_every_stimulus_that_is_missing_or_no_image_is_named(tmp_path: Path) -> None:
    osie(tmp_path, [(name, [ANN]) for name in ("a.jpg", "b.jpg", "c.jpg")])
    picture(tmp_path / "stimuli" / "a.jpg")
    write(tmp_path / "stimuli" / "b.jpg", "text")
    assert faults(tmp_path) == [
        ("stimuli/b.jpg", "is not a JPEG or PNG image"),
        ("stimuli/c.jpg", "does not exist"),
    ]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "sub/a.jpg"])
def test_a_stimulus_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = osie(tmp_path / "osie", [(name, [ANN])])
    picture(tmp_path / "osie" / "secret.jpg")
    picture(folder / "stimuli" / "a.jpg")
    ((file, fault),) = faults(folder)
    assert file == "fixations.mat"
    assert "is no file name" in fault


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = scene(tmp_path / "scene", [[ANN]])
    picture(tmp_path / "secret.jpg")
    (folder / "stimuli" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    ((file, fault),) = faults(folder)
    assert file == "stimuli/a.jpg"
    assert "leads out of the folder" in fault


def test_an_image_named_twice_is_refused(tmp_path: Path) -> None:
    osie(tmp_path, [("a.jpg", [ANN]), ("a.jpg", [BOB])])
    picture(tmp_path / "stimuli" / "a.jpg")
    ((_, fault),) = faults(tmp_path)
    assert "an image is named twice" in fault


def test_more_rows_than_stimuli_are_refused(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN], [BOB]])
    picture(tmp_path / "stimuli" / "a.jpg")
    ((_, fault),) = faults(tmp_path)
    assert "2 rows for 1 stimuli" in fault


def test_two_stimuli_of_one_id_are_both_named(tmp_path: Path) -> None:
    scene(tmp_path, [[ANN]] * 3)
    for name in ("a.jpg", "a.b.jpg", "a.png"):
        picture(tmp_path / "stimuli" / name)
    assert [file for file, _ in faults(tmp_path)] == ["stimuli/a.jpg", "stimuli/a.png"]


def test_a_points_image_of_16_bits_is_read_as_one_of_8(tmp_path: Path) -> None:
    picture(tmp_path / "ALLSTIMULI" / "a.jpeg")
    points_image(tmp_path, "a", [(5, 5)])
    points = np.full((40, 60), 300, np.uint16)  # nearly black: 1 of 255
    points[7, 9] = 65535
    write(tmp_path / "ALLFIXATIONMAPS" / "a_fixPts.jpg", png(points))
    (found,) = recordings.read(tmp_path).viewings["a"].fixations
    assert found.tolist() == [[9.5, 7.5]]


def test_every_points_image_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for image_id in "abcd":
        picture(tmp_path / "ALLSTIMULI" / f"{image_id}.jpeg")
        points_image(tmp_path, image_id, [(5, 5)])
    points_image(tmp_path, "b", [(5, 5)], width=50)
    (tmp_path / "ALLFIXATIONMAPS" / "c_fixPts.jpg").unlink()
    cut = tmp_path / "ALLFIXATIONMAPS" / "d_fixPts.jpg"
    cut.write_bytes(cut.read_bytes()[:-60])
    (b, c, d) = faults(tmp_path)
    assert b == ("ALLFIXATIONMAPS/b_fixPts.jpg", "has (50, 40) pixels, its image (60, 40)")
    assert c == ("ALLFIXATIONMAPS/c_fixPts.jpg", "does not exist")
    assert d[0] == "ALLFIXATIONMAPS/d_fixPts.jpg" and "does not decode" in d[1]


# ---- counts and densities


def viewing(*fixations: np.ndarray, size: tuple[int, int] = (60, 40)) -> Viewing:
    return Viewing(Path("a.jpg"), list(fixations), size, 4.0)


def test_counts_of_the_images_own_grid_lie_on_the_fixated_pixels() -> None:
    found = counts(viewing(np.array([[10.5, 4.0], [10.9, 4.9]]), np.array([[59.9, 39.9]])), 40, 60)
    assert (found.shape, found.dtype) == ((40, 60), np.int32)
    assert {(int(y), int(x)): int(found[y, x]) for y, x in np.argwhere(found)} == {(4, 10): 2, (39, 59): 1}


def test_counts_are_of_the_chosen_observers() -> None:
    seen = viewing(np.array([[1.0, 1.0]]), np.zeros((0, 2)), np.array([[2.0, 1.0], [3.0, 1.0]]))
    assert [int(counts(seen, 40, 60, chosen).sum()) for chosen in ([0], [1], [2], [2, 0], [])] == [1, 0, 2, 3, 0]
    assert np.array_equal(counts(seen, 40, 60), counts(seen, 40, 60, [0, 1, 2]))


@few
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)), max_size=20),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_every_fixation_is_counted_once_on_a_grid_of_any_size(
    shares: list[tuple[float, float]], size: tuple[int, int], height: int, width: int
) -> None:
    below = np.nextafter(np.array(size, np.float64), 0)  # the last point inside
    points = np.minimum(np.array(shares).reshape(-1, 2) * size, below)
    corner = np.vstack([points, below])
    found = counts(viewing(corner, size=size), height, width)
    assert found.sum() == len(corner)
    assert found[-1, -1] >= 1


COUNTS = arrays(np.int32, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 3))


@few
@given(COUNTS.filter(np.any), st.floats(0.2, 12))
def test_a_density_is_the_blurred_counts_scaled_to_sum_to_1(found: np.ndarray, sigma: float) -> None:
    made = density(found, sigma)
    expected = gaussian_filter(found.astype(np.float64), sigma, mode="constant", radius=int(np.ceil(4 * sigma)))
    assert made.sum() == pytest.approx(1)
    assert made == pytest.approx(expected / expected.sum(), abs=1e-12)


def test_a_density_falls_off_as_a_gaussian() -> None:
    found = np.zeros((81, 81), np.int32)
    found[40, 40] = 3
    made = density(found, 5.0)
    assert made[40, 45] / made[40, 40] == pytest.approx(np.exp(-0.5))
    assert made[30, 40] / made[40, 40] == pytest.approx(np.exp(-2))
    assert made[40, 61] == 0  # cut at 4 sigma


def test_no_fixations_have_no_density() -> None:
    with pytest.raises(ValueError, match="needs a fixation"):
        density(np.zeros((4, 4), np.int32), 1.0)


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

    some = list(recordings.read(real / name).viewings.values())[:40]
    across = np.corrcoef([half(v, 0) for v in some], [half(v, 1) for v in some])[: len(some), len(some) :]
    assert np.diag(across).mean() > across[~np.eye(len(some), dtype=bool)].mean() + 0.3
