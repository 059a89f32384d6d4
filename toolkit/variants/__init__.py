"""Variants: complete VOC datasets made from the source by one rule each, of which only train images may differ."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit import maps, voc
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import link, png, read_image, seed_of, sha256, write
from toolkit.params import Aug
from toolkit.shards import packed
from toolkit.sources.masks import CUE, OBJECT, boxed, read_mask
from toolkit.spread import Spread, Work, here
from toolkit.store import Files, Store, filling, make_missing
from toolkit.variants.croissant import describe
from toolkit.variants.rules import RULES, Changed, Original, Rule
from toolkit.voc import Tree
from toolkit.workers import batches, mapped

PARTS = {"object": OBJECT, "cue": CUE, "background": 0}
BATCH = 1  # image that a rule is given at a time: all threads have work, and no rule here gains by more on a CPU


def build(
    name: str, rule: str, source: Tree, saliency: Path, selection: pd.DataFrame, aug: Aug, out: Path,
    spread: Spread = here,
) -> dict[str, object]:  # fmt: skip
    """Write into `out` the variant of the arm `name`, made by `rule`; returns what its `variant.json` says.

    `selection` has a row a train image: `id`, `selected`. The rule changes the selected ones or every one; all else is
    linked, or where the images are too many for a folder left to the source (see `Tree`). Changed pixels are stored
    without loss, as PNG data under the image's own .jpg name, which decoders tell by its content: so every pixel that
    the rule left alone is bit-identical. Raises `BadInput` for an unknown rule, and for one that the source cannot do.
    """
    require_known("arms", "rule", rule, RULES)
    row = RULES[rule]
    if row.needs_masks and not (source.root / "Masks").exists():
        mend = "remove it, or plant a cue (data.plant)"
        raise BadInput(Problem("arms", f"`{rule}` needs a cue, and none was planted here", mend))
    selected = list(selection["id"][selection["selected"]])
    ids = {"none": [], "selected": selected, "every": list(selection["id"])}[row.images]
    settings, cues = row.depends(aug), tuple(_said(source).get("cues", ()))
    made = Made(source)
    images, annotations = (filling(out / part, len(source.all_ids())) for part in ("JPEGImages", "Annotations"))
    with images as put_image, annotations as put_annotation:
        records = spread(lambda: _changing(rule, source, saliency, cues, aug), ids, name)
        for image_id, record in records:
            made.add(image_id, record)
            for suffix, put, ending in ((".png", put_image, ".jpg"), (".xml", put_annotation, ".xml")):
                if (changed := record.with_suffix(suffix)).exists():
                    put(f"{image_id}{ending}", changed)
    if not packed(out / "JPEGImages"):
        _complete(source, Tree(out))
    shutil.copytree(source.root / "ImageSets", out / "ImageSets")
    about = {"variant": name, "rule": rule, "source": _said(source)["hash"], "parameters": settings, **made.told()}
    write(out / "variant.json", json.dumps(about, indent=2) + "\n")
    describe(out, name, source)
    return about


def _changing(name: str, source: Tree, saliency: Path, cues: Sequence[str], aug: Aug) -> Work[Path]:
    """The work of a process: the record of what a rule makes of each image; what is not stored yet is made."""
    rule, store = RULES[name], Store(f"variants/{name}", __name__)
    settings = rule.depends(aug)
    read = partial(_read, source, saliency, cues, aug)

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        records = {
            image_id: store.path(settings, cues, *_made_of(source, saliency, image_id, aug), suffix=".json")
            for image_id in ids
        }
        return make_missing(records, lambda missing: _changed(rule, read, aug, missing))

    return work


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


def _complete(source: Tree, out: Tree) -> None:
    """Link every image and annotation that no rule changed."""
    for image_id in source.all_ids():
        for original, target in (
            (source.image(image_id), out.image(image_id)),
            (source.annotation(image_id), out.annotation(image_id)),
        ):
            if not target.exists():
                link(original, target)


class Made:
    """What was made of a source's train images, counted as it comes."""

    def __init__(self, source: Tree) -> None:
        self.source, self.planted = source, (source.root / "Masks").exists()
        self.sums: Counter[str] = Counter()
        self.changed: list[str] = []
        self.given = 0  # pixels of the cue in the images that the rule was given
        self.content = hashlib.sha256()

    def add(self, image_id: str, record: Path) -> None:
        """One image that the rule was given, in the order of the ids."""
        self.sums.update(json.loads(record.read_text()))
        self.content.update(repr((image_id, *_hashes(record))).encode())
        if record.with_suffix(".png").exists():
            self.changed.append(image_id)
        if self.planted:
            self.given += _of_the_cue(self.source, image_id)

    def told(self) -> dict[str, object]:
        """The counts, where the changed pixels lay, and how much of the cue they were."""
        train = self.source.ids("train")
        removed = None
        if self.planted:
            every = sum(_of_the_cue(self.source, image_id) for image_id in train)
            removed = {
                of: round(self.sums["cue"] / max(pixels, 1), 6)
                for of, pixels in (("all", every), ("given", self.given))
            }
        return {
            "train": len(train),
            "changed": len(self.changed),
            "pixels": self.sums["pixels"],
            "objects_lost": self.sums["objects_lost"],
            "where": {part: self.sums[part] for part in PARTS if self.planted or part != "cue"},
            "cue_removed": removed,
            "content": self.content.hexdigest(),
            "changed_ids": self.changed,
        }


def _said(source: Tree) -> dict[str, Any]:
    """What the source says of itself: its hash, and where a cue was planted the classes that have a tile."""
    said: dict[str, Any] = json.loads((source.root / "source.json").read_text())
    return said


def _of_the_cue(source: Tree, image_id: str) -> int:
    """How many pixels of an image are the cue's."""
    return int(np.count_nonzero(read_mask(source, image_id) == CUE))


def _hashes(record: Path) -> list[str | None]:
    """The hashes of the image and the annotation that were stored with a record; None where one did not change."""
    files = (record.with_suffix(suffix) for suffix in (".png", ".xml"))
    return [sha256(file) if file.exists() else None for file in files]
