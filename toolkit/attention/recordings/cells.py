"""OSIE and Scene: a cell array `fixations` beside the stimuli; what is in a cell says which of the two it is.

OSIE: Xu et al., Predicting human gaze beyond pixels (Journal of Vision, 2014). Scene: Liang et al., Saliency prediction
with scene structural guidance (SMC 2017).

The first fixation that is dropped: in OSIE its median distance from the centre is 113 pixels and that of the later ones
194, in Scene 159 and 266 on the screen.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.attention.recordings import matlab, stimuli
from toolkit.attention.recordings.stimuli import Shown
from toolkit.attention.recordings.viewing import Layout, Recording, Size
from toolkit.errors import BadInput, Problem

ABOUT = (
    "OSIE (fixations.mat with structs img and subjects, stimuli/), Scene (fixations.mat with a cell for each image and "
    "observer, stimuli/)"
)
MEND = "give MATLAB's version 5 to 7 format (save -v7) with a cell array `fixations`"


def fits(folder: Path) -> bool:
    return (folder / "fixations.mat").is_file() and (folder / "stimuli").is_dir()


def read(folder: Path) -> Recording:
    file = folder / "fixations.mat"
    images = stimuli.images(folder / "stimuli")
    (cells,) = matlab.apart(partial(matlab.loaded, name="fixations"), [file], MEND)
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.ndim != 2 or not cells.size:
        raise BadInput(Problem(str(file), "has no cell array `fixations`", MEND))
    try:
        if cells.flat[0].dtype.names:
            return stimuli.recording("OSIE", folder, _osie(cells, folder / "stimuli"), lambda size: 24.0)
        return stimuli.recording("Scene", folder, _scene(cells, images), _degree_on_screen)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        fault = f"has not the cells of OSIE or Scene ({error})"
        raise BadInput(Problem(str(file), fault, f"give {ABOUT}")) from None


def _osie(cells: np.ndarray, folder: Path) -> Shown:
    """An image a cell; the stimulus' name is in it."""
    shown: dict[Path, list[np.ndarray]] = {}
    for cell in cells.ravel():
        image = cell[0, 0]
        observers = [subject[0, 0] for subject in image["subjects"].ravel()]
        points = [np.column_stack([o["fix_x"].ravel(), o["fix_y"].ravel()]).astype(np.float64) for o in observers]
        shown[folder / stimuli.file_name(str(image["img"].item()))] = [own[1:] for own in points]
    if len(shown) < cells.size:
        raise ValueError("an image is named twice")
    return shown


def _scene(cells: np.ndarray, images: Sequence[Path]) -> Shown:
    """A row an image in the order of the stimuli, a column an observer; a cell has y, x, onset and duration.

    That y comes first is said only by the program that made the file (parseEyeData.m in the authors' repository).
    Read so, all 43,894 points lie inside the 500 images; read as x, y, 8 % lie outside.
    """
    if len(cells) != len(images):
        raise ValueError(f"{len(cells)} rows for {len(images)} stimuli")
    return {
        image: [cell[1:, [1, 0]].astype(np.float64) if cell.size else np.zeros((0, 2)) for cell in row]
        for image, row in zip(images, cells, strict=True)
    }


def _degree_on_screen(size: Size) -> float:
    """A degree in a stimulus of Scene: each was scaled to fit a screen of 1920 x 1080.

    How far away that was is not published. The same group's OSIE shows 600 pixels at 24 a degree, so 25 degrees: the
    screen is taken to be as high.
    """
    width, height = size
    return 1080 / 25 / min(1920 / width, 1080 / height)


LAYOUT = Layout(ABOUT, fits, read)
