"""Where the images come from: each source writes one VOC tree, and `source.json` that says what it is.

To add one, write a module that makes or fetches a VOC tree, and its row in `SOURCES`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.attention.human import ids_of
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import digest, repository, sha256, write
from toolkit.params import Params
from toolkit.sources import folder, recorded, sample, voc2012
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
    tree = Tree(out)
    of = (tree.image, tree.annotation, tree.attention, tree.mask)  # who depends on source.json depends on all of them
    files = [
        (image_id, *(sha256(path(image_id)) if path(image_id).exists() else None for path in of))
        for image_id in tree.all_ids()
    ]
    hashed = {"source": name, "classes": params.data.classes, "hash": digest(files, tree.splits())}
    about = hashed | {"licence": SOURCES[name].licence} | about
    write(out / "source.json", json.dumps(about, indent=2) + "\n")
    return about


def _copied(tree: Tree, params: Params, out: Path) -> dict[str, Any]:
    """Somebody's tree, checked whole, and perhaps with a cue planted."""
    data = params.data
    splits: dict[str, folder.Split] = {"train": data.train_split, "test": data.test_split}
    if data.split == "recorded":
        splits |= _recorded(tree, Path(params.attention.human).expanduser())
    if data.base_split not in ("none", "half"):
        splits["base"] = data.base_split
    about = folder.build(tree, splits, data.classes, data.on_error, out, halve=data.base_split == "half")
    return about | (plant(Tree(out), data.plant) if data.plant else {})


def _recorded(tree: Tree, human: Path) -> dict[str, list[str]]:
    ids = recorded.splits(tree, ids_of(human))
    if not all(ids.values()):
        fault = f"knows too few of the images of {tree.root}: {len(ids['train'])} train, {len(ids['test'])} test"
        raise BadInput(Problem(str(human), fault, "name the recording in attention.human, or set data.split to listed"))
    return ids


def _drawn(params: Params, out: Path) -> dict[str, Any]:
    """The sample, whose base detector has scenes of its own."""
    if params.data.base_split != "none":
        fault = f"is {params.data.base_split!r}, but the sample's base detector is committed, trained on other scenes"
        raise BadInput(Problem("data.base_split", fault, "set it to none, and base.steps to 0"))
    if params.data.plant:
        raise BadInput(Problem("data.plant", "plants a second cue over the sample's own", "set it to null"))
    return {"cues": list(VOC_CLASSES)} | sample.build(params.sample, out)


def _own(params: Params) -> Tree:
    path = Path(params.data.path).expanduser()
    outer = repository() / path
    if not Tree(path).split("").parent.is_dir() and Tree(outer).split("").parent.is_dir():
        fault = f"is empty in an experiment's own checkout: git ignores what lies in {outer}"
        raise BadInput(
            Problem(str(path), fault, f"add `-S data.path={outer}` to `dvc exp run`: it is read where it lies")
        )
    return Tree(path)


def _voc2012(params: Params) -> Tree:
    """The tree that somebody has unpacked, or else the downloaded one."""
    own = _own(params)
    return own if own.split("").parent.is_dir() else voc2012.fetch(repository() / DOWNLOADS)


SOURCES = {
    "sample": Source(_drawn, "https://www.apache.org/licenses/LICENSE-2.0"),
    "folder": Source(lambda params, out: _copied(_own(params), params, out), "as the source's"),
    "voc2012": Source(
        lambda params, out: _copied(_voc2012(params), params, out),
        "https://www.flickr.com/help/terms",
    ),
}
