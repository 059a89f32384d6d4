"""Where the images come from: each source writes one VOC tree, and `source.json` that says what it is."""

import json
from pathlib import Path
from typing import Any

from toolkit.errors import BadInput, Problem
from toolkit.files import digest, repository, sha256, write
from toolkit.params import Params
from toolkit.sources import folder, sample, voc2012
from toolkit.voc import Tree

DOWNLOADS = Path(".salvoc/downloads")  # in the repository


def build(params: Params, out: Path) -> dict[str, Any]:
    """Write the source that params name into the empty folder `out`; returns what `source.json` says."""
    data = params.data
    if data.source == "sample":
        about: dict[str, Any] = sample.build(params.sample, out)
    else:
        splits = {"train": data.train_split, "test": data.test_split}
        about = folder.build(_tree(params), splits, data.classes, data.on_error, out)
    tree = Tree(out)
    of = (tree.image, tree.annotation, tree.attention, tree.mask)  # who depends on source.json depends on all of them
    files = [
        (image_id, *(sha256(path(image_id)) if path(image_id).exists() else None for path in of))
        for image_id in tree.all_ids()
    ]
    about = {"source": data.source, "classes": data.classes, "hash": digest(files, tree.splits())} | about
    write(out / "source.json", json.dumps(about, indent=2) + "\n")
    return about


def _tree(params: Params) -> Tree:
    if params.data.source == "voc2012":
        return voc2012.fetch(repository() / DOWNLOADS)
    path = Path(params.data.path).expanduser()
    outer = repository() / path
    if not Tree(path).split("").parent.is_dir() and Tree(outer).split("").parent.is_dir():
        fault = f"is empty in an experiment's own checkout: git ignores what lies in {outer}"
        raise BadInput(
            Problem(str(path), fault, f"add `-S data.path={outer}` to `dvc exp run`: it is read where it lies")
        )
    return Tree(path)
