"""Somebody's COCO folder, laid out in any of `LAYOUTS`, as a VOC tree; what it says is read by `coco_labels`.

An image's id is its file's name.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.errors import BadInput, Problem
from toolkit.sources import coco_labels
from toolkit.sources.folder import Linked
from toolkit.voc import render, write_ids

LAYOUTS = (  # of a split: its labels, and the folder that they name images from
    ("annotations/instances_{}.json", "{}"),  # as COCO is published
    ("annotations/instances_{}.json", "images/{}"),
    ("{}/_annotations.coco.json", "{}"),  # Roboflow's exports
    ("{}/labels.json", "{}/data"),  # FiftyOne's, and so `salvoc export --format coco`
)


@dataclass
class Converted:
    """A COCO folder as a VOC tree, and what could not come into it."""

    tree: Linked
    problems: list[Problem] = field(default_factory=list)
    images_left_out: int = 0  # for want of objects
    objects_left_out: Counter[str] = field(default_factory=Counter)  # by category
    names: dict[str, str] = field(default_factory=dict)  # of each of the tree's files: what it was made from
    lost: set[str] = field(default_factory=set)  # lists of splits that are among the problems already

    def told(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems of the tree's files, told of what these were made from."""
        return [
            replace(problem, file=self.names.get(problem.file, problem.file))
            for problem in problems
            if problem.file not in self.lost
        ]


def fits(root: Path, split: str) -> bool:
    """Whether the folder has this split."""
    return _layout(root, split) is not None


def convert(root: Path, splits: Iterable[str], classes: Collection[str], out: Path) -> Converted:
    """Write the splits as a VOC tree into the empty folder `out`, its images links to those in `root`.

    What cannot be in a VOC tree is among the problems; what is wrong in one is left to `folder.check`. The labels of
    one split at a time are in memory (see `coco_labels.read`).
    """
    done = Converted(Linked(out, root), names={str(out): str(root)})
    for file in (done.tree.image(""), done.tree.annotation(""), done.tree.split("")):
        file.parent.mkdir(parents=True)
    homes: dict[str, list[str]] = {}  # the splits of each image
    for split in dict.fromkeys(splits):
        try:
            _write(done, split, classes, homes)
        except BadInput as error:
            done.problems += error.problems
            done.lost.add(str(done.tree.split(split)))
    for image_id, own in homes.items():
        if len(own) > 1:
            where = " and ".join(done.names[str(done.tree.split(split))] for split in own)
            mend = "rename one, or list it in one of them: an image's id is its file's name"
            done.problems.append(Problem(where, f"share the image {image_id!r}", mend))
            done.tree.annotation(image_id).unlink()
    for split in dict.fromkeys(split for own in homes.values() for split in own):
        write_ids(done.tree.split(split), [image_id for image_id, own in homes.items() if own == [split]])
    return done


def _layout(root: Path, split: str) -> tuple[Path, Path] | None:
    """A split's labels and the folder of its images, in the first layout that has both."""
    for labels, images in LAYOUTS:
        if (root / labels.format(split)).is_file() and (root / images.format(split)).is_dir():
            return root / labels.format(split), root / images.format(split)
    return None


def _write(done: Converted, split: str, classes: Collection[str], homes: dict[str, list[str]]) -> None:
    """Write a split's images and annotations; one whose id another split has is noted in `homes` alone."""
    root, tree = done.tree.of, done.tree
    found = _layout(root, split)
    if found is None:
        known = " or ".join(f"{labels.format(split)} with {images.format(split)}/" for labels, images in LAYOUTS)
        raise BadInput(Problem(str(root), f"has no split {split!r}", f"name another, or give {known}"))
    file, folder = found
    if not file.resolve().is_relative_to(root.resolve()):  # a stranger's folder must not make salvoc read others
        fault = f"leads out of the folder, to {file.resolve()}"
        raise BadInput(Problem(str(file), fault, "put the file itself there"))
    done.names[str(tree.split(split))] = str(file)
    labels = coco_labels.read(file, classes)
    done.problems += labels.problems
    done.images_left_out += labels.images_left_out
    done.objects_left_out += labels.objects_left_out
    if not labels.images:
        mend = "mend what else is told of it, or name its categories in data.classes"
        raise BadInput(Problem(str(file), f"has no image with a {' or a '.join(classes)}", mend))
    for image_id, (name, annotation) in labels.images.items():
        homes.setdefault(image_id, []).append(split)
        if len(homes[image_id]) == 1:
            image, written = tree.image(image_id), tree.annotation(image_id)
            image.symlink_to((folder / name).absolute())
            written.write_bytes(render(annotation))
            done.names |= {str(image): str(folder / name), str(written): f"{file} ({name})"}
