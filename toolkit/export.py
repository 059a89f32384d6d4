"""A variant copied out of the repository, for tools that know nothing of it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.browse import connect
from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder, write
from toolkit.shards import INDEX, packed, read
from toolkit.variants.croissant import describe
from toolkit.voc import Tree

LAYOUTS = ("voc", "coco", "yolo")


def export(variant: Tree, folder: Path, layout: str, classes: Sequence[str]) -> None:
    """Write the variant as a plain copy (`voc`) or through FiftyOne's exporters (`coco`, `yolo`), a folder a split.

    A copy is complete also of a variant that has its differences alone, in shards.
    """
    if not (variant.root / "variant.json").exists():
        raise BadInput(Problem(str(variant.root), "is not a variant", "`dvc repro` makes it, `dvc pull` fetches it"))
    if folder.exists():
        raise BadInput(Problem(str(folder), "exists already", "name a folder that does not: nothing is overwritten"))
    if layout not in LAYOUTS:
        raise BadInput(Problem("--format", f"knows no {layout!r}", f"choose one of: {', '.join(LAYOUTS)}"))
    with new_folder(folder) as out:
        if layout == "voc":
            _copy(variant, out)
        elif packed(variant.root / "JPEGImages"):  # FiftyOne opens files
            with TemporaryDirectory(dir=folder.parent) as whole:
                _copy(variant, Path(whole))
                _through_fiftyone(Tree(whole), out, layout, list(classes))
        else:
            _through_fiftyone(variant, out, layout, list(classes))


def _copy(variant: Tree, out: Path) -> None:
    """The variant as a complete VOC tree of files."""
    shutil.copytree(variant.root, out, ignore=shutil.ignore_patterns("*.tar", INDEX), dirs_exist_ok=True)
    copied = Tree(out)
    for image_id in variant.all_ids():
        for stored, target in (
            (variant.image(image_id), copied.image(image_id)),
            (variant.annotation(image_id), copied.annotation(image_id)),
        ):
            if not target.exists():
                write(target, read(stored))
    if variant.beneath:
        name = json.loads((variant.root / "variant.json").read_text())["variant"]
        describe(out, name, variant.beneath)


def _through_fiftyone(variant: Tree, out: Path, layout: str, classes: list[str]) -> None:
    fo = connect()
    from toolkit.browse import voc_sample

    kind = {"coco": fo.types.COCODetectionDataset, "yolo": fo.types.YOLOv5Dataset}[layout]
    for split, ids in variant.splits().items():
        dataset = fo.Dataset()
        try:
            dataset.add_samples((voc_sample(fo, variant, image_id) for image_id in ids), num_samples=len(ids))
            where = out if layout == "yolo" else out / split
            options = {"split": split, "include_path": False} if layout == "yolo" else {}  # its path is still temporary
            dataset.export(str(where), kind, label_field="ground_truth", classes=classes, **options)
        finally:
            dataset.delete()
    if layout == "yolo" and "val" not in variant.splits():  # YOLO trains with nothing without one
        config = out / "dataset.yaml"
        write(config, f"{config.read_text().rstrip()}\nval: ./images/test/\n")
