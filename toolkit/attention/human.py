"""People's attention from outside the VOC tree: masks that annotators made, or a recording of eye movements."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from toolkit import maps
from toolkit.attention import recordings
from toolkit.attention.recordings import Viewing
from toolkit.errors import BadInput, Problem
from toolkit.files import eight_bits

MASKS = "human_attention_mask"  # what the benchmark calls the folder; overlays of the same names lie beside it
SIDE = 256  # cells along a density's longer side, where the image has as many: a degree is several of them


class Human(NamedTuple):
    """What is known of people's attention to one image."""

    map: np.ndarray | None  # [H, W], as toolkit.maps has it, of any size
    viewing: Viewing | None  # what each observer fixated, where that was recorded


def attention_of(path: Path, wanted: Sequence[str]) -> Callable[[str], Human]:
    """A function from an image's id to what the folder `path` knows of people's attention to it.

    The folder is an eye-tracking recording (see `recordings`) or a tree of masks `ID.jpg` at any depth, such as
    `Image/PASCAL_VOC_2012/human_attention_mask/CLASS/ID.jpg` of Mohseni et al. (arXiv 1801.05075). Where folders
    `human_attention_mask` are in it, they alone are read. Ids are compared with the names found, never made a path.
    Raises `BadInput` for every file of a wanted id that is no grey image, and where no wanted id is there.
    """
    if not path.is_dir():
        raise BadInput(Problem(str(path), "is not a folder", "give a folder of masks or an eye-tracking recording"))
    if recordings.fits(path):
        viewings = recordings.read(path).viewings
        _require_any(path, viewings, wanted)
        return lambda image_id: seen(viewings[image_id]) if image_id in viewings else Human(None, None)
    masks = _masks(path, frozenset(wanted))
    _require_any(path, masks, wanted)
    _check(path, [file for files in masks.values() for file in files])
    return lambda image_id: (
        marked([_grey(file, path) for file in masks[image_id]]) if image_id in masks else Human(None, None)
    )


def ids_of(path: Path) -> set[str]:
    """The images whose attention the folder `path` knows, as `attention_of` reads it; raises `BadInput` as it does."""
    if recordings.fits(path):
        return {
            image_id for image_id, viewing in recordings.read(path).viewings.items() if any(map(len, viewing.fixations))
        }
    return {file.stem for file in _files(path)}


def marked(masks: Sequence[np.ndarray]) -> Human:
    """The mean of one image's masks [h, w] uint8, a class each: all that people marked in it, at the first one's size.

    Nothing is known where the mean is constant: nobody marked anything.
    """
    height, width = masks[0].shape
    same = [cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) for mask in masks]
    heatmap = maps.normalise(np.mean(same, axis=0))
    return Human(heatmap if heatmap.any() else None, None)


def seen(viewing: Viewing) -> Human:
    """The density of all observers' fixations, blurred by one degree, and the viewing.

    Nothing is known where there are none.
    """
    if not any(map(len, viewing.fixations)):
        return Human(None, None)
    factor = min(SIDE / max(viewing.size), 1)
    width, height = (max(round(side * factor), 1) for side in viewing.size)
    found = recordings.density(recordings.counts(viewing, height, width), viewing.degree * factor)
    return Human(maps.normalise(found), viewing)


def _masks(path: Path, wanted: frozenset[str]) -> dict[str, list[Path]]:
    """The files of each wanted id, sorted."""
    masks: defaultdict[str, list[Path]] = defaultdict(list)
    for file in _files(path):
        if file.stem in wanted:
            masks[file.stem].append(file)
    return dict(masks)


def _files(path: Path) -> list[Path]:
    """Every mask, sorted."""
    below = [folder for folder in path.rglob(MASKS) if folder.is_dir()]
    files = {file for folder in below or [path] for file in folder.rglob("*")}
    return sorted(file for file in files if file.suffix.lower() in recordings.SUFFIXES)


def _require_any(path: Path, known: Mapping[str, object], wanted: Sequence[str]) -> None:
    if known.keys().isdisjoint(wanted):
        mend = f"give a folder of masks ID.jpg of the dataset's images, or a recording ({recordings.LAYOUTS})"
        raise BadInput(Problem(str(path), f"knows none of the {len(wanted)} images", mend))


def _check(path: Path, files: Iterable[Path]) -> None:
    problems: list[Problem] = []
    for file in files:
        try:
            _grey(file, path)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)


def _grey(file: Path, root: Path) -> np.ndarray:
    """A grey image as 8 bits, [H, W] uint8, also where it is stored as 16 or as three equal channels."""
    with recordings.opened(file, root) as image:
        pixels = np.asarray(eight_bits(image).convert("RGB"))
    if (pixels != pixels[..., :1]).any():
        raise BadInput(Problem(str(file), "is coloured", "give the mask, a grey image, not a picture of it"))
    return pixels[..., 0]
