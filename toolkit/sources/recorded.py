"""Splits of the images whose gaze is known, wherever they are listed: each id's hash says which it is in."""

from collections.abc import Collection
from hashlib import sha256

from toolkit.voc import Tree

OF = 20  # parts, of which
ALONE, TEST = 4, 8  # the first four are left alone, for a last look, and the next four are test


def splits(tree: Tree, seen: Collection[str]) -> dict[str, list[str]]:
    """The ids of `train` and `test`, sorted: the tree's annotated images that people have `seen`.

    What an image is in hangs on its id alone: a larger tree or recording moves none.
    """
    there = sorted(path.stem for path in tree.annotation("").parent.glob("*.xml"))
    part = {image_id: int(sha256(image_id.encode()).hexdigest(), 16) % OF for image_id in there if image_id in seen}
    return {
        "train": [image_id for image_id in part if part[image_id] >= TEST],
        "test": [image_id for image_id in part if ALONE <= part[image_id] < TEST],
    }
