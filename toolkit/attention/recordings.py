"""Eye-tracking recordings: what people fixated in images, by image id, in any of the layouts that `LAYOUTS` lists.

OSIE: Xu et al., Predicting human gaze beyond pixels (Journal of Vision, 2014). Scene: Liang et al., Saliency prediction
with scene structural guidance (SMC 2017). MIT1003: Judd et al., Learning to predict where humans look (ICCV 2009).

Each observer's first fixation is dropped, as is the field's custom: it is drawn to where the eye rested before the
image came. In OSIE its median distance from the centre is 113 pixels and that of the later ones 194, in Scene 159 and
266 on the screen. MIT1003's makers have dropped it already. Fixations outside the image are dropped too.
"""

import math
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.io import loadmat

from toolkit.errors import BadInput, Problem
from toolkit.files import eight_bits

LAYOUTS = (
    "give a folder laid out as OSIE (fixations.mat with structs img and subjects, stimuli/), Scene (fixations.mat with "
    "a cell for each image and observer, stimuli/) or MIT1003 (ALLSTIMULI/, ALLFIXATIONMAPS/*_fixPts.jpg)"
)
MAX_UNPACKED = 64_000_000  # bytes of a MATLAB file; OSIE's has 4.8 million, Scene's 1.7
MAX_PIXELS = 64_000_000  # of an image; more in a small file is a decompression bomb
COMPRESSED = 15  # miCOMPRESSED, the type of an element that zlib has packed
SUFFIXES = (".jpg", ".jpeg", ".png")

Shown = Mapping[Path, list[np.ndarray]]  # an image and what each observer fixated in it, [N, 2] x, y
Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Viewing:
    """What people fixated in one image."""

    image: Path
    fixations: list[np.ndarray]  # an observer each: [N, 2] float64 x, y in pixels of the image, in order
    size: Size  # of the image
    degree: float  # pixels of the image in one degree of visual angle


@dataclass(frozen=True)
class Recording:
    """What people fixated in a set of images."""

    name: str
    viewings: dict[str, Viewing]  # by image id (the stimulus' file name without suffix), sorted


def fits(folder: Path) -> bool:
    """Whether the folder has the parts of a recording's layout."""
    return _has_points(folder) or _has_cells(folder)


def read(folder: Path) -> Recording:
    """Read a recording; its layout is told by what is there.

    Raises `BadInput` that lists the layouts where none fits, else every stimulus that is missing or no image.
    """
    if _has_points(folder):
        return _recording("MIT1003", folder, _pooled(folder), lambda size: 35.0)
    if not _has_cells(folder):
        raise BadInput(Problem(str(folder), "is not a recording that salvoc knows", LAYOUTS))
    file = folder / "fixations.mat"
    stimuli = _images(folder / "stimuli")
    cells = _cells(file)
    try:
        if cells.flat[0].dtype.names:
            return _recording("OSIE", folder, _osie(cells, folder / "stimuli"), lambda size: 24.0)
        return _recording("Scene", folder, _scene(cells, stimuli), _degree_on_screen)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadInput(Problem(str(file), f"has not the cells of OSIE or Scene ({error})", LAYOUTS)) from None


def counts(viewing: Viewing, height: int, width: int, observers: Sequence[int] | None = None) -> np.ndarray:
    """How many fixations fell on each cell of a grid laid over the image, [height, width] int32.

    `observers` chooses some of them, by their place in `viewing.fixations`; by default all are counted.
    """
    chosen = viewing.fixations if observers is None else [viewing.fixations[i] for i in observers]
    points = np.concatenate([np.zeros((0, 2)), *chosen])
    cells = np.floor(points * (width, height) / viewing.size).astype(np.int64)
    x, y = np.minimum(cells, (width - 1, height - 1)).T  # rounding may lift a point onto the far edge
    return np.bincount(y * width + x, minlength=height * width).reshape(height, width).astype(np.int32)


def density(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Fixation counts [H, W] blurred with a Gaussian of `sigma` cells, cut at 4 sigma; [H, W] float64 that sums to 1.

    What is blurred over the border is lost, and the rest scaled to make up for it. Raises ValueError where nothing was
    fixated.
    """
    if not counts.any():
        raise ValueError("a density needs a fixation")
    side = 2 * math.ceil(4 * sigma) + 1
    blurred = cv2.GaussianBlur(counts.astype(np.float64), (side, side), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred / blurred.sum()


@contextmanager
def opened(path: Path, root: Path) -> Iterator[Image.Image]:
    """A JPEG or PNG image inside `root`, not decoded yet; where that or its use fails, `BadInput` names it."""
    mend = "replace or remove the file"
    if not path.resolve().is_relative_to(root.resolve()):  # a stranger's tree must not make salvoc read other files
        raise BadInput(Problem(str(path), f"leads out of the folder, to {path.resolve()}", "put the file itself there"))
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadInput(Problem(str(path), f"has more than {MAX_PIXELS} pixels", "scale it down"))
            yield image
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput(Problem(str(path), "does not exist", "add the file")) from None
    except Image.UnidentifiedImageError:
        raise BadInput(Problem(str(path), "is not a JPEG or PNG image", mend)) from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise BadInput(Problem(str(path), f"does not decode ({error})", mend)) from None


def _has_points(folder: Path) -> bool:
    return (folder / "ALLSTIMULI").is_dir() and (folder / "ALLFIXATIONMAPS").is_dir()


def _has_cells(folder: Path) -> bool:
    return (folder / "fixations.mat").is_file() and (folder / "stimuli").is_dir()


def _recording(name: str, folder: Path, shown: Shown, degree: Callable[[Size], float]) -> Recording:
    viewings: dict[str, Viewing] = {}
    problems: list[Problem] = []
    for image, observers in sorted(shown.items()):
        try:
            with opened(image, folder) as header:
                size = header.size
        except BadInput as error:
            problems += error.problems
            continue
        viewings[image.stem] = Viewing(image, [_inside(points, size) for points in observers], size, degree(size))
    if problems:
        raise BadInput(problems)
    return Recording(name, viewings)


def _inside(points: np.ndarray, size: Size) -> np.ndarray:
    """The points inside the image; one that is NaN is not."""
    return points[((points >= 0) & (points < size)).all(axis=1)]


def _images(folder: Path) -> list[Path]:
    """The folder's images, sorted; raises `BadInput` where there are none, or two of one id."""
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not images:
        raise BadInput(Problem(str(folder), "has no images", "put the stimuli there"))
    count = Counter(path.stem for path in images)
    twins = [path for path in images if count[path.stem] > 1]
    if twins:
        raise BadInput(Problem(str(path), "shares its id with another image", "rename one of them") for path in twins)
    return images


def _cells(file: Path) -> np.ndarray:
    """The cell array `fixations` of a MATLAB file, [images, columns]; the reader runs no code that is in the file."""
    mend = "give MATLAB's version 5 to 7 format (save -v7) with a cell array `fixations`"
    try:
        if file.stat().st_size > MAX_UNPACKED or _unpacked(file.read_bytes()) > MAX_UNPACKED:
            raise ValueError(f"it unpacks to more than {MAX_UNPACKED} bytes")
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # cells nested without end crash SciPy's reader
            found = apart.submit(loadmat, file, variable_names=["fixations"]).result()
    except Exception as error:  # what the reader raises on damaged bytes may be nearly anything
        raise BadInput(Problem(str(file), f"is no MATLAB file that can be read ({error})", mend)) from None
    cells = found.get("fixations")
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.ndim != 2 or not cells.size:
        raise BadInput(Problem(str(file), "has no cell array `fixations`", mend))
    return cells


def _unpacked(data: bytes) -> int:
    """How many bytes the elements of a MATLAB file are in all, unpacked piece by piece; stops above `MAX_UNPACKED`.

    The format: MAT-File Level 5, MathWorks' "MAT-File Format", chapter 1. Raises `zlib.error` on damaged ones.
    """
    header = "<II" if data[126:128] == b"IM" else ">II"  # an element's type and how many bytes follow
    at, total = 128, 0
    while at + 8 <= len(data) and total <= MAX_UNPACKED:
        kind, size = struct.unpack_from(header, data, at)
        left = data[at + 8 : at + 8 + size]
        at += 8 + size
        if kind != COMPRESSED:
            total += len(left)
            continue
        unpacking = zlib.decompressobj()
        while left and total <= MAX_UNPACKED:
            total += len(unpacking.decompress(left, 1 << 20))
            left = unpacking.unconsumed_tail
    return total


def _osie(cells: np.ndarray, stimuli: Path) -> Shown:
    """An image a cell; the stimulus' name is in it."""
    shown: dict[Path, list[np.ndarray]] = {}
    for cell in cells.ravel():
        image = cell[0, 0]
        name = str(image["img"].item())
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no file name")
        observers = [subject[0, 0] for subject in image["subjects"].ravel()]
        points = [np.column_stack([o["fix_x"].ravel(), o["fix_y"].ravel()]).astype(np.float64) for o in observers]
        shown[stimuli / name] = [own[1:] for own in points]
    if len(shown) < cells.size:
        raise ValueError("an image is named twice")
    return shown


def _scene(cells: np.ndarray, stimuli: Sequence[Path]) -> Shown:
    """A row an image in the order of the stimuli, a column an observer; a cell has y, x, onset and duration.

    That y comes first is said only by the program that made the file (parseEyeData.m in the authors' repository).
    Read so, all 43,894 points lie inside the 500 images; read as x, y, 8 % lie outside.
    """
    if len(cells) != len(stimuli):
        raise ValueError(f"{len(cells)} rows for {len(stimuli)} stimuli")
    return {
        image: [cell[1:, [1, 0]].astype(np.float64) if cell.size else np.zeros((0, 2)) for cell in row]
        for image, row in zip(stimuli, cells, strict=True)
    }


def _degree_on_screen(size: Size) -> float:
    """A degree in a stimulus of Scene: each was scaled to fit a screen of 1920 x 1080.

    How far away that was is not published. The same group's OSIE shows 600 pixels at 24 a degree, so 25 degrees: the
    screen is taken to be as high.
    """
    width, height = size
    return 1080 / 25 / min(1920 / width, 1080 / height)


def _pooled(folder: Path) -> Shown:
    """All observers' fixations as one: MIT1003 publishes an image of the fixated pixels, taken here at their middle."""
    shown: dict[Path, list[np.ndarray]] = {}
    problems: list[Problem] = []
    for image in _images(folder / "ALLSTIMULI"):
        file = folder / "ALLFIXATIONMAPS" / f"{image.stem}_fixPts.jpg"
        try:
            with opened(image, folder) as header, opened(file, folder) as points:
                if header.size != points.size:
                    raise BadInput(
                        Problem(str(file), f"has {points.size} pixels, its image {header.size}", "replace it")
                    )
                fixated = np.asarray(eight_bits(points).convert("L")) > 127  # JPEG leaves faint rings around a point
        except BadInput as error:
            problems += error.problems
            continue
        shown[image] = [np.argwhere(fixated)[:, ::-1] + 0.5]
    if problems:
        raise BadInput(problems)
    return shown
