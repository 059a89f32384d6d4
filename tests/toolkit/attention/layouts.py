"""Folders laid out as the recordings that salvoc knows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

ANN = np.array([[30.0, 20.0], [10.5, 4.0], [59.9, 39.9], [60.0, 5.0], [-1.0, 5.0], [np.nan, 5.0]])  # x, y of 60 x 40
BOB = np.array([[31.0, 21.0]])
NOBODY = np.zeros((0, 2))
ANN_KEPT = [[10.5, 4.0], [59.9, 39.9]]

Eyes = tuple[np.ndarray, np.ndarray]  # what the left and the right one fixated, [N, 2] x, y each


def picture(path: Path, width: int = 60, height: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "grey").save(path)


def cells(rows: Sequence[Sequence[object]]) -> np.ndarray:
    """MATLAB's cell array of these."""
    array = np.empty((len(rows), len(rows[0])), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            array[i, j] = cell
    return array


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
    fixated = np.zeros((height, width), np.uint8)
    for x, y in pixels:
        fixated[y, x] = 255
    (folder / "ALLFIXATIONMAPS").mkdir(parents=True, exist_ok=True)
    Image.fromarray(fixated).save(folder / "ALLFIXATIONMAPS" / f"{image_id}_fixPts.jpg", quality=90)


def poet(folder: Path, name: str, rows: Sequence[tuple[str, tuple[int, ...], Sequence[Eyes]]]) -> Path:
    """A class' file of POET: a photograph's id, its dimensions, and each person's points by the left and right eye."""

    def eye(points: np.ndarray) -> dict[str, np.ndarray]:
        return {"time": np.zeros(points.shape, np.uint16), "pos": points}

    def trials(people: Sequence[Eyes]) -> np.ndarray:
        return structs([{"imgCoord": {"fixR": eye(right), "fixL": eye(left)}} for left, right in people])

    folder.mkdir(parents=True, exist_ok=True)
    found = [
        {"filename": image_id, "dimensions": np.array([dimensions], np.uint16), "fixations": trials(people)}
        for image_id, dimensions, people in rows
    ]
    savemat(folder / f"etData_{name}.mat", {"etData": structs(found).T}, do_compression=True)
    return folder


def structs(rows: Sequence[dict[str, object]]) -> np.ndarray:
    """MATLAB's struct array of these, [1, N]."""
    array = np.empty((1, len(rows)), [(key, object) for key in rows[0]])
    for place, row in zip(array[0], rows, strict=True):
        for key, value in row.items():
            place[key] = value
    return array


def pascal_s(folder: Path, shown: Sequence[tuple[tuple[int, int], np.ndarray]]) -> Path:
    """A folder laid out as PASCAL-S: a height and width, and rows of y, x and person from 1, for each photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    with mat73(folder / "pascalFix.mat") as file:
        stored = []
        for n, (_, rows) in enumerate(shown):
            empty = not len(rows)  # MATLAB stores an empty array as its dimensions
            stored.append(file.create_dataset(f"#refs#/{n}", data=np.array([0, 3], np.uint64) if empty else rows.T))
            if empty:
                stored[n].attrs["MATLAB_empty"] = np.uint8(1)
        file.create_dataset("fixCell", data=np.array([[own.ref for own in stored]], h5py.ref_dtype))
    with mat73(folder / "pascalSize.mat") as file:
        file.create_dataset("sizeData", data=np.array([size for size, _ in shown], np.float64).T)
    return folder


@contextmanager
def mat73(path: Path) -> Iterator[h5py.File]:
    """A MATLAB file of version 7.3: HDF5 behind 512 bytes of MATLAB's own."""
    with h5py.File(path, "w", userblock_size=512) as file:
        yield file
    with path.open("r+b") as whole:
        whole.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
