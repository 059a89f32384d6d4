"""Files that are never half written: temporary name then rename; links, hashes and seeds."""

import fcntl
import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from toolkit import shards

_FICLONE = 0x40049409  # linux/fs.h: share a file's blocks until one side is written
_cannot_reflink: set[tuple[int, int]] = set()  # file systems from and to which it failed: trying costs most of a link


def read_image(path: Path) -> np.ndarray:
    """Read an image; [H, W, 3] uint8 RGB, pixels as stored (no EXIF turn, so that boxes stay true)."""
    with Image.open(BytesIO(shards.read(path))) as image:
        return np.asarray(eight_bits(image).convert("RGB"))


def eight_bits(image: Image.Image) -> Image.Image:
    """An image whose grey of 16 bits is scaled to 8, for Pillow's `convert` would clip it at 255.

    Colour of 16 bits needs nothing: Pillow reads its upper 8.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))  # 65535 / 255
    return image


def png(image: np.ndarray) -> bytes:
    """Encode [H, W, 3] RGB or [H, W] grey pixels, uint8 or uint16, as PNG."""
    ordered = image[..., ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(".png", ordered)
    if not done:
        raise ValueError(f"cannot encode an array of {image.shape} {image.dtype} as PNG")
    return data.tobytes()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")  # no other thread's, no killed run's
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all; one of a remote store (see `store.home`) is put there as a whole."""
    content = data.encode() if isinstance(data, str) else data
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill; it takes the place of `path` when the block ends without an error.

    Where `path` is a symbolic link, the folder that it leads to is replaced and the link stays.
    """
    place = path.resolve() if path.is_symlink() else path
    partial, old = (place.with_name(f".{place.name}.{kind}partial") for kind in ("", "old."))
    for left in (partial, old):  # by a killed run
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        with suppress(FileNotFoundError):
            place.rename(old)  # removing takes long: killed in the middle, it must not leave half a folder at `path`
        partial.replace(place)
    finally:
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Make `target` the same bytes as salvoc's own file `source`, without copying them where the file system can.

    It may be a hard link: what DVC does to the one, such as making it read-only, it does to the other. That is harmless
    between stages' outputs and stores, which are replaced and never written to. The user's files are for `copy`. A file
    of a remote store is copied down.
    """
    if not isinstance(source, Path):
        write(target, source.read_bytes())
        return
    source = source.resolve()
    with replacing(target) as partial:  # an older target may be a hard link: never open it
        if _reflink(source, partial):
            return
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)


def copy(source: Path, target: Path) -> None:
    """Make `target` the same bytes as the user's file `source`, which it never shares an inode with.

    DVC makes its outputs read-only and keeps them in its cache. Blocks are shared where the file system can (reflink).
    """
    with replacing(target) as partial:
        if not _reflink(source, partial):
            shutil.copyfile(source, partial)


def _reflink(source: Path, target: Path) -> bool:
    between = source.stat().st_dev, target.parent.stat().st_dev
    if sys.platform != "linux" or between in _cannot_reflink:
        return False
    with source.open("rb") as read, target.open("wb") as written:
        try:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            return True
        except OSError:
            _cannot_reflink.add(between)
    target.unlink()
    return False


def sha256(path: Path) -> str:
    """The file's hash, in hex; it may lie in a shard."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return hashlib.sha256(shards.read(path)).hexdigest()


def digest(*parts: object) -> str:
    """One hash for a sequence of values."""
    return hashlib.sha256("\x00".join(map(repr, parts)).encode()).hexdigest()


def seed_of(*parts: object) -> int:
    """A seed that depends on these values alone, never on order, batches, workers or restarts."""
    return int(digest(*parts)[:15], 16)


def repository() -> Path:
    """The repository's root; the outer one where `dvc exp run --temp` works in a checkout of its own."""
    here = Path.cwd()
    return next((p.parent for p in here.parents if p.name == ".dvc"), here)
