"""Many small files as a few large ones: a folder's files packed into shards, and read by the same paths.

DVC, git and file systems suffer from hundreds of thousands of small files in a folder. A shard is a plain tar, as
WebDataset and `tar` read it; `index.parquet` beside the shards says where in them each file's bytes lie.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

SHARD = 2048  # files of a shard
# A row a file, sorted by `name`: which `shard` it is in, at which `offset`, its `size` in bytes, its content's `md5`.
INDEX = "index.parquet"


class Packer:
    """Packs files into shards of `SHARD`, in the order in which they come; the same files give the same bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = 0
        self.rows: list[dict[str, object]] = []  # of the open shard
        self.tables: list[Any] = []  # of those before it: a row is far smaller there
        self.open = ExitStack()

    def add(self, name: str, data: bytes) -> None:
        if not self.rows:
            self.file = self.open.enter_context(_shard(self.folder, self.shards).open("wb"))
            tar = tarfile.TarFile(fileobj=self.file, mode="w", format=tarfile.PAX_FORMAT)
            self.tar = self.open.enter_context(tar)
        about = tarfile.TarInfo(name)
        about.size = len(data)
        self.tar.addfile(about, io.BytesIO(data))
        blocks = -(-len(data) // tarfile.BLOCKSIZE)
        offset = self.file.tell() - blocks * tarfile.BLOCKSIZE
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        row = {"name": name, "shard": self.shards, "offset": offset, "size": len(data), "md5": md5}
        self.rows.append(row)
        if len(self.rows) == SHARD:
            self._end()

    def close(self) -> None:
        """Write the index of all that was added."""
        from pyarrow import concat_tables
        from pyarrow.parquet import write_table

        self._end()
        write_table(concat_tables(self.tables).sort_by("name"), self.folder / INDEX)

    def _end(self) -> None:
        """Close the open shard, where there is one."""
        import pyarrow as pa  # takes a while: only those who need it wait

        kinds = {"name": pa.string(), "shard": pa.int64(), "offset": pa.int64(), "size": pa.int64(), "md5": pa.string()}
        self.tables.append(pa.Table.from_pylist(self.rows, pa.schema(kinds)))
        self.open.close()
        self.shards += bool(self.rows)
        self.rows = []


@contextmanager
def packing(folder: Path) -> Iterator[Packer]:
    """A packer into a new or empty folder, which has an index once the block ends without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    packer = Packer(folder)
    with packer.open:
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
    with (path.parent / place.shard).open("rb") as shard:
        return place.read(shard)


def exists(path: Path) -> bool:
    """Whether there is a file to `read`."""
    return path.exists() or _find(path) is not None


def packed(folder: Path) -> bool:
    """Whether a folder's files lie in shards."""
    return (folder / INDEX).exists()


class Place(NamedTuple):
    """Where a packed file lies."""

    shard: str  # the tar's name, in the same folder
    offset: int  # in bytes
    size: int

    def read(self, shard: BinaryIO) -> bytes:
        """The file's bytes, out of its opened shard."""
        shard.seek(self.offset)
        return shard.read(self.size)


class Index:
    """A folder's index, in 40 bytes a file or so: searched by halving, and without Python objects."""

    def __init__(self, file: Path | BinaryIO) -> None:
        import pyarrow as pa  # as above
        from pyarrow.parquet import read_table

        table = read_table(file, columns=["name", "shard", "offset", "size"])
        names = table["name"].cast(pa.binary()).to_numpy()
        self.names = names.astype(np.bytes_)  # sorted, too: text's order is that of its bytes in UTF-8
        self.places = np.stack([table[column].to_numpy() for column in ("shard", "offset", "size")], axis=1)

    def find(self, name: str) -> Place | None:
        """Where a file lies; None where it is in no shard."""
        wanted = name.encode()
        row = int(np.searchsorted(self.names, wanted))
        if row == len(self.names) or self.names[row] != wanted:
            return None
        shard, offset, size = self.places[row].tolist()
        return Place(_shard(Path(), shard).name, offset, size)


def _find(path: Path) -> Place | None:
    try:
        changed = (path.parent / INDEX).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _index(path.parent.absolute(), changed).find(path.name)


@lru_cache(64)  # folders: `browse` reads a few of each arm, image by image
def _index(folder: Path, changed: int) -> Index:
    return Index(folder / INDEX)


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.tar"
