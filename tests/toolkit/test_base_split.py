"""The base split: a third one, of the user's tree, that no other part of the study trains on, changes or scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import part_of
from toolkit import agreement, maps, selection, sources, variants, voc
from toolkit.errors import BadInput
from toolkit.files import write
from toolkit.params import Params
from toolkit.sources.folder import halves
from toolkit.voc import Tree

FILE = Path("train.txt")


@pytest.fixture
def own(sample: Tree, tmp_path: Path) -> Tree:
    """The sample's images as a user's tree: splits of train, test, and a third one, `other`."""
    splits = {"train": sample.ids("train")[:6], "test": sample.ids("test"), "other": sample.ids("train")[6:]}
    return part_of(sample, tmp_path / "own", splits)


def made(own: Tree, settings: Params, base_split: str, **data: str) -> Tree:
    """The source stage's tree."""
    chosen = settings.data.model_copy(
        update={"source": "folder", "path": str(own.root), "base_split": base_split} | data
    )
    out = own.root.parent / "source"
    sources.build(settings.model_copy(update={"data": chosen}), out)
    return Tree(out)


def test_half_of_train_is_drawn_by_each_id_alone_and_keeps_its_order() -> None:
    ids = [f"{number:03}" for number in range(200)]
    whole = halves(ids, FILE)
    assert sorted(whole["train"] + whole["base"]) == ids
    assert 80 < len(whole["base"]) < 120
    turned = halves(ids[:100][::-1], FILE)  # neither other ids nor the order decide
    assert turned == {name: [i for i in ids[:100][::-1] if i in half] for name, half in whole.items()}
    assert halves(["a", "b", "c", "d"], FILE) == {"train": ["a"], "base": ["b", "c", "d"]}


def test_a_half_leaves_the_other_to_train(own: Tree, settings: Params) -> None:
    source = made(own, settings, "half")
    assert source.splits() == {"test": own.ids("test"), **halves(own.ids("train"), FILE)}
    assert all(source.image(image_id).exists() for image_id in source.all_ids())


@pytest.mark.parametrize("ids", [["a"], ["b"], ["a", "f"], ["b", "c"]])
def test_a_train_split_too_small_to_halve_is_named(ids: list[str]) -> None:
    with pytest.raises(BadInput, match=rf"train.txt: has too few images to halve: {len(ids)} -- .*data.base_split"):
        halves(ids, FILE)


def test_another_split_of_the_tree_is_taken_whole(own: Tree, settings: Params) -> None:
    source = made(own, settings, "other")
    assert source.splits() == {"train": own.ids("train"), "test": own.ids("test"), "base": own.ids("other")}


def test_without_one_nothing_is_set_apart(own: Tree, settings: Params) -> None:
    assert made(own, settings, "none").splits() == {"train": own.ids("train"), "test": own.ids("test")}


@pytest.mark.parametrize("named", ["train", "test", "nowhere"])
def test_a_split_that_is_taken_or_is_not_there_is_refused(own: Tree, settings: Params, named: str) -> None:
    with pytest.raises(BadInput, match="are the same split" if named != "nowhere" else "nowhere.txt: does not exist"):
        made(own, settings, named)


def test_an_image_of_train_or_test_in_it_is_refused(own: Tree, settings: Params) -> None:
    voc.write_ids(own.split("other"), [own.ids("train")[0], own.ids("test")[0]])
    with pytest.raises(BadInput) as raised:
        made(own, settings, "other")
    assert [problem.fault for problem in raised.value.problems] == [
        f"share the image {own.ids(split)[0]!r}" for split in ("train", "test")
    ] + ["has no image without a problem"]


@pytest.mark.usefixtures("workplace")
def test_its_images_are_compared_but_never_selected_nor_changed(own: Tree, settings: Params) -> None:
    source, saliency, attention = made(own, settings, "other"), Path("saliency"), Path("attention")
    for number, image_id in enumerate(source.all_ids()):
        heatmap = maps.encode(maps.normalise(np.random.default_rng(number).random((6, 6))))
        for folder in (saliency, attention / "gaze"):
            write(folder / f"{image_id}.png", heatmap)
    table = agreement.build(source, saliency, attention)
    assert table.set_index("id")["split"].to_dict() == {i: split for split, ids in source.splits().items() for i in ids}
    chosen = selection.select(table, 1, "gaze").assign(selected=True)
    assert set(chosen["id"]) == set(source.ids("train"))
    for rule in ("erasing", "nontrivial"):
        variant = Tree(Path("variants") / rule)
        about = variants.build(rule, rule, source, saliency, pd.DataFrame(chosen), settings.aug, variant.root)
        assert about["train"] == len(source.ids("train"))
        assert variant.splits() == source.splits()
        for image_id in source.ids("base"):
            assert variant.image(image_id).samefile(source.image(image_id))
