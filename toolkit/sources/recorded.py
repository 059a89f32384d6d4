"""Splits by whose attention is known, wherever the images are listed; `SPLITS` has them by the name in params."""

from collections.abc import Collection
from hashlib import sha256

from toolkit.voc import Tree

OF = 20  # parts, of which
ALONE, TEST = 4, 8  # the first four are left alone, for a last look, and the next four are test


def splits(tree: Tree, seen: Collection[str]) -> dict[str, list[str]]:
    """The ids of `train` and `test`, sorted: the tree's annotated images that people have `seen`.

    Each id's hash says which it is in: a larger tree or recording moves none.
    """
    known = [image_id for image_id in _annotated(tree) if image_id in seen]
    part = {image_id: int(sha256(image_id.encode()).hexdigest(), 16) % OF for image_id in known}
    return {
        "train": [image_id for image_id in part if part[image_id] >= TEST],
        "test": [image_id for image_id in part if ALONE <= part[image_id] < TEST],
    }


def study(tree: Tree, seen: Collection[str]) -> dict[str, list[str]]:
    """The study's: of the tree's annotated images those that people have `seen` are `test`, all others `train`."""
    there = _annotated(tree)
    return {
        "train": [image_id for image_id in there if image_id not in seen],
        "test": [image_id for image_id in there if image_id in seen],
    }


SPLITS = {"recorded": splits, "tested": study}


def _annotated(tree: Tree) -> list[str]:
    return sorted(path.stem for path in tree.annotation("").parent.glob("*.xml"))
