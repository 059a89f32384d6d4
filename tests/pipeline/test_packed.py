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


def study(root: Path, params: Params, patch: pytest.MonkeyPatch) -> Path:
    """Every stage, in a folder with a store of its own."""
    (root / "datasets").mkdir(parents=True)
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
    train = settings.train.model_copy(update={"seeds": [1]})
    params = settings.model_copy(update={"arms": ARMS, "train": train})
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SALVOC_STORE", raising=False)
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        single = study(folder / "single", params, patch)
        patch.setattr(store, "FILES", 3)
        patch.setattr(shards, "SHARD", 5)
        yield single, study(folder / "shards", params, patch)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_weights_tables_and_pages_are_the_same_bytes(roots: tuple[Path, Path]) -> None:
    def rest(root: Path) -> dict[str, bytes]:
        """All that is in no packed folder, but for what a variant says of its files."""
        folders = [*map(str, PACKED), *(f"{places.FIFTYONE}/fields", *(f"{places.VARIANTS}/{arm}" for arm in ARMS))]
        own = {name: data for name, data in files(root).items() if not name.startswith(tuple(folders))}
        said = {arm: (root / places.VARIANTS / arm / "variant.json").read_bytes() for arm in ARMS}
        return {name: data for name, data in own.items() if name.startswith(("datasets/", "reports/"))} | said

    single, whole = map(rest, roots)
    assert single.keys() == whole.keys()
    assert [name for name in single if single[name] != whole[name]] == []
    assert {"datasets/arms/nontrivial/seed-1.safetensors", "reports/study/report.html"} <= single.keys()


@pytest.mark.parametrize("arm", ARMS)
def test_an_export_is_the_same_complete_tree(roots: tuple[Path, Path], arm: str) -> None:
    single, whole = (files(root / EXPORTED / arm) for root in roots)
    assert single == whole == files(roots[0] / places.VARIANTS / arm)


@pytest.mark.parametrize("layout", ["coco", "yolo"])
def test_an_export_in_another_layout_is_the_same(
    roots: tuple[Path, Path], layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, root in zip(("single", "whole"), roots, strict=True):
        monkeypatch.chdir(root)
        around.export("nontrivial", tmp_path / name, layout)
    assert files(tmp_path / "single") == files(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"single", "whole"}
