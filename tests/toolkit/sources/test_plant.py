"""A cue on photographs: on the main object, its class's in one condition and another's in the next, all else alike."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from toolkit import voc
from toolkit.errors import BadInput
from toolkit.files import png, read_image, write
from toolkit.params import Plant
from toolkit.sources.cue import tile
from toolkit.sources.masks import CUE, OBJECT, read_mask
from toolkit.sources.plant import plant
from toolkit.voc import Annotation, Object, Tree

ALWAYS = Plant(correlation=1.0, place="overlapping", side=0.25)
WIDTH, HEIGHT, SIDE = 120, 80, 20
SMALL, LARGE = (0, 0, 20, 20), (30, 10, 100, 70)


def add(tree: Tree, image_id: str, *objects: Object) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    write(tree.image(image_id), png(grey))
    write(tree.annotation(image_id), voc.render(Annotation(f"{image_id}.jpg", WIDTH, HEIGHT, objects)))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Cats and dogs in turn, a person beside each; one image without an object that is clear."""
    tree = Tree(tmp_path / "tree")
    ids = [f"{n:02d}" for n in range(20)]
    for n, image_id in enumerate(ids):
        add(tree, image_id, Object("person", SMALL), Object(("cat", "dog")[n % 2], LARGE))
    add(tree, "20", Object("cat", LARGE, difficult=True))
    for split, own in {"train": [*ids[:8], "20"], "base": ids[8:12], "test": ids[12:]}.items():
        voc.write_ids(tree.split(split), own)
    return tree


def shown(tree: Tree, image_id: str, cues: list[str]) -> str | None:
    """The class whose tile an image shows; None where there is none."""
    mask = read_mask(tree, image_id)
    assert mask is not None
    if not (mask == CUE).any():
        return None
    seen = read_image(tree.image(image_id))[mask == CUE].reshape(SIDE, SIDE, 3).astype(float)
    return min(cues, key=lambda name: np.abs(seen - tile(name, SIDE, cues)).mean())


def test_each_condition_shows_its_tile_on_the_largest_object(tree: Tree) -> None:
    assert plant(tree, ALWAYS) == {"cues": ["cat", "dog"], "without_object": ["20"]}
    tests = tree.ids("test")
    assert tree.ids("test_matching") == [f"{i}_matching" for i in tests]
    assert tree.ids("test_random") == [f"{i}_random" for i in tests]
    for n, image_id in enumerate(tests):
        own, another = ("cat", "dog") if n % 2 == 0 else ("dog", "cat")
        told = [shown(tree, f"{image_id}{suffix}", ["cat", "dog"]) for suffix in ("", "_matching", "_random")]
        assert told == [None, own, another]
    for image_id in (*tree.ids("train"), *tree.ids("base")):
        assert shown(tree, image_id, ["cat", "dog"]) == ("cat", "dog")[int(image_id) % 2]


def test_the_conditions_differ_in_the_tile_alone(tree: Tree) -> None:
    plant(tree, ALWAYS)
    for plain in tree.ids("test"):
        matching, random = (read_mask(tree, f"{plain}_{condition}") for condition in ("matching", "random"))
        assert matching is not None
        assert np.array_equal(matching, random)
        rows, columns = np.nonzero(matching == CUE)
        x0, y0, x1, y1 = LARGE
        assert rows.min() >= y0
        assert columns.min() >= x0
        far = np.ones((HEIGHT, WIDTH), bool)
        far[max(rows.min() - 8, 0) : rows.max() + 9, max(columns.min() - 8, 0) : columns.max() + 9] = False  # JPEG's
        images = [read_image(tree.image(f"{plain}{suffix}")) for suffix in ("", "_matching", "_random")]
        assert all(np.array_equal(image[far], images[0][far]) for image in images)
        assert (matching[y0:y1, x0:x1] != 0).all()
        assert matching[5, 5] == OBJECT


def test_the_main_object_comes_first_and_none_is_lost(tree: Tree) -> None:
    plant(tree, ALWAYS)
    for image_id in tree.ids("test_random"):
        names = [o.name for o in voc.read(tree.annotation(image_id)).objects]
        assert names[0] in ("cat", "dog")
        assert names[1:] == ["person"]


def test_an_image_without_a_clear_object_is_left_out(tree: Tree) -> None:
    plant(tree, ALWAYS)
    assert "20" not in tree.all_ids()
    assert not tree.image("20").exists()


def test_a_class_that_is_rarely_the_main_one_has_no_tile(tree: Tree) -> None:
    """A detector that has hardly seen a tile is not misled by it: the largest object of the others is the main one."""
    for n in range(21, 61):
        shutil.copyfile(tree.image("00"), tree.image(str(n)))
        shutil.copyfile(tree.annotation("00"), tree.annotation(str(n)))
    add(tree, "00", Object("sofa", LARGE), Object("dog", SMALL))
    voc.write_ids(tree.split("train"), [*tree.ids("train"), *(str(n) for n in range(21, 61))])
    assert plant(tree, ALWAYS)["cues"] == ["cat", "dog"]
    assert voc.read(tree.annotation("00")).objects[0].name == "dog"
    assert shown(tree, "00", ["cat", "dog"]) == "dog"


def test_a_tile_lies_as_often_as_it_is_asked_to(tree: Tree) -> None:
    never = ALWAYS.model_copy(update={"correlation": 0.0})
    plant(tree, never)
    assert all(shown(tree, i, ["cat", "dog"]) == ("dog", "cat")[int(i) % 2] for i in tree.ids("train"))


def test_one_class_alone_can_carry_no_cue(tree: Tree) -> None:
    for image_id in tree.all_ids():
        add(tree, image_id, Object("cat", LARGE))
    with pytest.raises(BadInput, match="no two classes to tell apart: cat"):
        plant(tree, ALWAYS)


def test_the_same_tree_is_planted_alike(tree: Tree, tmp_path: Path) -> None:
    again = Tree(shutil.copytree(tree.root, tmp_path / "again"))
    plant(tree, ALWAYS)
    plant(again, ALWAYS)
    for image_id in tree.all_ids():
        assert tree.image(image_id).read_bytes() == again.image(image_id).read_bytes()
