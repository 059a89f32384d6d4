"""PASCAL-S: Li et al., The secrets of salient object segmentation (CVPR 2014).

Eight people looked freely at 850 photographs of PASCAL VOC 2010 for two seconds each. It is a benchmark: gaze
predictors are scored on it, and none is fitted to it.
"""

from pathlib import Path

import numpy as np

from toolkit.attention.recordings import matlab
from toolkit.attention.recordings.viewing import Layout, Recording, Viewing, inside, size_of
from toolkit.errors import BadInput, Problem

FIXATIONS, SIZES = "pascalFix.mat", "pascalSize.mat"
ABOUT = f"PASCAL-S ({FIXATIONS}, {SIZES}; its photographs are needed by `salvoc gaze` alone, in imgs/ID.jpg)"
MEND = f"give PASCAL-S's {FIXATIONS} and {SIZES} as they were published"
# Taken to be OSIE's, which is of the same year and in part of the same institute: no screen or distance is published.
DEGREE = 24.0


def fits(folder: Path) -> bool:
    return (folder / FIXATIONS).is_file()


def read(folder: Path) -> Recording:
    """The photographs' ids are 1, 2 and so on, their sizes a row each: height, width."""
    fixations, (sizes,) = matlab.apart(_arrays, [folder / FIXATIONS, folder / SIZES], MEND)
    if sizes.ndim != 2 or sizes.shape[1] != 2 or len(sizes) != len(fixations):
        fault = f"has {sizes.shape} numbers, not a height and a width for each of {len(fixations)} photographs"
        raise BadInput(Problem(str(folder / SIZES), fault, MEND))
    viewings: dict[str, Viewing] = {}
    try:
        for number, (cell, (height, width)) in enumerate(zip(fixations, sizes, strict=True), start=1):
            size = size_of(height, width)
            observers = [inside(points[1:], size) for points in _by_observer(cell)]
            viewings[str(number)] = Viewing(folder / "imgs" / f"{number}.jpg", observers, size, DEGREE)
    except (OverflowError, ValueError) as error:
        raise BadInput(Problem(str(folder), f"has not PASCAL-S's numbers ({error})", MEND)) from None
    return Recording("PASCAL-S", dict(sorted(viewings.items())), benchmark=True)


def _arrays(file: Path) -> list[np.ndarray]:
    if file.name == FIXATIONS:
        return matlab.cells_of_numbers(file, "fixCell")
    return [matlab.numbers(file, "sizeData")]


def _by_observer(cell: np.ndarray) -> list[np.ndarray]:
    """Each observer's points [N, 2] x, y of a cell with the columns y, x and observer, all of them from 1.

    They number pixels, which are taken at their middle.
    """
    if not cell.size:
        return []
    if cell.ndim != 2 or cell.shape[1] != 3:
        raise ValueError(f"a cell of {cell.shape} is no y, x and observer")
    y, x, observer = cell.T
    points = np.column_stack([x, y]) - 0.5
    return [points[observer == number] for number in np.unique(observer)]


LAYOUT = Layout(ABOUT, fits, read)
