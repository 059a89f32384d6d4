"""A split by whose attention is known hangs on each id alone."""

from hashlib import sha256
from pathlib import Path

import pytest

from toolkit import sources
from toolkit.errors import BadInput
from toolkit.files import write
from toolkit.params import Params
from toolkit.sources.recorded import splits, study
from toolkit.voc import Tree

IDS = [f"2008_{n:06d}" for n in range(200)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "tree")
    for image_id in IDS:
        write(tree.annotation(image_id), "")
    return tree


def test_twelve_parts_of_twenty_are_train_four_test_and_four_are_left_alone(tree: Tree) -> None:
    found = splits(tree, IDS)
    part = {image_id: int(sha256(image_id.encode()).hexdigest(), 16) % 20 for image_id in IDS}
    assert found["train"] == [image_id for image_id in IDS if part[image_id] >= 8]
    assert found["test"] == [image_id for image_id in IDS if part[image_id] in (4, 5, 6, 7)]


def test_only_what_is_annotated_and_seen_is_in_a_split(tree: Tree) -> None:
    tree.annotation(IDS[0]).unlink()
    found = splits(tree, [*IDS[:100], "2009_000001"])
    assert set(found["train"] + found["test"]) <= set(IDS[1:100])


def test_more_images_move_none(tree: Tree) -> None:
    few, many = splits(tree, IDS[:100]), splits(tree, IDS)
    assert all(set(few[split]) <= set(many[split]) for split in few)


def test_the_split_of_poet_is_that_of_its_photographs(real: Path) -> None:
    tree = Tree(real / "poet" / "voc")  # laid out by the same rule
    assert splits(tree, tree.all_ids()) == {split: sorted(ids) for split, ids in tree.splits().items()}


def test_the_study_tests_on_all_that_people_have_seen_and_trains_on_all_else(tree: Tree) -> None:
    tree.annotation(IDS[0]).unlink()
    seen = [*IDS[:50], "2009_000001"]
    assert study(tree, seen) == {"train": IDS[50:], "test": IDS[1:50]}


def by_attention(settings: Params, tree: Tree, masks: Path, split: str) -> Params:
    data = settings.data.model_copy(update={"source": "folder", "path": str(tree.root), "split": split})
    return settings.model_copy(
        update={"data": data, "attention": settings.attention.model_copy(update={"human": str(masks)})}
    )


def test_a_source_is_split_by_the_masks_that_there_are(settings: Params, sample: Tree, tmp_path: Path) -> None:
    """Whatever its own lists say."""
    ids = sample.ids("train")
    for image_id in ids[:3]:
        write(tmp_path / "masks" / "human_attention_mask" / "cat" / f"{image_id}.jpg", "")
    (tmp_path / "out").mkdir()
    sources.build(by_attention(settings, sample, tmp_path / "masks", "tested"), tmp_path / "out")
    split = Tree(tmp_path / "out").splits()
    assert split["test"] == ids[:3]
    assert sorted(split["train"]) == [image_id for image_id in sample.all_ids() if image_id not in ids[:3]]


@pytest.mark.parametrize(("split", "known"), [("recorded", 1), ("tested", 0), ("tested", len(IDS))])
def test_attention_that_leaves_a_split_empty_is_told(
    settings: Params, tree: Tree, tmp_path: Path, split: str, known: int
) -> None:
    (tmp_path / "masks").mkdir()
    for image_id in IDS[:known]:
        write(tmp_path / "masks" / f"{image_id}.jpg", "")
    write(tree.split("train"), "\n".join(IDS))
    with pytest.raises(BadInput, match="knows too few of the images") as caught:
        sources.build(by_attention(settings, tree, tmp_path / "masks", split), tmp_path / "out")
    assert str(tmp_path / "masks") in str(caught.value)
