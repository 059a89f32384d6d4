"""Variants: complete VOC trees in which only what the rule says has changed."""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import mlcroissant
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection

from tests.conftest import ROOT, part_of
from tests.toolkit.variants.conftest import Make
from toolkit import store, variants, voc
from toolkit.errors import BadInput
from toolkit.files import copy, read_image, sha256
from toolkit.params import Aug, Params
from toolkit.sources.masks import CUE, read_mask
from toolkit.variants.rules import RULES, Changed, Original, Rule
from toolkit.voc import Tree

CHANGING = pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.images != "none"])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_told_in_the_readme(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", RULES)
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


@pytest.mark.parametrize("name", RULES)
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


def grey(originals: Sequence[Original], aug: Aug) -> list[Changed]:
    return [Changed(np.full_like(o.image, 128), o.xml, np.ones(o.image.shape[:2], bool)) for o in originals]


def test_a_row_in_the_table_is_all_that_a_rule_needs(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, "grey", Rule("selected ones grey", grey, lambda aug: {"level": 128}))
    variant = make("grey")
    for image_id, selected in zip(selection["id"], selection["selected"], strict=True):
        assert (read_image(variant.image(image_id)) == 128).all() == selected
    about = json.loads((variant.root / "variant.json").read_text())
    assert (about["rule"], about["parameters"], about["changed"]) == ("grey", {"level": 128}, 4)


def test_an_unknown_rule_is_refused_by_name_and_the_known_ones_are_told(make: Make) -> None:
    with pytest.raises(BadInput) as refused:
        make("unheard_of")
    (problem,) = refused.value.problems
    assert problem.file == "arms" and "'unheard_of'" in problem.fault
    assert all(name in problem.mend for name in RULES)


@pytest.mark.parametrize("name", ["oracle", "counterfactual"])
def test_what_works_on_the_cue_needs_a_source_that_knows_it(
    sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path, name: str
) -> None:
    variants.build("none", "none", sample, saliency, selection, settings.aug, workplace / "plain")
    with pytest.raises(BadInput, match=f"`{name}` needs a cue, and none was planted"):
        variants.build("bound", name, Tree(workplace / "plain"), saliency, selection, settings.aug, workplace / "out")


@CHANGING
def test_the_same_pixels_whatever_was_made_before(
    make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path, name: str
) -> None:
    """A run that was killed after some images goes on to the same bytes as an undisturbed one."""
    whole = make(name)
    few = selection.assign(selected=selection["id"].isin(list(selection["id"][:3]))).head(3)
    (workplace / ".salvoc").rename(workplace / "first store")
    variants.build(name, name, sample, saliency, few, settings.aug, workplace / "killed")
    variants.build(name, name, sample, saliency, selection, settings.aug, workplace / "resumed")
    for image_id in sample.ids("train"):
        assert sha256(Tree(workplace / "resumed").image(image_id)) == sha256(whole.image(image_id))
        assert sha256(Tree(workplace / "resumed").annotation(image_id)) == sha256(whole.annotation(image_id))


@CHANGING
def test_no_image_is_made_twice(
    make: Make, sample: Tree, monkeypatch: pytest.MonkeyPatch, selection: pd.DataFrame, saliency: Path,
    settings: Params, workplace: Path, name: str,
) -> None:  # fmt: skip
    make(name)

    def fail(originals: Sequence[Original], aug: Aug) -> list[Changed]:
        raise AssertionError("made again")

    monkeypatch.setitem(RULES, name, replace(RULES[name], change=fail))
    fewer = selection.assign(selected=selection["selected"] & (selection.index < 3))
    variants.build(name, name, sample, saliency, fewer, settings.aug, workplace / "fewer")


def test_what_is_stored_is_found_without_torch() -> None:
    """It takes seconds to import: longer than linking a small variant."""
    code = (
        "import sys; from toolkit import params, variants;"
        "aug = params.load('presets/sample.yaml').aug;"
        "print([rule.depends(aug) for rule in variants.RULES.values()] and 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_variant_says_what_it_is(make: Make, sample: Tree) -> None:
    about = json.loads((make("erasing").root / "variant.json").read_text())
    assert about["source"] == json.loads((sample.root / "source.json").read_text())["hash"]
    assert about["parameters"] == {"erase_percent": 2.5}
    assert about["changed"] == len(about["changed_ids"]) == 4
    assert sum(about["where"].values()) == about["pixels"]


def test_of_photographs_boxes_say_what_was_changed(
    sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path
) -> None:
    plain = Tree(shutil.copytree(sample.root, workplace / "plain"))
    shutil.rmtree(plain.root / "Masks")
    about = variants.build("erasing", "erasing", plain, saliency, selection, settings.aug, workplace / "erasing")
    erased = Tree(workplace / "erasing")
    inside = total = 0
    for image_id in about["changed_ids"]:  # type: ignore[union-attr]
        changed = (read_image(plain.image(image_id)) != read_image(erased.image(image_id))).any(axis=2)
        boxes = np.zeros(changed.shape, bool)
        for known in voc.read(plain.annotation(image_id)).objects:
            x0, y0, x1, y1 = (int(side) for side in known.box)
            boxes[y0:y1, x0:x1] = True
        inside, total = inside + int((changed & boxes).sum()), total + int(changed.sum())
    where = about["where"]
    assert where.keys() == {"object", "background"}  # type: ignore[union-attr]
    assert where["object"] / about["pixels"] == pytest.approx(inside / total, abs=0.02)  # type: ignore[index,operator]


def removed(variant: Tree) -> dict[str, float]:
    return json.loads((variant.root / "variant.json").read_text())["cue_removed"]


def test_a_variant_says_how_much_of_the_cue_is_gone(make: Make) -> None:
    assert removed(make("oracle")) == removed(make("counterfactual")) == {"all": 1, "given": 1}
    assert removed(make("none")) == {"all": 0, "given": 0}


def upper(originals: Sequence[Original], aug: Aug) -> list[Changed]:
    """The upper rows of the image grey, down to the middle of its cue."""
    regions = []
    for o in originals:
        rows, _ = np.nonzero(o.mask == CUE)
        regions.append(np.indices(o.image.shape[:2])[0] < np.median(rows))
    pairs = zip(originals, regions, strict=True)
    return [Changed(np.where(region[..., None], 128, o.image).astype(np.uint8), o.xml, region) for o, region in pairs]


def test_of_the_cue_in_the_images_that_a_rule_was_given_and_of_all(
    make: Make, sample: Tree, selection: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the train images lose 13 of the 27 rows of their tile: 0.28 of 96 pixels."""
    monkeypatch.setitem(RULES, "upper", Rule("the upper rows grey", upper))
    assert all((read_mask(sample, image_id) == CUE).sum() == 27 * 27 for image_id in selection["id"])
    assert removed(make("upper")) == {
        "all": pytest.approx(6.5 / 27, abs=1e-6),
        "given": pytest.approx(13 / 27, abs=1e-6),
    }


def test_where_no_cue_is_known_nothing_is_said_of_it(
    sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path
) -> None:
    plain = part_of(sample, workplace / "plain", {split: sample.ids(split) for split in sample.splits()})
    copy(sample.root / "source.json", plain.root / "source.json")
    variants.build("e", "erasing", plain, saliency, selection, settings.aug, workplace / "out")
    assert removed(Tree(workplace / "out")) is None


def test_a_variant_has_its_arm_s_name_and_its_rule_s_work(
    make: Make, sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path
) -> None:
    out = Tree(workplace / "variants" / "erased more")
    aug = settings.aug.model_copy(update={"erase_percent": 5.0})
    variants.build("erased more", "erasing", sample, saliency, selection, aug, out.root)
    usual, more = (json.loads((tree.root / "variant.json").read_text()) for tree in (make("erasing"), out))
    assert [(about["variant"], about["rule"]) for about in (usual, more)] == [
        ("erasing", "erasing"), ("erased more", "erasing"),
    ]  # fmt: skip
    assert more["pixels"] == pytest.approx(2 * usual["pixels"], rel=0.01)
    assert json.loads((out.root / "croissant.json").read_text())["name"] == "salvoc-sample-erased more"


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


def test_the_croissant_file_of_a_packed_variant_is_valid_and_finds_its_shards(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FILES", 3)
    root = make("erasing").root
    mlcroissant.Dataset(jsonld=str(root / "croissant.json"))
    about = json.loads((root / "croissant.json").read_text())
    sets = {files["@id"]: files for files in about["distribution"]}
    (shard,) = root.glob(sets["images-shards"]["includes"])
    assert sets["images"]["containedIn"] == {"@id": "images-shards"}
    with tarfile.open(shard) as tar:
        names = tar.getnames()
    assert names == [f"{i}.jpg" for i in json.loads((root / "variant.json").read_text())["changed_ids"]]
    assert all(fnmatch(name, sets["images"]["includes"]) for name in names)


@pytest.mark.parametrize("name", ["erasing", "nontrivial"])
def test_other_voc_tools_read_it(make: Make, name: str, workplace: Path) -> None:
    """Changed images hold PNG data under a .jpg name: torchvision's reader of VOC 2012 must not mind."""
    devkit = workplace / "other" / "VOCdevkit"
    devkit.mkdir(parents=True)
    (devkit / "VOC2012").symlink_to(make(name).root)
    for image, annotation in VOCDetection(str(workplace / "other"), "2012", "train"):
        assert isinstance(image, Image.Image)
        assert annotation["annotation"]["object"]
