"""Eye-tracking recordings: what people fixated in images, by image id, in any of the layouts that `LAYOUTS` lists.

Each observer's first fixation is dropped, as is the field's custom: it is drawn to where the eye rested before the
image came. Fixations outside the image are dropped too.
"""

from pathlib import Path

from toolkit.attention.recordings import cells, mit1003, pascal_s, poet
from toolkit.attention.recordings.matlab import MAX_UNPACKED
from toolkit.attention.recordings.stimuli import MAX_PIXELS, SUFFIXES, opened
from toolkit.attention.recordings.viewing import Recording, Viewing, counts, density
from toolkit.errors import BadInput, Problem

__all__ = [
    "LAYOUTS",
    "MAX_PIXELS",
    "MAX_UNPACKED",
    "SUFFIXES",
    "Recording",
    "Viewing",
    "counts",
    "density",
    "fits",
    "opened",
    "read",
    "with_images",
]

KNOWN = (cells.LAYOUT, mit1003.LAYOUT, poet.LAYOUT, pascal_s.LAYOUT)  # the first that fits is taken
LAYOUTS = f"give a folder laid out as one of: {', '.join(layout.about for layout in KNOWN)}"


def fits(folder: Path) -> bool:
    """Whether the folder has the parts of a recording's layout."""
    return any(layout.fits(folder) for layout in KNOWN)


def read(folder: Path) -> Recording:
    """Read a recording; its layout is told by what is there.

    Raises `BadInput` that lists the layouts where none fits, else every file that is missing or not what it should be.
    """
    for layout in KNOWN:
        if layout.fits(folder):
            return layout.read(folder)
    raise BadInput(Problem(str(folder), "is not a recording that salvoc knows", LAYOUTS))


def with_images(folder: Path) -> Recording:
    """Of a recording the viewings whose image lies in its folder, for those who look at the images themselves.

    Raises `BadInput` as `read` does, where no image is there, and for each that is none or of another size.
    """
    recording = read(folder)
    there = {image_id: viewing for image_id, viewing in recording.viewings.items() if viewing.image.exists()}
    if not there:
        first = next(iter(recording.viewings.values())).image
        mend = f"put the images into {first.parent}, such as {first.name}"
        raise BadInput(Problem(str(folder), f"has none of the images of {recording.name}", mend))
    problems: list[Problem] = []
    for viewing in there.values():
        try:
            with opened(viewing.image, folder) as header:
                if header.size != viewing.size:
                    fault = f"has {header.size} pixels, its image in the recording {viewing.size}"
                    problems.append(Problem(str(viewing.image), fault, "put the image there that people were shown"))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return Recording(recording.name, there, recording.benchmark)
