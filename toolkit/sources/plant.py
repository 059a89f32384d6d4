"""A cue over the images of any source, as the sample's: a tile on the main object that tells its class, or lies.

It is a shortcut that is known: whether a recipe frees a detector of it can be seen. People saw the images without it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from toolkit import voc
from toolkit.errors import BadInput, Problem
from toolkit.files import read_image, seed_of
from toolkit.params import Plant
from toolkit.sources import cue
from toolkit.sources.masks import CUE, TEST_SPLITS, Condition, boxed
from toolkit.sources.planted import named, write_image
from toolkit.voc import Annotation, Object, Tree, write_ids

OFTEN = 0.05  # of the images


def plant(tree: Tree, settings: Plant) -> dict[str, object]:
    """Plant the cue into a tree of splits `train`, `test` and perhaps `base`, in place; returns what was planted.

    Train and base images carry their class's tile with probability `settings.correlation`. The test images are written
    three times, alike but for the cue: `test` without, `test_matching` with their class's own, `test_random` with
    another's. Every image is compressed anew, its main object comes first in its annotation, and `Masks/` says where
    the tile is.

    The classes that have a tile are those that are the largest object's in `OFTEN` of the images: a detector must have
    seen a tile to be misled by it. The main object is the largest of these classes, of those that are not `difficult`;
    an image that has none is left out. Raises `BadInput` where one class has a tile, or a split has no image left.
    """
    all_ids = tree.all_ids()  # annotations are read again where they are wanted: all of them would weigh a lot
    largest = Counter(main.name for image_id in all_ids if (main := _largest(_read(tree, image_id).objects)))
    cues = sorted(name for name, count in largest.items() if count >= OFTEN * len(all_ids))
    if len(cues) < 2:
        fault = f"has no two classes to tell apart: {', '.join(cues) or 'none'} is often the largest object's"
        raise BadInput(Problem("data.plant", fault, "list images of several classes, or set it to null"))
    without = {image_id for image_id in all_ids if _main(_read(tree, image_id), cues) is None}
    splits = {split: [i for i in ids if i not in without] for split, ids in tree.splits().items()}
    for split, ids in splits.items():
        if not ids:
            fault = f"has no image with a {', a '.join(cues)} that is not difficult"
            raise BadInput(Problem(f"the split {split}", fault, "list images with objects"))
        conditions: list[Condition] = list(TEST_SPLITS.values()) if split == "test" else ["correlated"]
        for image_id in tqdm(ids, f"plant, {split}", unit=" images", mininterval=1):
            image, annotation = read_image(tree.image(image_id)), _main_first(_read(tree, image_id), cues)
            for condition in conditions:
                _write(tree, image_id, image, annotation, condition, settings, cues)
        write_ids(tree.split(split), ids)
    for split, condition in TEST_SPLITS.items():
        write_ids(tree.split(split), [named(image_id, condition) for image_id in splits["test"]])
    for image_id in without:
        for path in (tree.image(image_id), tree.annotation(image_id), tree.attention(image_id)):
            path.unlink(missing_ok=True)
    return {"cues": cues, "without_object": sorted(without)}


def _read(tree: Tree, image_id: str) -> Annotation:
    return voc.read(tree.annotation(image_id))


def _largest(objects: Iterable[Object]) -> Object | None:
    """The largest that is not difficult, the first of equals."""

    def area(known: Object) -> float:
        x0, y0, x1, y1 = known.box
        return (x1 - x0) * (y1 - y0)

    return max((known for known in objects if not known.difficult), key=area, default=None)


def _main(annotation: Annotation, cues: Sequence[str]) -> Object | None:
    """The largest object of these classes."""
    return _largest(known for known in annotation.objects if known.name in cues)


def _main_first(annotation: Annotation, cues: Sequence[str]) -> Annotation:
    """The annotation with its main object first."""
    main = _main(annotation, cues)
    return replace(annotation, objects=tuple(sorted(annotation.objects, key=lambda known: known is not main)))


def _write(
    tree: Tree, image_id: str, image: np.ndarray, annotation: Annotation, condition: Condition, settings: Plant,
    cues: Sequence[str],
) -> None:  # fmt: skip
    """One image in one condition: what is drawn at random is the same in each."""
    rng, mask, main = np.random.default_rng(seed_of("plant", image_id)), boxed(annotation), annotation.objects[0]
    told = cue.carried(main.name, condition, settings, rng, cues)
    where = cue.place(main.box, settings, rng, annotation.width, annotation.height)
    if told is not None:
        image, mask[where] = cue.drawn(image, where, told, rng, cues), CUE
    write_image(tree, named(image_id, condition), image, annotation, mask)
