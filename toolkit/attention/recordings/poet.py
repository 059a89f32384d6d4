"""POET: Papadopoulos et al., Training object class detectors from eye tracking data (ECCV 2014).

Five people searched each of 6,131 photographs of PASCAL VOC 2012 for an object of a class and pressed a key. The
recording is a file a class, without the photographs; a photograph that was searched for two classes has ten observers.

A trial starts at the middle of the screen while the photograph appears at a random place: 73 % of the first fixations
lie outside of it, and 3 % of the later ones. Both eyes were tracked; a fixation is the mean of the two where both are
known, and half of the time they are less than 0.75 degrees apart.
"""

from pathlib import Path

import numpy as np

from toolkit.attention.recordings import matlab, stimuli
from toolkit.attention.recordings.viewing import Layout, Recording, Size, Viewing, inside, size_of
from toolkit.errors import BadInput, Problem

ABOUT = "POET (etData_*.mat; its photographs are needed by `salvoc gaze` alone, in stimuli/ID.jpg)"

Row = tuple[str, Size, list[np.ndarray]]  # a photograph's id and size, and the fixations of each who searched it


def fits(folder: Path) -> bool:
    return bool(_files(folder))


def read(folder: Path) -> Recording:
    mend = "give POET's etData_*.mat as they were published"
    found = [row for rows in matlab.apart(_rows, _files(folder), mend) for row in rows]
    viewings: dict[str, Viewing] = {}
    for image_id, size, observers in sorted(found, key=lambda row: row[0]):
        image, before = folder / "stimuli" / f"{image_id}.jpg", viewings.get(image_id)
        if before and before.size != size:
            raise BadInput(Problem(str(folder), f"has {image_id} in two sizes, {before.size} and {size}", mend))
        earlier = before.fixations if before else []
        viewings[image_id] = Viewing(image, earlier + observers, size, _degree(size))
    return Recording("POET", viewings)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("etData_*.mat"))


def _rows(file: Path) -> list[Row]:
    """A row a photograph. `dimensions` are its height and width, and a third number for the colours where it has any.

    In all 6,270 rows the place of the photograph on the screen (`displayOffset`) has these proportions.
    """
    found = matlab.loaded(file, "etData").ravel()
    if not found.size:
        raise ValueError("it has no photographs")
    rows: list[Row] = []
    for row in found:
        size = size_of(*row["dimensions"].ravel()[:2])
        observers = [inside(_fixations(trial["imgCoord"][0, 0])[1:], size) for trial in row["fixations"].ravel()]
        rows.append((stimuli.file_name(str(row["filename"].item())), size, observers))
    return rows


def _fixations(eyes: np.void) -> np.ndarray:
    """A trial's fixations [N, 2] x, y: the mean of the eyes that are known, NaN where none is. A trial may be empty."""
    left, right = (_points(eyes[eye][0, 0]["pos"]) for eye in ("fixL", "fixR"))
    if left.shape != right.shape:
        raise ValueError("the eyes have different numbers of fixations")
    known = np.isfinite([left, right]).all(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 of 0 where neither eye is known
        return np.where(known, [left, right], 0).sum(axis=0) / known.sum(axis=0)


def _points(stored: np.ndarray) -> np.ndarray:
    if stored.size and stored.shape[1:] != (2,):
        raise ValueError(f"positions of {stored.shape} are no x and y")
    return stored.reshape(-1, 2).astype(np.float64)


def _degree(size: Size) -> float:
    """A degree in a photograph: each was shown 500 pixels wide, or less where it would not fit the screen's 1050.

    How large the screen of 1680 x 1050 was and how far away is not in the files: one of 22 inches (47.4 cm wide) at
    60 cm, as is usual with a head rest, has 37 pixels a degree.
    """
    width, height = size
    return 37 / min(500 / width, 1050 / height)


LAYOUT = Layout(ABOUT, fits, read)
