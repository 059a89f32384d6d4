"""Variants: complete VOC datasets made from the source by one rule each, of which only train images may differ."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit import maps, voc
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import digest, link, png, read_image, seed_of, sha256, write
from toolkit.params import Aug
from toolkit.sources.masks import CUE, OBJECT, boxed, read_mask
from toolkit.store import Files, Store, make_missing
from toolkit.variants.croissant import describe
from toolkit.variants.rules import RULES, Changed, Original, Rule
from toolkit.voc import Tree
from toolkit.workers import batches, mapped

PARTS = {"object": OBJECT, "cue": CUE, "background": 0}
BATCH = 1  # image that a rule is given at a time: all threads have work, and no rule here gains by more on a CPU


def build(
    name: str, rule: str, source: Tree, saliency: Path, selection: pd.DataFrame, aug: Aug, out: Path
) -> dict[str, object]:
    """Write into `out` the variant of the arm `name`, made by `rule`; returns what its `variant.json` says.

    `selection` has a row a train image: `id`, `selected`. The rule changes the selected ones or every one; all else is
    linked. Changed pixels are stored without loss, as PNG data under the image's own .jpg name, which decoders tell by
    its content: so every pixel that the rule left alone is bit-identical. Raises `BadInput` for an unknown rule, and
    for one that the source cannot do.
    """
    require_known("arms", "rule", rule, RULES)
    row = RULES[rule]
    if row.needs_masks and not (source.root / "Masks").exists():
        mend = "remove it, or plant a cue (data.plant)"
        raise BadInput(Problem("arms", f"`{rule}` needs a cue, and none was planted here", mend))
    selected = list(selection["id"][selection["selected"]])
    ids = {"none": [], "selected": selected, "every": list(selection["id"])}[row.images]
    store, settings, cues = Store(f"variants/{rule}", __name__), row.depends(aug), tuple(_said(source).get("cues", ()))
    records = {
        image_id: store.path(settings, cues, *_made_of(source, saliency, image_id, aug), suffix=".json")
        for image_id in ids
    }
    read = partial(_read, source, saliency, cues, aug)
    make_missing(records, lambda missing: _changed(row, read, aug, missing), name)
    _assemble(source, records, Tree(out))
    about = {"variant": name, "rule": rule, **_about(source, settings, records)}
    write(out / "variant.json", json.dumps(about, indent=2) + "\n")
    write(out / "croissant.json", json.dumps(describe(name, source), indent=2) + "\n")
    return about


def _made_of(source: Tree, saliency: Path, image_id: str, aug: Aug) -> tuple[int, list[str]]:
    """What one changed image depends on, besides code and the rule's settings: its seed and its files' hashes."""
    files = [source.image(image_id), source.annotation(image_id), saliency / f"{image_id}.png"]
    files += [source.mask(image_id)] if source.mask(image_id).exists() else []
    return seed_of(aug.seed, image_id), [sha256(path) for path in files]


def _changed(
    rule: Rule, read: Callable[[str], Original], aug: Aug, missing: Sequence[str]
) -> Iterable[tuple[str, Files]]:
    """The images' ids and what is stored of each."""
    rule.change([], aug)  # imports torch, if the rule needs it: in a thread it would compute on every core from then on

    def files_of(batch: Sequence[str]) -> list[tuple[str, Files]]:
        originals = [read(image_id) for image_id in batch]
        return [(o.id, _files(o, c)) for o, c in zip(originals, rule.change(originals, aug), strict=True)]

    work = batches(missing, BATCH)
    return chain.from_iterable(map(files_of, work) if rule.alone(aug) else mapped(lambda: files_of, work))


def _read(source: Tree, saliency: Path, cues: Sequence[str], aug: Aug, image_id: str) -> Original:
    image = read_image(source.image(image_id))
    heatmap = maps.scale(maps.load(saliency / f"{image_id}.png"), *image.shape[:2])
    mask, xml = read_mask(source, image_id), source.annotation(image_id).read_bytes()
    return Original(image_id, image, xml, heatmap, mask, cues, seed_of(aug.seed, image_id))


def _files(original: Original, changed: Changed) -> Files:
    """What is stored of one image, by suffix: what the rule changed, and the record, last, of what that was."""
    files = {}
    if (changed.image != original.image).any():
        files[".png"] = png(changed.image)
    if changed.xml != original.xml:
        files[".xml"] = changed.xml
    before, after = (voc.parse(xml, original.id) for xml in (original.xml, changed.xml))
    lost = len(before.objects) - len(after.objects)
    about: dict[str, int] = {"pixels": int(changed.region.sum()), "objects_lost": lost}
    mask = boxed(before) if original.mask is None else original.mask
    about |= {part: int((changed.region & (mask == value)).sum()) for part, value in PARTS.items()}
    return files | {".json": json.dumps(about).encode()}


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


def _about(source: Tree, settings: dict[str, object], records: dict[str, Path]) -> dict[str, object]:
    """What was made of what: source, the rule's settings, counts, and where the changed pixels lay."""
    each = {image_id: json.loads(record.read_text()) for image_id, record in sorted(records.items())}
    changed = [image_id for image_id, record in sorted(records.items()) if record.with_suffix(".png").exists()]
    planted = (source.root / "Masks").exists()
    return {
        "source": _said(source)["hash"],
        "parameters": settings,
        "train": len(source.ids("train")),
        "changed": len(changed),
        "pixels": _sum(each, "pixels"),
        "objects_lost": _sum(each, "objects_lost"),
        "where": {part: _sum(each, part) for part in PARTS if planted or part != "cue"},
        "cue_removed": _of_the_cue(source, each) if planted else None,
        "content": digest([(image_id, *_hashes(record)) for image_id, record in sorted(records.items())]),
        "changed_ids": changed,
    }


def _said(source: Tree) -> dict[str, Any]:
    """What the source says of itself: its hash, and where a cue was planted the classes that have a tile."""
    said: dict[str, Any] = json.loads((source.root / "source.json").read_text())
    return said


def _of_the_cue(source: Tree, records: dict[str, dict[str, int]]) -> dict[str, float]:
    """The share of the cue's pixels that the rule worked on: of all train images, and of those that it was given."""
    cue = {image_id: int(np.count_nonzero(read_mask(source, image_id) == CUE)) for image_id in source.ids("train")}
    gone, given = _sum(records, "cue"), sum(cue[image_id] for image_id in records)
    shares = {"all": gone / max(sum(cue.values()), 1), "given": gone / max(given, 1)}
    return {of: round(share, 6) for of, share in shares.items()}


def _hashes(record: Path) -> list[str | None]:
    """The hashes of the image and the annotation that were stored with a record; None where one did not change."""
    files = (record.with_suffix(suffix) for suffix in (".png", ".xml"))
    return [sha256(file) if file.exists() else None for file in files]


def _sum(records: dict[str, dict[str, int]], what: str) -> int:
    return sum(record[what] for record in records.values())
