"""A GPU's batches: which images share one, and what the caller may do meanwhile. Walked on what there is."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from torch import Tensor, nn

from toolkit import voc
from toolkit.detectors.batches import _in_batches, alike, through
from toolkit.files import png, write
from toolkit.tensors import device
from toolkit.voc import Tree

IDS = [f"{n:02}" for n in range(11)]
WIDE = {"01", "04", "05", "09"}
MODEL = nn.Identity()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Eleven images, each grey in a tone of its own, of two sizes."""
    drawn = Tree(tmp_path)
    for tone, image_id in enumerate(IDS):
        write(drawn.image(image_id), png(np.full((20, 32 if image_id in WIDE else 24, 3), tone, np.uint8)))
    voc.write_ids(drawn.split("train"), IDS)
    return drawn


def company(model: nn.Module, images: Sequence[Tensor]) -> list[list[str]]:
    """For each image the ids in its batch, read from their tones."""
    return [[IDS[round(float(image.mean()) * 255)] for image in images]] * len(images)


def test_a_batch_is_of_one_size_and_none_is_left_out(tree: Tree) -> None:
    assert alike(tree, IDS, 3) == [["00", "02", "03"], ["06", "07", "08"], ["10"], ["01", "04", "05"], ["09"]]


@pytest.mark.parametrize("ids", [IDS, ["03"], ["09", "04", "02"], ["10"], IDS[::2], []], ids=len)
def test_an_image_s_company_does_not_depend_on_which_were_asked_for(tree: Tree, ids: list[str]) -> None:
    for image_id, others in (seen := dict(_in_batches(MODEL, company, tree, ids, IDS, 3))).items():
        assert others == next(batch for batch in alike(tree, IDS, 3) if image_id in batch)
    assert sorted(seen) == sorted(ids)


def test_one_model_serves_all_batches(tree: Tree) -> None:
    seen = _in_batches(MODEL, lambda model, images: [model] * len(images), tree, IDS, IDS, 3)
    assert all(model is MODEL for _, model in seen)


def test_the_next_batch_is_under_way_while_the_caller_works_on_one(tree: Tree) -> None:
    under_way = {tone: Event() for tone in range(len(IDS))}

    def look(model: nn.Module, images: Sequence[Tensor]) -> list[int]:
        tones = [round(float(image.mean()) * 255) for image in images]
        for tone in tones:
            under_way[tone].set()
        return tones

    for _, tone in _in_batches(MODEL, look, tree, IDS[:1] + IDS[6:7], IDS, 3):
        if tone == 0:
            assert under_way[6].wait(timeout=60)


def test_an_error_reaches_the_caller_and_ends_the_work(tree: Tree) -> None:
    looks = 0

    def fail(model: nn.Module, images: Sequence[Tensor]) -> list[int]:
        nonlocal looks
        looks += 1
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        list(_in_batches(MODEL, fail, tree, IDS, IDS, 1))
    assert looks <= 2  # the next one was under way


@pytest.mark.skipif(device().type == "cuda", reason="a GPU takes batches")
def test_a_cpu_takes_images_one_by_one_and_in_order(tree: Tree) -> None:
    asked = ["09", "02", "04"]
    assert list(through(MODEL, company, tree, asked, IDS, 3)) == [(image_id, [image_id]) for image_id in asked]
