"""Where the images come from: each source writes one VOC tree, and `source.json` that says what it is.

To add one, write a module that makes or fetches a VOC tree, and its row in `SOURCES`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from toolkit.attention.human import ids_of
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import repository, sha256, write
from toolkit.params import Params
from toolkit.sources import coco, folder, recorded, sample, voc2012
from toolkit.sources.plant import plant
from toolkit.voc import VOC_CLASSES, Tree

DOWNLOADS = Path(".salvoc/downloads")  # in the repository


@dataclass(frozen=True)
class Source:
    """How a source's tree is written into an empty folder, which gives what is to be said of it; and its licence."""

    write: Callable[[Params, Path], dict[str, Any]]
    licence: str


def build(params: Params, out: Path) -> dict[str, Any]:
    """Write the source that params name into the empty folder `out`; returns what `source.json` says."""
    name = params.data.source
    require_known("data.source", "source", name, SOURCES)
    about = SOURCES[name].write(params, out)
    hashed = {"source": name, "classes": params.data.classes, "hash": content(Tree(out))}
    about = hashed | {"licence": SOURCES[name].licence} | about
    write(out / "source.json", json.dumps(about, indent=2) + "\n")
    return about


def content(tree: Tree) -> str:
    """The hash of all files of a tree: who depends on source.json depends on all of them.

    It is `files.digest` of a list of every image's hashes, and of the splits; the list is never held as a whole.
    """
    hashed = hashlib.sha256(b"[")
    of = (tree.image, tree.annotation, tree.attention, tree.mask)
    for number, image_id in enumerate(tree.all_ids()):
        files = (image_id, *(sha256(path(image_id)) if path(image_id).exists() else None for path in of))
        hashed.update(f"{', ' if number else ''}{files!r}".encode())
    hashed.update(f"]\x00{tree.splits()!r}".encode())
    return hashed.hexdigest()


def _copied(tree: Tree, params: Params, out: Path, known: Sequence[Problem] = ()) -> dict[str, Any]:
    """Somebody's tree, checked whole, and perhaps with a cue planted; `known`: what is known to be wrong with it."""
    data = params.data
    splits: dict[str, folder.Split] = {"train": data.train_split, "test": data.test_split}
    if data.split != "listed":
        splits |= _by_attention(tree, Path(params.attention.human).expanduser(), data.split)
    if _third(params):
        splits["base"] = data.base_split
    halve = data.base_split == "half"
    about = folder.build(tree, splits, data.classes, data.on_error, out, halve=halve, known=known)
    return about | (plant(Tree(out), data.plant) if data.plant else {})


def _by_attention(tree: Tree, human: Path, split: str) -> dict[str, list[str]]:
    ids = recorded.SPLITS[split](tree, ids_of(human))
    if not all(ids.values()):
        fault = f"knows too few of the images, or all: {len(ids['train'])} are train, {len(ids['test'])} test"
        mend = "name masks or a recording in attention.human, or set data.split to listed"
        raise BadInput(Problem(str(human), fault, mend))
    return ids


def _drawn(params: Params, out: Path) -> dict[str, Any]:
    """The sample, whose base detector has scenes of its own."""
    if params.data.base_split != "none":
        fault = f"is {params.data.base_split!r}, but the sample's base detector is committed, trained on other scenes"
        raise BadInput(Problem("data.base_split", fault, "set it to none, and base.steps to 0"))
    if params.data.plant:
        raise BadInput(Problem("data.plant", "plants a second cue over the sample's own", "set it to null"))
    return {"cues": list(VOC_CLASSES)} | sample.build(params.sample, out)


def _third(params: Params) -> bool:
    """Whether the base split is one of the tree's own."""
    return params.data.base_split not in ("none", "half")


def _own(params: Params, fits: Callable[[Path], bool]) -> Path:
    """Where the user's images lie; `fits` says whether a folder has them."""
    path = Path(params.data.path).expanduser()
    outer = repository() / path
    if not fits(path) and fits(outer):
        fault = f"is empty in an experiment's own checkout: git ignores what lies in {outer}"
        raise BadInput(
            Problem(str(path), fault, f"add `-S data.path={outer}` to `dvc exp run`: it is read where it lies")
        )
    return path


def _is_tree(root: Path) -> bool:
    return Tree(root).split("").parent.is_dir()


def _voc2012(params: Params) -> Tree:
    """The tree that somebody has unpacked, or else the downloaded one."""
    own = _own(params, _is_tree)
    return Tree(own) if _is_tree(own) else voc2012.fetch(repository() / DOWNLOADS)


def _coco(params: Params, out: Path) -> dict[str, Any]:
    data = params.data
    root = _own(params, lambda root: coco.fits(root, data.train_split))
    splits = [data.train_split, data.test_split, *([data.base_split] if _third(params) else [])]
    with TemporaryDirectory(dir=out, prefix=".") as converted:
        done = coco.convert(root, splits, data.classes, Path(converted))
        try:
            about = _copied(done.tree, params, out, done.problems)
        except BadInput as error:
            raise BadInput(done.told(error.problems)) from None
    skipped = [entry | {"file": done.names.get(entry["file"], entry["file"])} for entry in about["skipped"]]
    left_out = dict(done.objects_left_out.most_common())
    return about | {"skipped": skipped, "images_left_out": done.images_left_out, "objects_left_out": left_out}


SOURCES = {
    "sample": Source(_drawn, "https://www.apache.org/licenses/LICENSE-2.0"),
    "folder": Source(lambda params, out: _copied(Tree(_own(params, _is_tree)), params, out), "as the source's"),
    "coco": Source(_coco, "as the source's"),
    "voc2012": Source(
        lambda params, out: _copied(_voc2012(params), params, out),
        "https://www.flickr.com/help/terms",
    ),
}
