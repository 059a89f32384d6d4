"""The rules: what each changes of an image, and what they share."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.toolkit.variants.conftest import Make
from toolkit import maps, voc
from toolkit.files import read_image, write
from toolkit.params import Aug, Inpaint, Params
from toolkit.sources.cue import tile
from toolkit.sources.masks import CUE, read_mask
from toolkit.tensors import arithmetic
from toolkit.variants.inpainting import telea
from toolkit.variants.regions import most_salient
from toolkit.variants.rules import RULES, Changed, Original
from toolkit.voc import VOC_CLASSES, Tree


def region(sample: Tree, saliency: Path, image_id: str, percent: float = 2.5) -> np.ndarray:
    height, width = read_image(sample.image(image_id)).shape[:2]
    return most_salient(maps.scale(maps.load(saliency / f"{image_id}.png"), height, width), percent, image_id)


def changed(sample: Tree, variant: Tree, image_id: str) -> np.ndarray:
    return (read_image(sample.image(image_id)) != read_image(variant.image(image_id))).any(axis=2)


def test_erasing_makes_exactly_the_most_salient_pixels_black(
    make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame
) -> None:
    variant = make("erasing")
    for image_id in selection["id"][selection["selected"]]:
        erased = region(sample, saliency, image_id)
        assert erased.sum() == round(0.025 * erased.size)
        assert (read_image(variant.image(image_id))[erased] == 0).all()
        assert not (changed(sample, variant, image_id) & ~erased).any()


def test_erasing_inpainting_and_random_start_from_one_region_whatever_the_seed(
    make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame
) -> None:
    """Also where the map leaves a choice: it is a mask, all of whose pixels are alike."""
    mask = np.zeros((6, 6), np.float32)
    mask[1:5, 1:5] = 1
    for image_id in sample.ids("train"):
        write(saliency / f"{image_id}.png", maps.encode(maps.scale(mask, 96, 96).round()))
    erased, filled, moved = make("erasing"), make("inpainting", seed=5), make("random", seed=6)
    for image_id in selection["id"][selection["selected"]]:
        chosen = region(sample, saliency, image_id)
        assert not (changed(sample, erased, image_id) & ~chosen).any()
        assert not (changed(sample, filled, image_id) & ~chosen).any()
    assert len({json.loads((tree.root / "variant.json").read_text())["pixels"] for tree in (erased, moved)}) == 1


def test_random_erases_as_much_elsewhere(make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame) -> None:
    variant = make("random")
    about = json.loads((variant.root / "variant.json").read_text())
    ids = selection["id"][selection["selected"]]
    assert about["pixels"] == sum(int(region(sample, saliency, image_id).sum()) for image_id in ids)
    for image_id in ids:
        black = changed(sample, variant, image_id)
        overlap = (black & region(sample, saliency, image_id)).sum() / black.sum()
        assert overlap < 0.2


def test_another_share_erases_more(make: Make, sample: Tree, saliency: Path) -> None:
    variant = make("erasing", erase_percent=10.0)
    black = changed(sample, variant, sample.ids("train")[0])
    assert black.sum() == pytest.approx(0.1 * black.size, rel=0.02)


def watched(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The regions that the rule will have worked on, by image."""
    regions: dict[str, np.ndarray] = {}
    rule = RULES[name]

    def watching(originals: Sequence[Original], aug: Aug) -> list[Changed]:
        changed = rule.change(originals, aug)
        regions.update((o.id, c.region) for o, c in zip(originals, changed, strict=True))
        return changed

    monkeypatch.setitem(RULES, name, replace(rule, change=watching))
    return regions


@pytest.mark.parametrize(
    ("erasing", "inpainting"), [("erasing", "inpainting"), ("random", "random_inpainting")], ids=["rules", "controls"]
)
def test_erased_and_inpainted_differ_in_the_fill_alone(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, erasing: str, inpainting: str
) -> None:
    holes, filled_holes = watched(erasing, monkeypatch), watched(inpainting, monkeypatch)
    erased, inpainted = make(erasing), make(inpainting)
    assert sorted(holes) == sorted(filled_holes) == sorted(selection["id"][selection["selected"]])
    for image_id, hole in holes.items():
        assert np.array_equal(hole, filled_holes[image_id])
        assert (read_image(erased.image(image_id))[hole] == 0).all()
        assert (read_image(inpainted.image(image_id))[hole].max(axis=1) > 0).mean() > 0.5
        assert not (changed(sample, inpainted, image_id) & ~hole).any()


@pytest.mark.parametrize("name", ["inpainting", "random_inpainting"])
def test_inpainting_and_its_control_fill_with_the_engine_asked_for(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    holes = watched(name, monkeypatch)
    variant = make(name, inpaint=Inpaint(method="telea", preset="fast"))
    assert sorted(holes) == sorted(selection["id"][selection["selected"]])
    for image_id, hole in holes.items():
        assert np.array_equal(read_image(variant.image(image_id)), telea(read_image(sample.image(image_id)), hole))


def test_the_oracle_erases_the_cue_and_nothing_else(make: Make, sample: Tree) -> None:
    variant = make("oracle")
    for image_id in sample.ids("train"):
        mask = read_mask(sample, image_id)
        assert mask is not None
        assert (read_image(variant.image(image_id))[mask == CUE] == 0).all()
        assert not (changed(sample, variant, image_id) & (mask != CUE)).any()
    about = json.loads((variant.root / "variant.json").read_text())
    assert about["where"]["cue"] == about["pixels"] > 0


def test_the_counterfactual_works_on_the_cue_of_every_train_image_and_nothing_else(
    make: Make, sample: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = watched("counterfactual", monkeypatch)
    variant = make("counterfactual")
    assert sorted(regions) == sorted(sample.ids("train"))
    for image_id, region in regions.items():
        cue = read_mask(sample, image_id) == CUE
        assert np.array_equal(region, cue)
        assert not (changed(sample, variant, image_id) & ~cue).any()
        assert changed(sample, variant, image_id)[cue].mean() > 0.9  # grain falls on the same value now and then
        assert variant.annotation(image_id).samefile(sample.annotation(image_id))


def told(image: np.ndarray, cue: np.ndarray) -> str:
    """The class whose tile comes closest to what an image shows in the cue's place."""
    rows, columns = np.nonzero(cue)
    seen = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(float)
    return min(VOC_CLASSES, key=lambda name: np.abs(seen - tile(name, len(seen), VOC_CLASSES)).mean())


def test_the_counterfactual_s_cue_never_tells_the_main_object_s_class(make: Make, sample: Tree) -> None:
    variant = make("counterfactual")
    truthful = []
    for image_id in sample.ids("train"):
        main, cue = voc.read(sample.annotation(image_id)).objects[0].name, read_mask(sample, image_id) == CUE
        truthful.append(told(read_image(sample.image(image_id)), cue) == main)
        assert told(read_image(variant.image(image_id)), cue) != main
    assert any(truthful)


def test_a_counterfactual_cue_is_drawn_by_its_image_s_seed(sample: Tree, settings: Params) -> None:
    image_id = sample.ids("train")[0]
    image, xml = read_image(sample.image(image_id)), sample.annotation(image_id).read_bytes()
    mask = read_mask(sample, image_id)
    assert mask is not None

    def made(*seeds: int) -> list[np.ndarray]:
        originals = [Original(image_id, image, xml, np.zeros(mask.shape), mask, VOC_CLASSES, seed) for seed in seeds]
        return [changed.image for changed in RULES["counterfactual"].change(originals, settings.aug)]

    alone, beside = made(1), made(*range(20, 0, -1))
    assert np.array_equal(alone[0], beside[-1])
    assert len({told(other, mask == CUE) for other in beside}) > 5


@pytest.mark.parametrize("name", ["inpainting", "random_inpainting"])
def test_the_study_s_fills_of_another_arithmetic_are_others(settings: Params, name: str) -> None:
    """They alone are made where torch computes, and a GPU rounds otherwise."""

    def depends(method: str, preset: str) -> dict[str, object]:
        inpaint = Inpaint.model_validate({"method": method, "preset": preset})
        return RULES[name].depends(settings.aug.model_copy(update={"inpaint": inpaint}))

    assert depends("dip", "study")["arithmetic"] == arithmetic()
    assert "arithmetic" not in depends("dip", "fast") | depends("telea", "study")


def test_nontrivial_s_boxes_follow_its_pixels(make: Make, sample: Tree) -> None:
    variant = make("nontrivial")
    ids = sample.ids("train")
    moved = [
        image_id
        for image_id in ids
        if voc.read(variant.annotation(image_id)).objects != voc.read(sample.annotation(image_id)).objects
    ]
    assert moved  # the study threw the moved boxes away
    for image_id in ids:
        assert voc.read(variant.annotation(image_id)).objects
