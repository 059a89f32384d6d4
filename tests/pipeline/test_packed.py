"""A study whose folders are packed into shards: the same weights, tables and pages as one of single files."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from commands import around, stages
from tests.conftest import ROOT
from toolkit import places, shards, store
from toolkit.params import Arm, Params
from toolkit.shards import exists, packed, read
from toolkit.voc import Tree

ARMS = {name: Arm(variant=name) for name in ("none", "erasing", "nontrivial")}
EXPORTED = Path("exported")
PACKED = [
    *(places.ATTENTION / truth for truth in ("human", "gaze")),
    places.SALIENCY,
    *(places.HEATMAPS / arm / "seed-1" for arm in ARMS),
    *(places.FIFTYONE / "fields" / field for field in ("saliency", "parts", "changed/erasing", "saliency_none")),
]

SAME = [
    places.AGREEMENT, places.SELECTION, places.ARMS, places.PREDICTIONS, places.REPORTS,
    *(places.VARIANTS / arm / "variant.json" for arm in ARMS),
    *(places.FIFTYONE / name for name in ("samples.json", "metadata.json", "evaluations")),
]  # fmt: skip


def study(root: Path, params: Params, patch: pytest.MonkeyPatch) -> Path:
    """Every stage, in a folder of its own."""
    (root / places.HUMAN).mkdir(parents=True)
    shutil.copyfile(ROOT / places.SAMPLE_BASE, root / places.SAMPLE_BASE)
    (root / places.PARAMS).write_text(yaml.safe_dump(params.model_dump(), sort_keys=False))
    patch.chdir(root)
    for stage in (
        stages.source, stages.base, stages.attention, stages.saliency, stages.faithfulness, stages.agreement,
        stages.select,
    ):  # fmt: skip
        stage()
    for arm in ARMS:
        for stage_of in (stages.variant, stages.finetune, stages.predict, stages.score):
            stage_of(arm)
        around.export(arm, EXPORTED / arm)
    stages.report()
    stages.browse()
    return root


@pytest.fixture(scope="module")
def roots(settings: Params, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The same study of single files, and packed from the fourth image on, with five files in a shard."""
    train = settings.train.model_copy(update={"seeds": [1], "steps": 1})
    params = settings.model_copy(update={"arms": ARMS, "train": train})
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALVOC_STORE", str(folder / "store"))
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        single = study(folder / "single", params, patch)
        for kind in ("variants", "training"):  # made anew, out of shards; the rest is found by its content
            shutil.rmtree(folder / "store" / kind)
        patch.setattr(store, "FILES", 3)
        patch.setattr(shards, "SHARD", 5)
        yield single, study(folder / "shards", params, patch)


def files(place: Path) -> dict[str, bytes]:
    """What a folder holds, or the one file."""
    return {str(path.relative_to(place)): path.read_bytes() for path in (place, *place.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("folder", PACKED, ids=str)
def test_what_is_packed_is_what_was_in_single_files(roots: tuple[Path, Path], folder: Path) -> None:
    single, whole = (root / folder for root in roots)
    assert {path.suffix for path in whole.iterdir()} == {".tar", ".parquet"}
    assert {name: read(whole / name) for name in files(single)} == files(single)


@pytest.mark.parametrize("arm", ARMS)
def test_a_packed_variant_has_its_differences_alone(roots: tuple[Path, Path], arm: str) -> None:
    single, whole = (root / places.VARIANTS / arm for root in roots)
    assert packed(whole / "JPEGImages") and not packed(single / "JPEGImages")
    source, tree = Tree(roots[0] / places.SOURCE), Tree(whole)
    for image_id in source.all_ids():
        for before, after in ((source.image, tree.image), (source.annotation, tree.annotation)):
            changed = read(single / after(image_id).relative_to(whole)) != before(image_id).read_bytes()
            assert exists(after(image_id)) == changed


@pytest.mark.parametrize("place", SAME, ids=str)
def test_weights_tables_and_pages_are_the_same_bytes(roots: tuple[Path, Path], place: Path) -> None:
    single, whole = (files(root / place) for root in roots)
    assert single == whole and single


@pytest.mark.parametrize("arm", ARMS)
def test_an_export_is_the_same_complete_tree(roots: tuple[Path, Path], arm: str) -> None:
    single, whole = (files(root / EXPORTED / arm) for root in roots)
    assert single == whole == files(roots[0] / places.VARIANTS / arm)


def test_an_export_in_another_layout_is_the_same(
    roots: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, root in zip(("single", "whole"), roots, strict=True):
        monkeypatch.chdir(root)
        around.export("nontrivial", tmp_path / name, "yolo")
    assert files(tmp_path / "single") == files(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"single", "whole"}
