"""Variants: complete VOC datasets made from the source by one rule each, of which only train images may differ."""

import json
import shutil
from collections.abc import Sequence
from itertools import tee
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from toolkit import maps, voc
from toolkit.errors import BadInput, Problem
from toolkit.files import digest, link, png, read_image, seed_of, sha256, write
from toolkit.params import Aug
from toolkit.sources.masks import CUE, OBJECT, read_mask
from toolkit.store import Store
from toolkit.variants.croissant import describe
from toolkit.variants.rules import DEPENDS, RULES, Changed, Original
from toolkit.voc import Tree
from toolkit.workers import mapped

EVERY_TRAIN_IMAGE = ("nontrivial", "oracle")  # rules that do not ask where the detector looked
PARTS = {"object": OBJECT, "cue": CUE, "background": 0}


def build(name: str, source: Tree, saliency: Path, selection: pd.DataFrame, aug: Aug, out: Path) -> dict[str, object]:
    """Write the variant `name` into `out`; returns what its `variant.json` says.

    The rule changes the selected train images (`nontrivial` and `oracle`: every one); all else is linked. Changed
    pixels are stored without loss, as PNG data under the image's own .jpg name, which decoders tell by its content: so
    every pixel that the rule left alone is bit-identical.
    """
    if name == "oracle" and not (source.root / "Masks").exists():
        raise BadInput(
            Problem("variants", "`oracle` needs to know the cue's pixels", "only the sample does: remove it")
        )
    wanted = selection["id"] if name in EVERY_TRAIN_IMAGE else selection["id"][selection["selected"]]
    ids = [] if name == "none" else list(wanted)
    store = Store(f"variants/{name}", __name__)
    records = {
        image_id: store.path(*_made_of(name, source, saliency, image_id, aug), suffix=".json") for image_id in ids
    }
    missing = [image_id for image_id in ids if not records[image_id].exists()]
    if missing:
        bar = tqdm(desc=name, total=len(ids), initial=len(ids) - len(missing), unit="image", mininterval=1)
        originals, taken = tee(_read(source, saliency, image_id, seed_of(aug.seed, image_id)) for image_id in missing)
        made = zip((records[image_id] for image_id in missing), originals, RULES[name](taken, aug), strict=True)
        for _ in mapped(lambda: _keep, made):  # encoding takes longer than most rules
            bar.update()
        bar.close()
    _assemble(source, records, Tree(out))
    about = _about(name, source, records, aug)
    write(out / "variant.json", json.dumps(about, indent=2) + "\n")
    write(out / "croissant.json", json.dumps(describe(name, source), indent=2) + "\n")
    return about


def _made_of(name: str, source: Tree, saliency: Path, image_id: str, aug: Aug) -> tuple[object, ...]:
    """Everything that one changed image depends on, besides code."""
    files = [source.image(image_id), source.annotation(image_id), saliency / f"{image_id}.png"]
    files += [source.mask(image_id)] if source.mask(image_id).exists() else []
    return DEPENDS[name](aug), seed_of(aug.seed, image_id), [sha256(path) for path in files]


def _read(source: Tree, saliency: Path, image_id: str, seed: int) -> Original:
    image = read_image(source.image(image_id))
    heatmap = maps.scale(maps.load(saliency / f"{image_id}.png"), *image.shape[:2])
    mask = read_mask(source, image_id)
    return Original(image_id, image, source.annotation(image_id).read_bytes(), heatmap, mask, seed)


def _keep(made: tuple[Path, Original, Changed]) -> None:
    """Store what the rule made of one image; the record comes last and says that the image is finished."""
    record, original, changed = made
    if (changed.image != original.image).any():
        write(record.with_suffix(".png"), png(changed.image))
    if changed.xml != original.xml:
        write(record.with_suffix(".xml"), changed.xml)
    before, after = (len(voc.parse(xml, record.name).objects) for xml in (original.xml, changed.xml))
    about: dict[str, int] = {"pixels": int(changed.region.sum()), "objects_lost": before - after}
    if original.mask is not None:
        about |= {part: int((changed.region & (original.mask == value)).sum()) for part, value in PARTS.items()}
    write(record, json.dumps(about))


def _assemble(source: Tree, records: dict[str, Path], out: Tree) -> None:
    """Link every image and annotation, the changed ones from the store."""
    for image_id in source.all_ids():
        for original, target, suffix in (
            (source.image(image_id), out.image(image_id), ".png"),
            (source.annotation(image_id), out.annotation(image_id), ".xml"),
        ):
            changed = records[image_id].with_suffix(suffix) if image_id in records else None
            link(changed if changed and changed.exists() else original, target)
    shutil.copytree(source.root / "ImageSets", out.root / "ImageSets")


def _about(name: str, source: Tree, records: dict[str, Path], aug: Aug) -> dict[str, object]:
    """What was made of what: source, rule, parameters, counts, and where the changed pixels lay."""
    each = {image_id: json.loads(record.read_text()) for image_id, record in sorted(records.items())}
    changed = [image_id for image_id, record in sorted(records.items()) if record.with_suffix(".png").exists()]
    return {
        "variant": name,
        "source": json.loads((source.root / "source.json").read_text())["hash"],
        "parameters": DEPENDS[name](aug) if name in DEPENDS else {},
        "train": len(source.ids("train")),
        "changed": len(changed),
        "pixels": _sum(each, "pixels"),
        "objects_lost": _sum(each, "objects_lost"),
        "where": {part: _sum(each, part) for part in PARTS} if (source.root / "Masks").exists() else None,
        "content": digest([(image_id, *_hashes(record)) for image_id, record in sorted(records.items())]),
        "changed_ids": changed,
    }


def _hashes(record: Path) -> list[str | None]:
    """The hashes of the image and the annotation that were stored with a record; None where one did not change."""
    files = (record.with_suffix(suffix) for suffix in (".png", ".xml"))
    return [sha256(file) if file.exists() else None for file in files]


def _sum(records: dict[str, dict[str, int]], what: str) -> int:
    return sum(record[what] for record in records.values())


def changed_ids(variant: Tree) -> Sequence[str]:
    """The ids of the images whose pixels the variant changed."""
    return list(json.loads((variant.root / "variant.json").read_text())["changed_ids"])
