"""Finished work by content: what the same code made once from the same input and settings is never made again."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from toolkit.errors import BadInput, Problem
from toolkit.files import digest, link, repository, write
from toolkit.provenance import code
from toolkit.shards import packing

MAPPED = ("training", "gaze")  # kinds whose files are mapped into memory, or written to: they lie on this machine
FILES = 20_000  # of a folder, at most: DVC looks at each of them by itself
Files = Mapping[str, bytes]  # one piece of work, by suffix; the last one written says that it is whole
Put = Callable[[str, Path | bytes], None]  # of a file's name, and of a stored file or bytes


def home(local: bool = False) -> Path:
    """The folder that all stores are in, of the outer repository where DVC works in a checkout of its own.

    `SALVOC_STORE` names another, or a remote one by a URL that fsspec knows, such as s3://BUCKET/PREFIX. That is no
    `Path`, but has its methods; who must be `local` does not lie there.
    """
    place = os.environ.get("SALVOC_STORE")
    remote = place is not None and "://" in place
    if place is None or (remote and local):
        return repository() / ".salvoc"
    return _remote(place) if remote else Path(place)


def _remote(url: str) -> Path:
    """The folder behind a URL; raises `BadInput` where it cannot be looked into: here, or on a cluster's machine."""

    def refused(error: Exception, mend: str) -> BadInput:
        return BadInput(Problem("SALVOC_STORE", f"{url} cannot be reached ({error})", mend))

    try:
        from fsspec import get_filesystem_class
        from upath import UPath

        get_filesystem_class(url.partition("://")[0])
    except ImportError as error:
        extras = "`uv pip install -e '.[ray,s3]'` in the clone"
        raise refused(error, f"{extras}, for other protocols the package that is named; or a folder") from None
    except ValueError as error:
        raise refused(error, "use one that fsspec knows, such as s3://BUCKET/PREFIX, or name a folder") from None
    place = UPath(url)
    try:
        place.exists()
    except Exception as error:  # every protocol has errors of its own
        mend = "check keys and endpoint in the environment of the command, on a cluster of `ray start`: docs/scale.md"
        raise refused(error, mend) from None
    return cast(Path, place)


class Store:
    """One kind of finished work, by what it was made of.

    It survives a kill and a change of parameters, and lies outside the stages' outputs, which DVC removes before a run.
    The key has the code of `maker`, the module that makes the work, with all that it imports: work of older code is not
    found. Delete the folder at will: the next run makes again what it needs; `salvoc store` prunes it.
    """

    def __init__(self, kind: str, maker: str) -> None:
        self.root, self.maker = home(local=kind.startswith(MAPPED)) / kind, maker

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
    paths: Mapping[str, Path], make: Callable[[Sequence[str]], Iterable[tuple[str, Files]]]
) -> Iterator[tuple[str, Path]]:
    """The ids with the place of their finished work (see `Store.path`), in any order; made where it is not there yet.

    `make` is given the ids that lack theirs and gives each with its files, in any order. Each is kept as soon as it
    comes, so that a killed run goes on where it stopped. The last file of each must be the one that `paths` names.
    """
    there = {image_id: path.exists() for image_id, path in paths.items()}
    yield from ((image_id, path) for image_id, path in paths.items() if there[image_id])
    missing = [image_id for image_id in paths if not there[image_id]]
    if missing:
        for image_id, files in make(missing):
            for suffix, content in files.items():
                write(paths[image_id].with_suffix(suffix), content)
            yield image_id, paths[image_id]


@contextmanager
def filling(folder: Path, images: int) -> Iterator[Put]:
    """A new folder of a stage's output, to be filled with a file an image.

    Files are linked and lie one by one; where there may be more than `FILES`, for so many `images`, they are packed
    into shards. `shards.read` reads both.
    """
    if images > FILES:
        with packing(folder) as packer:
            yield lambda name, file: packer.add(name, file if isinstance(file, bytes) else file.read_bytes())
    else:
        folder.mkdir(parents=True, exist_ok=True)

        def put(name: str, file: Path | bytes) -> None:
            if isinstance(file, bytes):
                write(folder / name, file)
            else:
                link(file, folder / name)

        yield put
