"""The user's own VOC tree, from anywhere: checked whole, then copied into the dataset byte by byte."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image
from tqdm import tqdm

from toolkit import maps
from toolkit.errors import BadInput, Problem
from toolkit.files import copy, seed_of
from toolkit.voc import Annotation, Object, Tree, parse, read_ids, safe_id, write_ids
from toolkit.workers import mapped

MAX_PIXELS = 64_000_000  # of an image; more in a small file is a decompression bomb
MAX_XML = 10_000_000  # bytes of an annotation
Split = str | Sequence[str]  # a list in ImageSets/Main by its name, or the ids themselves
_APART = "no detector may be judged on an image that it was trained on"
_GREY = ("L", "I;16")  # Pillow's names for grey of 8 and 16 bits


class Linked(Tree):
    """A VOC tree made of what lies in another layout in the folder `of`, into which its files may be links."""

    def __init__(self, root: Path, of: Path) -> None:
        super().__init__(root)
        self.of = of


def build(
    tree: Tree, splits: Mapping[str, Split], classes: Sequence[str], on_error: Literal["stop", "skip"], out: Path,
    *, halve: bool = False, known: Sequence[Problem] = (),
) -> dict[str, object]:  # fmt: skip
    """Check the tree, then copy its splits into the empty folder `out` as a VOC tree with salvoc's split names.

    `halve`: half of train becomes the split `base`. `known`: problems that were met before, which come first. Returns
    the counts of images, of each split and of known attention, and what was skipped and why. A blank attention map says
    nothing and is left out. Raises `BadInput` with every problem, before anything is written: for any with "stop",
    where a split has no image left with "skip", where train is too small to halve.
    """
    ids, found = check(tree, splits, classes)
    problems = [*known, *found]
    if problems and (on_error == "stop" or not all(ids.values())):
        raise BadInput(problems)
    if halve:
        ids |= halves(ids["train"], _where(tree, splits["train"]))
    target = Tree(out)
    attention = 0
    for image_id in tqdm([image_id for split in ids.values() for image_id in split], "copy", unit=" images"):
        copy(tree.image(image_id), target.image(image_id))
        copy(tree.annotation(image_id), target.annotation(image_id))
        if maps.known(tree.attention(image_id)):
            copy(tree.attention(image_id), target.attention(image_id))
            attention += 1
    for name, split in ids.items():
        write_ids(target.split(name), split)
    counts = {name: len(split) for name, split in ids.items()}
    skipped = [{"file": problem.file, "fault": problem.fault} for problem in problems]
    return {"images": sum(counts.values()), **counts, "attention": attention, "skipped": skipped}


def halves(ids: Sequence[str], split: Path) -> dict[str, list[str]]:
    """The ids of train as those of `train` and `base`, about half each, in their order: each id's hash says which.

    Raises `BadInput`, naming the file `split`, where a half would be empty.
    """
    names = {image_id: ("train", "base")[seed_of("base", image_id) % 2] for image_id in ids}
    parts = {name: [image_id for image_id in ids if names[image_id] == name] for name in ("train", "base")}
    if not all(parts.values()):
        mend = "list more images, or name a split of other images in data.base_split"
        raise BadInput(Problem(str(split), f"has too few images to halve: {len(ids)}", mend))
    return parts


def check(
    tree: Tree, splits: Mapping[str, Split], classes: Sequence[str]
) -> tuple[dict[str, list[str]], list[Problem]]:
    """The usable ids of each split, in file order, and every problem of the tree, in the splits' order.

    `splits` maps salvoc's names to the tree's lists, or to the ids themselves. An id with a problem, or in several
    splits, is in no split that is returned; an id listed twice is in it once. Where a folder or a split is missing, the
    splits concerned come back empty.
    """
    if not tree.root.is_dir():
        return {name: [] for name in splits}, [Problem(str(tree.root), "is not a folder", "mend data.path")]
    missing = [
        Problem(str(folder), "is not a folder", "a VOC tree has JPEGImages, Annotations and ImageSets/Main")
        for folder in (tree.image("").parent, tree.annotation("").parent, tree.split("").parent)
        if not folder.is_dir()
    ]
    if missing:
        return {name: [] for name in splits}, missing

    named = Counter(theirs for theirs in splits.values() if isinstance(theirs, str))
    if twice := [
        f"data.{name}_split" for name, theirs in splits.items() if isinstance(theirs, str) and named[theirs] > 1
    ]:
        same = Problem(" and ".join(twice), "are the same split", f"name another for each: {_APART}")
        return {name: [] for name in splits}, [same]

    listed: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name, theirs in splits.items():
        listed[name], faults = _listed(tree, theirs)
        problems += faults

    homes: dict[str, list[str]] = {}
    for name, ids in listed.items():
        file = str(_where(tree, splits[name]))
        for image_id in ids:
            homes.setdefault(image_id, []).append(file)
    leaks = {image_id: where for image_id, where in homes.items() if len(where) > 1}
    problems += [
        Problem(" and ".join(where), f"share the image {image_id!r}", f"list it in one of them: {_APART}")
        for image_id, where in leaks.items()
    ]

    faults_of = _check_images(tree, list(homes), frozenset(classes))
    problems += [problem for faults in faults_of.values() for problem in faults]
    usable = {
        name: [image_id for image_id in ids if image_id not in leaks and image_id not in faults_of]
        for name, ids in listed.items()
    }
    problems += [
        Problem(str(_where(tree, splits[name])), "has no image without a problem", "mend the images that it lists")
        for name, ids in usable.items()
        if listed[name] and not ids
    ]
    return usable, problems


def _where(tree: Tree, theirs: Split) -> Path:
    return tree.split(theirs) if isinstance(theirs, str) else tree.root


def _listed(tree: Tree, split: Split) -> tuple[list[str], list[Problem]]:
    """The safe ids of a split, each once, and what is wrong with its file; ids that are given are taken as they are."""
    if not isinstance(split, str):
        return list(split), []
    path = tree.split(split)
    if path.is_file() and (fault := _outside(tree, path)):
        return [], [fault]
    try:
        lines = read_ids(path)
    except BadInput as error:
        return [], list(error.problems)
    except OSError as error:
        return [], [_unreadable(path, error)]
    if not lines:
        return [], [Problem(str(path), "is empty", "list the split's image ids in it, one a line")]
    problems: list[Problem] = []
    for image_id, count in Counter(lines).items():
        if not safe_id(image_id):
            problems.append(
                Problem(str(path), f"lists {image_id!r}, which is no plain file name", "remove or rename it")
            )
        elif count > 1:
            problems.append(Problem(str(path), f"lists {image_id!r} {count} times", "remove the repeated lines"))
    return [image_id for image_id in dict.fromkeys(lines) if safe_id(image_id)], problems


def _check_images(tree: Tree, ids: Sequence[str], classes: frozenset[str]) -> dict[str, list[Problem]]:
    """The problems of each image that has any, in order; images are decoded side by side, and dropped at once."""
    found = mapped(lambda: lambda image_id: _check_image(tree, image_id, classes), ids)
    checked = zip(ids, tqdm(found, "check", total=len(ids), unit=" images"), strict=True)
    return {image_id: problems for image_id, problems in checked if problems}


def _check_image(tree: Tree, image_id: str, classes: frozenset[str]) -> list[Problem]:
    """Every problem of one image, its annotation and its attention."""
    image, annotation, attention = tree.image(image_id), tree.annotation(image_id), tree.attention(image_id)
    problems: list[Problem] = []
    size: tuple[int, int] | None = None
    try:
        size = _decode(tree, image, "JPEG", "PNG").size  # VOC tools decode by content; variants are stored so
    except BadInput as error:
        problems += error.problems
    try:
        problems += _annotation_faults(str(annotation), _parse(tree, annotation), size, classes)
    except BadInput as error:
        problems += error.problems
    if os.path.lexists(attention):
        try:
            problems += _attention_faults(str(attention), _decode(tree, attention, "PNG"), size)
        except BadInput as error:
            problems += error.problems
    return problems


def _decode(tree: Tree, path: Path, *kinds: Literal["JPEG", "PNG"]) -> Image.Image:
    """The image of one of these formats, every pixel decoded; raises `BadInput` where that fails."""
    _require(tree, path)
    mend = "replace the file, or take its id out of the split"
    try:
        with Image.open(path, formats=kinds) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, {MAX_PIXELS} are allowed")
            image.load()
            return image
    except Image.DecompressionBombError as error:
        raise BadInput(Problem(str(path), f"is too large to decode safely ({error})", "scale it down")) from None
    except Image.UnidentifiedImageError:
        raise BadInput(Problem(str(path), f"is not a {' or '.join(kinds)} image", mend)) from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise BadInput(Problem(str(path), f"does not decode ({error})", mend)) from None


def _parse(tree: Tree, path: Path) -> Annotation:
    _require(tree, path)
    try:
        if path.stat().st_size > MAX_XML:
            raise BadInput(Problem(str(path), f"has more than {MAX_XML} bytes", "replace it by a VOC annotation"))
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(_unreadable(path, error)) from None


def _annotation_faults(
    file: str, annotation: Annotation, size: tuple[int, int] | None, classes: frozenset[str]
) -> list[Problem]:
    """What in an annotation does not fit an image of `size` (width, height), None where that is not known."""
    said = annotation.width, annotation.height
    problems: list[Problem] = []
    if size and said != size:
        mend = "annotate the pixels as they are stored (a camera may store a photo turned), or mend the size"
        problems.append(Problem(file, f"says {said[0]} x {said[1]}, its image has {size[0]} x {size[1]} pixels", mend))
    for known in annotation.objects:
        if fault := _box_fault(known, *(size or said)):
            mend = f"mend the box: VOC counts pixels from 1, up to {size or said}"
            problems.append(Problem(file, f"has a {known.name} whose box {fault}", mend))
    for name in dict.fromkeys(o.name for o in annotation.objects if o.name not in classes):
        mend = f"rename it, or add it to data.classes (known: {', '.join(sorted(classes))})"
        problems.append(Problem(file, f"has an object of the unknown class {name!r}", mend))
    return problems


def _box_fault(known: Object, width: int, height: int) -> str | None:
    x0, y0, x1, y1 = known.box
    written = f"({x0 + 1:g}, {y0 + 1:g}, {x1:g}, {y1:g})"
    if not all(abs(value) < float("inf") for value in known.box):  # False for NaN too
        return f"{written} is not finite"
    if x1 <= x0 or y1 <= y0:
        return f"{written} is empty"
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        return f"{written} leaves the image"
    return None


def _attention_faults(file: str, image: Image.Image, size: tuple[int, int] | None) -> list[Problem]:
    problems: list[Problem] = []
    if image.mode not in _GREY:
        mend = "store it as a single-channel PNG"
        problems.append(Problem(file, f"is not grey of 8 or 16 bits (Pillow's mode {image.mode})", mend))
    if size and image.size != size:
        fault = f"has {image.width} x {image.height} pixels, its image {size[0]} x {size[1]}"
        problems.append(Problem(file, fault, "scale it to the image"))
    return problems


def _require(tree: Tree, path: Path) -> None:
    """Raise `BadInput` unless `path` is a file inside the tree."""
    try:
        there = path.is_file()
    except OSError as error:  # a name too long, a folder without permission
        raise BadInput(_unreadable(path, error)) from None
    if not there:
        raise BadInput(Problem(str(path), "does not exist", "add the file, or take its id out of the split"))
    if fault := _outside(tree, path):
        raise BadInput(fault)


def _outside(tree: Tree, path: Path) -> Problem | None:
    """A stranger's tree must not make salvoc read the user's other files."""
    homes = [tree.root, tree.of] if isinstance(tree, Linked) else [tree.root]
    if any(path.resolve().is_relative_to(home.resolve()) for home in homes):
        return None
    return Problem(str(path), f"leads out of the tree, to {path.resolve()}", "put the file itself there")


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(str(path), f"cannot be read ({error.strerror})", "mend its name or its permissions")
