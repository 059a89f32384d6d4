"""Finished work by content: what the same code made once from the same input and settings is never made again."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from toolkit.files import digest, repository, write
from toolkit.provenance import code

Files = Mapping[str, bytes]  # one piece of work, by suffix; the last one written says that it is whole


def home() -> Path:
    """The folder that all stores are in, of the outer repository where DVC works in a checkout of its own."""
    return Path(os.environ.get("SALVOC_STORE", repository() / ".salvoc"))


class Store:
    """One kind of finished work, by what it was made of.

    It survives a kill and a change of parameters, and lies outside the stages' outputs, which DVC removes before a run.
    The key has the code of `maker`, the module that makes the work, with all that it imports: work of older code is not
    found. Delete the folder at will: the next run makes again what it needs; `salvoc store` prunes it.
    """

    def __init__(self, kind: str, maker: str) -> None:
        self.root, self.maker = home() / kind, maker

    def path(self, *made_of: object, suffix: str = ".png") -> Path:
        """Where the work made of these values, by the code as it is now, lies or will lie."""
        key = digest(code(self.maker), *made_of)
        return self.root / key[:2] / f"{key}{suffix}"

    def get(self, *made_of: object, make: Callable[[], bytes], suffix: str = ".png") -> Path:
        """The stored file of the work made of these values, made now if it is not there."""
        path = self.path(*made_of, suffix=suffix)
        if not path.exists():
            write(path, make())
        return path


def make_missing(
    paths: Mapping[str, Path], make: Callable[[Sequence[str]], Iterable[tuple[str, Files]]], title: str
) -> None:
    """Make what is not there yet of the work whose place is known by the image's id (see `Store.path`).

    `make` is given the ids that lack theirs and gives each with its files, in any order: it may be a loop, a pool of
    threads (`workers.mapped`), or a machine's share of a cluster's work. Each piece is kept as soon as it comes, so
    that a killed run goes on where it stopped. The last file of a piece must be the one that `paths` names.
    """
    missing = [image_id for image_id, path in paths.items() if not path.exists()]
    if not missing:
        return
    done = len(paths) - len(missing)
    with tqdm(desc=title, total=len(paths), initial=done, unit="image", mininterval=1) as bar:
        for image_id, files in make(missing):
            for suffix, content in files.items():
                write(paths[image_id].with_suffix(suffix), content)
            bar.update()
