"""Variants: complete VOC trees in which only what the rule says has changed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import mlcroissant
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection

from tests.conftest import ROOT
from toolkit import maps, variants, voc
from toolkit.cli import Name
from toolkit.errors import BadInput
from toolkit.files import read_image, sha256, write
from toolkit.params import VARIANTS, Aug, Inpaint, Params
from toolkit.sources.masks import CUE, read_mask
from toolkit.tensors import arithmetic
from toolkit.variants.inpainting import telea
from toolkit.variants.regions import most_salient
from toolkit.variants.rules import DEPENDS, RULES, Changed, Original
from toolkit.voc import Tree

Make = Callable[..., Tree]


@pytest.fixture
def selection(sample: Tree) -> pd.DataFrame:
    """Half of the train images."""
    ids = sample.ids("train")
    return pd.DataFrame({"id": ids, "selected": [n % 2 == 0 for n in range(len(ids))]})


@pytest.fixture
def saliency(sample: Tree, workplace: Path) -> Path:
    """A map of a few cells for every image, its top a bright blob somewhere."""
    for number, image_id in enumerate(sample.all_ids()):
        coarse = np.random.default_rng(number).random((6, 6))
        write(workplace / "saliency" / f"{image_id}.png", maps.encode(maps.normalise(coarse)))
    return workplace / "saliency"


@pytest.fixture
def make(sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path) -> Make:
    def build(name: str, **aug: object) -> Tree:
        out = workplace / "variants" / name
        variants.build(name, sample, saliency, selection, settings.aug.model_copy(update=aug), out)
        return Tree(out)

    return build


def region(sample: Tree, saliency: Path, image_id: str, percent: float = 2.5) -> np.ndarray:
    height, width = read_image(sample.image(image_id)).shape[:2]
    return most_salient(maps.scale(maps.load(saliency / f"{image_id}.png"), height, width), percent, image_id)


def changed(sample: Tree, variant: Tree, image_id: str) -> np.ndarray:
    return (read_image(sample.image(image_id)) != read_image(variant.image(image_id))).any(axis=2)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_named_wherever_people_look_for_it(name: str) -> None:
    assert name == "none" or name in RULES
    assert f"reports/training/{name}/seed-1/plots/metrics/loss.tsv" in (ROOT / "dvc.yaml").read_text()
    assert f"| `{name}` |" in (ROOT / "README.md").read_text()
    assert name in re.split(r"\W+", get_args(Name)[1].help)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_a_complete_voc_tree(make: Make, sample: Tree, name: str) -> None:
    variant = make(name)
    assert variant.splits() == sample.splits()
    for image_id in sample.all_ids():
        before, after = voc.read(sample.annotation(image_id)), voc.read(variant.annotation(image_id))
        assert read_image(variant.image(image_id)).shape == (after.height, after.width, 3)
        assert (after.filename, after.width, after.height) == (before.filename, before.width, before.height)
        for known in after.objects:
            x0, y0, x1, y1 = known.box
            assert 0 <= x0 < x1 <= after.width
            assert 0 <= y0 < y1 <= after.height


@pytest.mark.parametrize("name", VARIANTS)
def test_test_images_never_change(make: Make, sample: Tree, name: str) -> None:
    variant = make(name)
    for split in ("test", "test_matching", "test_random"):
        for image_id in sample.ids(split):
            assert sha256(variant.image(image_id)) == sha256(sample.image(image_id))
            assert sha256(variant.annotation(image_id)) == sha256(sample.annotation(image_id))


def test_none_is_the_source_by_links(make: Make, sample: Tree) -> None:
    variant = make("none")
    for image_id in sample.all_ids():
        assert variant.image(image_id).samefile(sample.image(image_id))


@pytest.mark.parametrize("name", ["erasing", "inpainting", "random", "random_inpainting"])
def test_only_selected_images_change(make: Make, sample: Tree, selection: pd.DataFrame, name: str) -> None:
    variant = make(name)
    for image_id, selected in zip(selection["id"], selection["selected"], strict=True):
        assert variant.image(image_id).samefile(sample.image(image_id)) != selected
        assert variant.annotation(image_id).samefile(sample.annotation(image_id))


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


def watched(name: str, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The regions that the rule will have worked on, image by image."""
    regions: list[np.ndarray] = []
    rule = RULES[name]

    def watching(originals: Iterable[Original], aug: Aug) -> Iterator[Changed]:
        for changed in rule(originals, aug):
            regions.append(changed.region)
            yield changed

    monkeypatch.setitem(RULES, name, watching)
    return regions


@pytest.mark.parametrize(
    ("erasing", "inpainting"), [("erasing", "inpainting"), ("random", "random_inpainting")], ids=["rules", "controls"]
)
def test_erased_and_inpainted_differ_in_the_fill_alone(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, erasing: str, inpainting: str
) -> None:
    holes, filled_holes = watched(erasing, monkeypatch), watched(inpainting, monkeypatch)
    erased, inpainted = make(erasing), make(inpainting)
    ids = selection["id"][selection["selected"]]
    for image_id, hole, filled_hole in zip(ids, holes, filled_holes, strict=True):
        assert np.array_equal(hole, filled_hole)
        assert (read_image(erased.image(image_id))[hole] == 0).all()
        assert (read_image(inpainted.image(image_id))[hole].max(axis=1) > 0).mean() > 0.5
        assert not (changed(sample, inpainted, image_id) & ~hole).any()


@pytest.mark.parametrize("name", ["inpainting", "random_inpainting"])
def test_inpainting_and_its_control_fill_with_the_engine_asked_for(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    holes = watched(name, monkeypatch)
    variant = make(name, inpaint=Inpaint(engine="telea", preset="fast"))
    for image_id, hole in zip(selection["id"][selection["selected"]], holes, strict=True):
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


def test_the_oracle_needs_a_source_that_knows_its_cue(
    sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path
) -> None:
    variants.build("none", sample, saliency, selection, settings.aug, workplace / "plain")
    with pytest.raises(BadInput, match="oracle"):
        variants.build("oracle", Tree(workplace / "plain"), saliency, selection, settings.aug, workplace / "out")


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


@pytest.mark.parametrize("name", RULES)
def test_the_same_pixels_whatever_was_made_before(
    make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path, name: str
) -> None:
    """A run that was killed after some images goes on to the same bytes as an undisturbed one."""
    whole = make(name)
    few = selection.assign(selected=selection["id"].isin(list(selection["id"][:3]))).head(3)
    (workplace / ".salvoc").rename(workplace / "first store")
    variants.build(name, sample, saliency, few, settings.aug, workplace / "killed")
    variants.build(name, sample, saliency, selection, settings.aug, workplace / "resumed")
    for image_id in sample.ids("train"):
        assert sha256(Tree(workplace / "resumed").image(image_id)) == sha256(whole.image(image_id))
        assert sha256(Tree(workplace / "resumed").annotation(image_id)) == sha256(whole.annotation(image_id))


@pytest.mark.parametrize("name", RULES)
def test_no_image_is_made_twice(
    make: Make, sample: Tree, monkeypatch: pytest.MonkeyPatch, selection: pd.DataFrame, saliency: Path,
    settings: Params, workplace: Path, name: str,
) -> None:  # fmt: skip
    make(name)

    def fail(originals: object, aug: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setitem(RULES, name, fail)
    fewer = selection.assign(selected=selection["selected"] & (selection.index < 3))
    variants.build(name, sample, saliency, fewer, settings.aug, workplace / "fewer")


@pytest.mark.parametrize("name", ["inpainting", "random_inpainting"])
def test_the_study_s_fills_of_another_arithmetic_are_others(settings: Params, name: str) -> None:
    """They alone are made where torch computes, and a GPU rounds otherwise."""

    def depends(engine: str, preset: str) -> dict[str, object]:
        inpaint = Inpaint.model_validate({"engine": engine, "preset": preset})
        return DEPENDS[name](settings.aug.model_copy(update={"inpaint": inpaint}))

    assert depends("dip", "study")["arithmetic"] == arithmetic()
    assert "arithmetic" not in depends("dip", "fast") | depends("telea", "study")


def test_what_is_stored_is_found_without_torch() -> None:
    """It takes seconds to import: longer than linking a small variant."""
    code = (
        "import sys; from toolkit import params, variants;"
        "aug = params.load('presets/sample.yaml').aug;"
        "print([depends(aug) for depends in variants.DEPENDS.values()] and 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_another_share_erases_more(make: Make, sample: Tree, saliency: Path) -> None:
    variant = make("erasing", erase_percent=10.0)
    black = changed(sample, variant, sample.ids("train")[0])
    assert black.sum() == pytest.approx(0.1 * black.size, rel=0.02)


def test_a_variant_says_what_it_is(make: Make, sample: Tree) -> None:
    about = json.loads((make("erasing").root / "variant.json").read_text())
    assert about["source"] == json.loads((sample.root / "source.json").read_text())["hash"]
    assert about["parameters"] == {"erase_percent": 2.5}
    assert about["changed"] == len(about["changed_ids"]) == 4
    assert sum(about["where"].values()) == about["pixels"]


def test_its_croissant_file_is_valid_and_finds_its_files(make: Make, sample: Tree) -> None:
    variant = make("erasing")
    path = variant.root / "croissant.json"
    dataset = mlcroissant.Dataset(jsonld=str(path))
    assert dataset.metadata.name == "salvoc-sample-erasing"
    about = json.loads(path.read_text())
    assert about["license"] == "https://www.apache.org/licenses/LICENSE-2.0"
    assert json.loads((sample.root / "source.json").read_text())["hash"][:12] in about["description"]
    found = {files["@id"]: sorted(variant.root.glob(files["includes"])) for files in about["distribution"]}
    assert found["images"] == [variant.image(image_id) for image_id in sorted(sample.all_ids())]
    assert found["annotations"] == [variant.annotation(image_id) for image_id in sorted(sample.all_ids())]
    assert [path.stem for path in found["splits"]] == sorted(sample.splits())
    assert {files["@id"]: files["encodingFormat"] for files in about["distribution"]} == {
        "images": "image/jpeg", "annotations": "application/xml", "splits": "text/plain",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["erasing", "nontrivial"])
def test_other_voc_tools_read_it(make: Make, name: str, workplace: Path) -> None:
    """Changed images hold PNG data under a .jpg name: torchvision's reader of VOC 2012 must not mind."""
    devkit = workplace / "other" / "VOCdevkit"
    devkit.mkdir(parents=True)
    (devkit / "VOC2012").symlink_to(make(name).root)
    for image, annotation in VOCDetection(str(workplace / "other"), "2012", "train"):
        assert isinstance(image, Image.Image)
        assert annotation["annotation"]["object"]
