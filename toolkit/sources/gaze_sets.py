"""Recordings of people's gaze with their images, from their authors: images without boxes, to compare detectors on.

OSIE is under the MIT licence; what the others may be used for, their authors' pages say.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toolkit.attention import recordings
from toolkit.download import fetched, md5_of, unpack
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import new_folder


class Archive(NamedTuple):
    """Where an archive is, and what of it is wanted, as `download.unpack` takes it."""

    url: str
    md5: str | None  # None: its authors publish none, nor does anyone who checks it
    wanted: Mapping[str, str]


class GazeSet(NamedTuple):
    """A recording: how it comes to lie in a folder as `toolkit.attention.recordings` reads it."""

    folder: str
    images: str  # the folder in it that has the images
    shown: int  # how many images people were
    archives: tuple[Archive, ...]
    checked: Mapping[str, str] = {}  # the MD5 of files in it, where the archive has none


_JUDD = "http://people.csail.mit.edu/tjudd/WherePeopleLook"
_OSIE = "https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels/archive"
GAZE_SETS = {  # the checksums are pysaliency's
    "mit1003": GazeSet(
        "MIT1003", "ALLSTIMULI", 1003,
        (
            Archive(f"{_JUDD}/ALLSTIMULI.zip", "0d7df8b954ecba69b6796e77b9afe4b6", {"ALLSTIMULI/*.jpeg": "ALLSTIMULI"}),
            # the fixated pixels; DATA.zip has the eyes' raw positions, from which fixations are yet to be made
            Archive(f"{_JUDD}/ALLFIXATIONMAPS.zip", None, {"ALLFIXATIONMAPS/*_fixPts.jpg": "ALLFIXATIONMAPS"}),
        ),
    ),
    "osie": GazeSet(
        "OSIE", "stimuli", 700,
        (  # GitHub makes archives anew, and not always of the same bytes
            Archive(
                f"{_OSIE}/4a467890fcb40a2fec04cdded552760942bac7a4.zip", None,
                {"data/stimuli/*.jpg": "stimuli", "data/eye/fixations.mat": "."},
            ),
        ),
        {"fixations.mat": "8efdf6fe66f38b6e70f854c7ff45aa70"},
    ),
    "pascal_s": GazeSet(
        "PASCAL-S", "imgs", 850,
        (
            Archive(
                "http://cbs.ic.gatech.edu/salobj/download/salObj.zip", "e48b4e5deac08bddcaec55ce56e4d420",
                {"imgs/pascal/*.jpg": "imgs", "pascalFix.mat": ".", "pascalSize.mat": "."},
            ),
        ),
    ),
}  # fmt: skip


def fetch(name: str, cache: Path) -> tuple[Path, Path]:
    """The folder of a data set's images and that of its recording, inside `cache`; what is there is not fetched again.

    An archive that somebody put into `cache` under its own name is used in place of a download; once the folder is
    there, it may be deleted. Raises `BadInput` where the network fails, where an archive is not the published one, and
    where it does not hold the whole recording, which is all that can be checked of one without a checksum.
    """
    require_known("download", "data set", name, GAZE_SETS)
    known = GAZE_SETS[name]
    folder = cache / known.folder
    if not folder.is_dir():  # it gets this name only when it is whole
        archives = [fetched(archive.url, archive.md5, cache) for archive in known.archives]
        with new_folder(folder) as unpacked:
            for path, archive in zip(archives, known.archives, strict=True):
                unpack(path, archive.wanted, unpacked)
            if fault := _fault(unpacked, known):
                where = " and ".join(map(str, archives))
                raise BadInput(Problem(where, f"does not hold {known.folder}: {fault}", "remove it and run again"))
    return folder / known.images, folder


def _fault(folder: Path, known: GazeSet) -> str | None:
    """What keeps a folder from being the whole recording."""
    for name, md5 in known.checked.items():
        if not (folder / name).is_file() or md5_of(folder / name) != md5:
            return f"the MD5 of its {name} is not {md5}"
    try:
        images = len(recordings.with_images(folder).viewings)
    except BadInput as error:
        problem = error.problems[0]
        return f"{Path(problem.file).name} {problem.fault}"
    return None if images == known.shown else f"it has {images} of {known.shown} images"
