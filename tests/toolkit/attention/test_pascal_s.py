"""PASCAL-S: a benchmark in MATLAB's version 7.3, which is HDF5 and as little to be trusted as any other file."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from tests.toolkit.attention.layouts import mat73, pascal_s, picture
from toolkit.attention import recordings
from toolkit.attention.human import attention_of
from toolkit.attention.recordings import matlab
from toolkit.errors import BadInput

# y, x and person from 1 in a photograph of 60 x 40: person 2 looks at pixel (10, 4) and outside, person 1 at (59, 39)
ROWS = np.array([[20, 30, 2], [21, 31, 1], [5, 11, 2], [41, 7, 2], [40, 60, 1], [7, 61, 1]], float)
NOTHING = np.zeros((0, 3))


def test_pixels_from_1_are_taken_at_their_middle_and_each_first_one_dropped(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS), ((60, 40), NOTHING)])
    found = recordings.read(tmp_path)
    assert (found.name, found.benchmark, list(found.viewings)) == ("PASCAL-S", True, ["1", "2"])
    assert [points.tolist() for points in found.viewings["1"].fixations] == [[[59.5, 39.5]], [[10.5, 4.5]]]
    assert [v.size for v in found.viewings.values()] == [(60, 40), (40, 60)]
    assert found.viewings["2"].fixations == []


def test_a_photograph_s_id_is_its_number(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS if number == 11 else NOTHING) for number in range(1, 13)])
    known = attention_of(tmp_path, ["2", "11"])
    assert known("2").map is None and known("11").map is not None
    picture(tmp_path / "imgs" / "11.jpg")
    found = recordings.with_images(tmp_path)
    assert list(found.viewings) == ["11"] and found.benchmark


def test_sizes_may_be_in_an_older_version_of_matlab(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)])
    savemat(tmp_path / "pascalSize.mat", {"sizeData": np.array([[40, 60]], np.uint16)})
    assert recordings.read(tmp_path).viewings["1"].size == (60, 40)


# ---- refused


def faults(folder: Path) -> dict[str, str]:
    with pytest.raises(BadInput) as error:
        recordings.read(folder)
    assert all(problem.mend for problem in error.value.problems)
    return {str(Path(p.file).relative_to(folder)): p.fault for p in error.value.problems}


@pytest.mark.parametrize("name", ["pascalFix.mat", "pascalSize.mat"])
@pytest.mark.parametrize("keep", [0, 600, -1])
def test_a_file_that_is_cut_is_named(tmp_path: Path, name: str, keep: int) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)])
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:keep])
    assert list(faults(tmp_path)) == [name]


def test_without_sizes_that_file_is_named(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)])
    (tmp_path / "pascalSize.mat").unlink()
    assert list(faults(tmp_path)) == ["pascalSize.mat"]


def test_a_height_and_width_for_each_photograph_are_wanted(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)] * 2)
    savemat(tmp_path / "pascalSize.mat", {"sizeData": np.array([[40, 60]])})
    assert faults(tmp_path) == {
        "pascalSize.mat": "has (1, 2) numbers, not a height and a width for each of 2 photographs"
    }


@pytest.mark.parametrize(
    ("size", "rows", "fault"),
    [
        ((np.nan, 60), ROWS, "no image has 60.0 x nan pixels"),
        ((np.inf, 60), ROWS, "infinity"),
        ((40, 60), ROWS[:, :2], "a cell of (6, 2) is no y, x and observer"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    tmp_path: Path, size: tuple[float, float], rows: np.ndarray, fault: str
) -> None:
    pascal_s(tmp_path, [(size, rows)])  # type: ignore[list-item]
    assert fault in faults(tmp_path)["."]


def only_cell(file: h5py.File, stored: h5py.Dataset | h5py.Group) -> None:
    file.create_dataset("fixCell", data=np.array([[stored.ref]], h5py.ref_dtype))


def link_elsewhere(file: h5py.File) -> None:
    file["fixCell"] = h5py.ExternalLink("secret.mat", "/fixCell")


def numbers_elsewhere(file: h5py.File) -> None:
    only_cell(file, file.create_dataset("#refs#/0", (3, 4), float, external=[("secret.raw", 0, 96)]))


def numbers_of_another_file(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 4), float)
    layout[:] = h5py.VirtualSource("secret.mat", "numbers", (3, 4))
    only_cell(file, file.create_virtual_dataset("#refs#/0", layout))


def a_group(file: h5py.File) -> None:
    only_cell(file, file.create_group("#refs#/0"))


def texts(file: h5py.File) -> None:
    only_cell(file, file.create_dataset("#refs#/0", data=["a", "b"], dtype=h5py.string_dtype()))


def no_cells(file: h5py.File) -> None:
    file.create_dataset("fixCell", data=ROWS)


def a_bomb(file: h5py.File) -> None:
    """Zeros that nothing was stored of: 8 gigabytes."""
    only_cell(file, file.create_dataset("#refs#/0", (3, 350_000_000), float))


def a_large_chunk(file: h5py.File) -> None:
    """A part of it is unpacked with all that is stored beside it: 400 megabytes."""
    only_cell(file, file.create_dataset("#refs#/0", (3, 4), float, chunks=(3, 20_000_000), maxshape=(3, None)))


def the_same_again_and_again(file: h5py.File) -> None:
    stored = file.create_dataset("#refs#/0", (3, 40_000), float)
    file.create_dataset("fixCell", data=np.array([[stored.ref] * 1000], h5py.ref_dtype))


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (link_elsewhere, "it has no variable `fixCell`"),
        (numbers_elsewhere, "it has a variable that is no array"),
        (numbers_of_another_file, "it has a variable that is no array"),
        (a_group, "it has a variable that is no array"),
        (texts, "it has an array that is not of numbers"),
        (no_cells, "`fixCell` is no cell array"),
        (a_bomb, f"it has an array of more than {matlab.MAX_ARRAY} bytes"),
        (a_large_chunk, f"it has an array of more than {matlab.MAX_ARRAY} bytes"),
        (the_same_again_and_again, f"it unpacks to more than {matlab.MAX_UNPACKED} bytes"),
    ],
)
def test_hostile_cells_are_refused_and_lead_to_no_other_file(
    tmp_path: Path, make: Callable[[h5py.File], None], fault: str
) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)])
    (tmp_path / "pascalFix.mat").rename(tmp_path / "secret.mat")
    (tmp_path / "secret.raw").write_bytes(bytes(96))
    with mat73(tmp_path / "pascalFix.mat") as file:
        make(file)
    assert fault in faults(tmp_path)["pascalFix.mat"]


def test_damaged_bytes_never_end_in_anything_but_a_recording_or_bad_input(tmp_path: Path) -> None:
    pascal_s(tmp_path, [((40, 60), ROWS)])
    file = tmp_path / "pascalFix.mat"
    data, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(6):
        damaged = bytearray(data)
        for place in rng.integers(512, len(data), 8):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            recordings.read(tmp_path)
        except BadInput as error:
            assert error.problems
