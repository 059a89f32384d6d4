"""One COCO file of labels, a stranger's: its images with their objects, and everything that is wrong with it.

Boxes are COCO's x, y, width and height in pixels; one that leaves its image by a pixel at most, as exporters round, is
cut at the edge. What is `iscrowd` is `difficult`: to find nothing there is no miss.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.errors import BadInput, Problem
from toolkit.voc import Annotation, Box, Object, safe_id, voc_name

MAX_JSON = 2_000_000_000  # bytes; those of COCO's train2017 have 450 million
LONGEST = 200  # bytes of an image's name: files are called after it, with endings
ROUNDED = 1.0  # pixels by which a box may leave its image
_KEPT = {  # all else, polygons above all, is dropped as it is read
    "images", "annotations", "categories", "id", "file_name", "width", "height", "image_id", "category_id", "bbox",
    "iscrowd", "name",
}  # fmt: skip
_MEND = "mend or export the labels anew"

Row = dict[str, Any]
Key = int | str  # COCO's id of an image or a category
Image = tuple[str, int, int]  # its file's name, width and height


@dataclass
class Labels:
    """What a file of labels says, by image id: the image's file and what is annotated in it."""

    images: dict[str, tuple[str, Annotation]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    images_left_out: int = 0  # for want of objects
    objects_left_out: Counter[str] = field(default_factory=Counter)  # by category


def read(file: Path, classes: Collection[str]) -> Labels:
    """Read the labels; an image with anything that cannot be read is among the problems instead.

    Objects of other categories than `classes` are left out, and so are images that then have none: VOC's own lists have
    no such image. Takes twice the file's bytes of memory, then half a kilobyte an object. Raises `BadInput` where the
    whole is no COCO.
    """
    rows, categories, annotations = _tables(file)
    found = Labels()
    images = _images(rows, file, found.problems)
    listed = {key for row in rows if isinstance(key := row.get("id"), Key)}
    objects: defaultdict[Key, list[Object]] = defaultdict(list)
    strays: list[object] = []
    for row in annotations:
        key = row.get("image_id")
        if not isinstance(key, Key) or key not in listed:
            strays.append(key)
        elif key in images:
            name, width, height = images[key]
            try:
                known = Object(_category(row, categories), _box(row, width, height), row.get("iscrowd") == 1)
            except ValueError as error:
                found.problems.append(Problem(str(file), f"has an object in {name} that {error}", _MEND))
                del images[key]
                continue
            if known.name in classes:
                objects[key].append(known)
            else:
                found.objects_left_out[known.name] += 1
    if strays:
        fault = f"has {len(strays)} objects of images that it does not list, such as {strays[0]!r:.80}"
        found.problems.append(Problem(str(file), fault, _MEND))
    for key, (name, width, height) in images.items():
        if key in objects:
            image_id = PurePosixPath(name).stem
            found.images[image_id] = name, Annotation(f"{image_id}.jpg", width, height, tuple(objects[key]))
    found.images_left_out = len(images) - len(found.images)
    return found


def _tables(file: Path) -> tuple[list[Row], dict[Key, str], list[Row]]:
    """The images, VOC's names of the categories by their ids, and the objects."""
    try:
        if file.stat().st_size > MAX_JSON:
            raise BadInput(Problem(str(file), f"has more than {MAX_JSON} bytes", "split it"))
        whole = json.loads(
            file.read_text("utf-8-sig"), object_hook=lambda row: {key: row[key] for key in row if key in _KEPT}
        )
        images, annotations = _rows(whole, "images"), _rows(whole, "annotations")
        categories = {_key(row, "id"): voc_name(_text(row, "name")) for row in _rows(whole, "categories")}
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise BadInput(Problem(str(file), fault, "mend its name or its permissions")) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(Problem(str(file), f"is no COCO labels ({error})", _MEND)) from None
    return images, categories, annotations


def _images(rows: Sequence[Row], file: Path, problems: list[Problem]) -> dict[Key, Image]:
    """The images by COCO's ids for them; one that is no safe file's, or there twice, is among the problems instead."""
    found: dict[Key, Image] = {}
    keys: Counter[Key] = Counter()
    for number, row in enumerate(rows):
        try:
            key, image = _key(row, "id"), (_file_name(row), _side(row, "width"), _side(row, "height"))
        except ValueError as error:
            problems.append(Problem(str(file), f"has an image (number {number}) that {error}", _MEND))
            continue
        keys[key] += 1
        found[key] = image
    for key in [key for key, count in keys.items() if count > 1]:
        problems.append(Problem(str(file), f"has {keys[key]} images of the id {key!r:.80}", "number them anew"))
        del found[key]
    ids = Counter(PurePosixPath(name).stem for name, _, _ in found.values())
    for image_id in [image_id for image_id, count in ids.items() if count > 1]:
        fault = f"has {ids[image_id]} images named {image_id!r}"
        problems.append(Problem(str(file), fault, "rename them: an image's id is its file's name"))
    return {key: image for key, image in found.items() if ids[PurePosixPath(image[0]).stem] == 1}


def _file_name(row: Row) -> str:
    """An image's path below its folder; of its stem VOC makes lists, in which an id ends at a space."""
    name = _text(row, "file_name")
    path = PurePosixPath(name)
    if not path.stem or not all(map(safe_id, path.parts)) or " " in path.stem or len(name.encode()) > LONGEST:
        raise ValueError(f"is named {name[:LONGEST]!r}, which is no plain file name")
    return name


def _side(row: Row, key: str) -> int:
    value = _number(row.get(key), key)
    if not 1 <= value < 2**31:
        raise ValueError(f"has the {key} {value:g}")
    return int(value)


def _category(row: Row, categories: dict[Key, str]) -> str:
    key = _key(row, "category_id")
    if key not in categories:
        raise ValueError(f"is of the category {key!r:.80}, which is not listed")
    return categories[key]


def _box(row: Row, width: int, height: int) -> Box:
    stored = row.get("bbox")
    if not isinstance(stored, list) or len(stored) != 4:
        raise ValueError("has no bbox of four numbers")
    x, y, wide, high = (_number(value, "bbox") for value in stored)
    return _cut(x, width), _cut(y, height), _cut(x + wide, width), _cut(y + high, height)


def _cut(value: float, side: int) -> float:
    return min(max(value, 0.0), float(side)) if -ROUNDED <= value <= side + ROUNDED else value


def _rows(whole: object, key: str) -> list[Row]:
    rows = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"it has no list of {key}")
    return rows


def _key(row: Row, key: str) -> Key:
    value = row.get(key)
    if not isinstance(value, Key):
        raise ValueError(f"has no {key}")
    return value


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ValueError(f"has no {key}")
    return value


def _number(value: object, key: str) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"has no number as its {key}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"has a {key} beyond all numbers") from None
