"""Many small files as a few large ones: a folder's files packed into shards, and read by the same paths.

DVC, git and file systems suffer from hundreds of thousands of small files in a folder. A shard is a plain tar, as
WebDataset and `tar` read it; `index.parquet` beside the shards says where in them each file's bytes lie.
"""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARD = 2048  # files of a shard
INDEX = (
    "index.parquet"  # a row a file, sorted by `name`: which `shard` it is in, at which `offset`, its `size` in bytes
)


class Packer:
    """Packs files into shards of `SHARD`, in the order in which they come; the same files give the same bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: list[tuple[str, bytes]] = []
        self.rows: list[tuple[str, int, int, int]] = []
        self.shards = 0

    def add(self, name: str, data: bytes) -> None:
        self.waiting.append((name, data))
        if len(self.waiting) == SHARD:
            self._pack()

    def close(self) -> None:
        """Pack what is left, and write the index."""
        import pandas as pd  # takes half a second: only those who need it wait

        self._pack()
        index = pd.DataFrame(self.rows, columns=["name", "shard", "offset", "size"])
        index.sort_values("name", ignore_index=True).to_parquet(self.folder / INDEX)

    def _pack(self) -> None:
        if not self.waiting:
            return
        path = _shard(self.folder, self.shards)
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, data in self.waiting:
                about = tarfile.TarInfo(name)
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
        with tarfile.open(path) as tar:
            self.rows += [(member.name, self.shards, member.offset_data, member.size) for member in tar]
        self.shards += 1
        self.waiting.clear()


@contextmanager
def packing(folder: Path) -> Iterator[Packer]:
    """A packer into a new folder, closed when the block ends without an error."""
    folder.mkdir(parents=True)
    packer = Packer(folder)
    yield packer
    packer.close()


def read(path: Path) -> bytes:
    """A file's bytes, whether it lies at `path` itself or in a shard of that folder.

    Raises FileNotFoundError where it does neither.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        place = _find(path)
        if place is None:
            raise
    shard, offset, size = place
    with _shard(path.parent, shard).open("rb") as file:
        file.seek(offset)
        return file.read(size)


def exists(path: Path) -> bool:
    """Whether there is a file to `read`."""
    return path.exists() or _find(path) is not None


def packed(folder: Path) -> bool:
    """Whether a folder's files lie in shards."""
    return (folder / INDEX).exists()


class _Index(NamedTuple):
    """An index in 40 bytes a file or so, to be searched by halving: names are sorted, and no Python objects."""

    names: np.ndarray  # [N] bytes
    places: np.ndarray  # [N, 3] int64: shard, offset, size


def _find(path: Path) -> tuple[int, int, int] | None:
    """In which shard of its folder a file is, at which offset, and its size."""
    try:
        changed = (path.parent / INDEX).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None
    index, name = _index(path.parent.absolute(), changed), path.name.encode()
    row = int(np.searchsorted(index.names, name))
    if row == len(index.names) or index.names[row] != name:
        return None
    shard, offset, size = index.places[row].tolist()
    return shard, offset, size


@lru_cache(16)
def _index(folder: Path, changed: int) -> _Index:
    import pandas as pd  # as above

    table = pd.read_parquet(folder / INDEX)
    names = np.array([name.encode() for name in table["name"]], np.bytes_)
    order = np.argsort(names, kind="stable")  # by bytes, which is not every locale's order
    return _Index(names[order], table[["shard", "offset", "size"]].to_numpy(np.int64)[order])


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.tar"
