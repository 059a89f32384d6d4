"""Eye-tracking recordings that are refused: what is in no layout, damaged, hostile or missing is named."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from tests.toolkit.attention.layouts import ANN, BOB, cells, osie, picture, points_image, scene
from toolkit.attention import recordings
from toolkit.attention.recordings.matlab import loaded
from toolkit.errors import BadInput
from toolkit.files import write


def faults(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as error:
        recordings.read(folder)
    assert all(problem.mend for problem in error.value.problems)
    return [(str(Path(p.file).relative_to(folder)), p.fault) for p in error.value.problems]


@pytest.mark.parametrize("folders", [[], ["stimuli"], ["fixations.mat"], ["ALLSTIMULI"]])
def test_a_folder_of_no_layout_is_told_the_layouts(tmp_path: Path, folders: list[str]) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    assert not recordings.fits(tmp_path)
    with pytest.raises(BadInput, match=r"OSIE .* Scene .* MIT1003 .* POET .* PASCAL-S"):
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
        with pytest.raises(ValueError, match=f"unpacks to more than {recordings.MAX_UNPACKED} bytes"):
            loaded(tmp_path / "fixations.mat", "fixations")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    ((named, fault),) = faults(tmp_path)
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
