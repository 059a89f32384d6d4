"""The images that people were shown: found, and opened with care."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.attention.recordings.viewing import Recording, Size, Viewing, inside
from toolkit.errors import BadInput, Problem

MAX_PIXELS = 64_000_000  # of an image; more in a small file is a decompression bomb
SUFFIXES = (".jpg", ".jpeg", ".png")

Shown = Mapping[Path, list[np.ndarray]]  # an image and what each observer fixated in it, [N, 2] x, y


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


def images(folder: Path) -> list[Path]:
    """The folder's images, sorted; raises `BadInput` where there are none, or two of one id."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise BadInput(Problem(str(folder), "has no images", "put the stimuli there"))
    count = Counter(path.stem for path in found)
    twins = [path for path in found if count[path.stem] > 1]
    if twins:
        raise BadInput(Problem(str(path), "shares its id with another image", "rename one of them") for path in twins)
    return found


def recording(name: str, folder: Path, shown: Shown, degree: Callable[[Size], float]) -> Recording:
    """A recording whose images lie in its folder; raises `BadInput` for each that is missing or no image.

    `degree` gives the pixels of a degree for an image's size.
    """
    viewings: dict[str, Viewing] = {}
    problems: list[Problem] = []
    for image, observers in sorted(shown.items()):
        try:
            with opened(image, folder) as header:
                size = header.size
        except BadInput as error:
            problems += error.problems
            continue
        viewings[image.stem] = Viewing(image, [inside(points, size) for points in observers], size, degree(size))
    if problems:
        raise BadInput(problems)
    return Recording(name, viewings)


def file_name(name: str) -> str:
    """The name, which a stranger's file gives; raises ValueError where it leads elsewhere."""
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no file name")
    return name
