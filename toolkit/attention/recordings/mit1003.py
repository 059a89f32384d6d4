"""MIT1003: Judd et al., Learning to predict where humans look (ICCV 2009). Its makers dropped each first fixation."""

from pathlib import Path

import numpy as np

from toolkit.attention.recordings import stimuli
from toolkit.attention.recordings.stimuli import Shown
from toolkit.attention.recordings.viewing import Layout, Recording
from toolkit.errors import BadInput, Problem
from toolkit.files import eight_bits


def fits(folder: Path) -> bool:
    return (folder / "ALLSTIMULI").is_dir() and (folder / "ALLFIXATIONMAPS").is_dir()


def read(folder: Path) -> Recording:
    return stimuli.recording("MIT1003", folder, _pooled(folder), lambda size: 35.0)


def _pooled(folder: Path) -> Shown:
    """All observers' fixations as one: MIT1003 publishes an image of the fixated pixels, taken here at their middle."""
    shown: dict[Path, list[np.ndarray]] = {}
    problems: list[Problem] = []
    for image in stimuli.images(folder / "ALLSTIMULI"):
        file = folder / "ALLFIXATIONMAPS" / f"{image.stem}_fixPts.jpg"
        try:
            with stimuli.opened(image, folder) as header, stimuli.opened(file, folder) as points:
                if header.size != points.size:
                    fault = f"has {points.size} pixels, its image {header.size}"
                    raise BadInput(Problem(str(file), fault, "replace it"))
                fixated = np.asarray(eight_bits(points).convert("L")) > 127  # JPEG leaves faint rings around a point
        except BadInput as error:
            problems += error.problems
            continue
        shown[image] = [np.argwhere(fixated)[:, ::-1] + 0.5]
    if problems:
        raise BadInput(problems)
    return shown


LAYOUT = Layout("MIT1003 (ALLSTIMULI/, ALLFIXATIONMAPS/*_fixPts.jpg)", fits, read)
