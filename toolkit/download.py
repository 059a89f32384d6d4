"""Archives from the web: downloaded once (a broken download goes on), checked, and unpacked so that nothing escapes."""

import hashlib
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from toolkit.errors import BadInput, Problem

MAX_UNPACKED = 10_000_000_000  # bytes of an archive's wanted files; VOC 2012's have 2 billion
_TIMEOUT = (30, 60)  # seconds to connect, and between two pieces of the answer
_PIECE = 1 << 16  # bytes; a broken download loses at most as many


def fetched(url: str, md5: str | None, cache: Path) -> Path:
    """The archive of `url` inside `cache`, under its own name; one that is there already is not downloaded again.

    One that somebody put there by hand is used in place of a download. `md5`: what its checksum must be, where one is
    published. Raises `BadInput` where the network fails or the checksum is another.
    """
    archive = cache / PurePosixPath(urlsplit(url).path).name
    if archive.exists():
        if md5 and md5_of(archive) != md5:
            raise BadInput(Problem(str(archive), f"is not the archive of {url} (its MD5 is not {md5})", "remove it"))
        return archive
    part = archive.with_name(f"{archive.name}.part")
    cache.mkdir(parents=True, exist_ok=True)
    _download(url, part, archive)
    if md5 and md5_of(part) != md5:
        part.unlink()
        fault = f"sent something else than the archive (its MD5 is not {md5}); it has been removed"
        mend = f"run again, or put the archive at {archive} by hand"
        raise BadInput(Problem(url, fault, mend))
    return part.replace(archive)


def unpack(archive: Path, wanted: Mapping[str, str], out: Path) -> None:
    """Unpack the wanted plain files of a tar or zip archive into `out`.

    `wanted`: patterns of the last parts of a path in the archive (`JPEGImages/*`), and for each the folder in `out`
    that such files lie in, under their own names. Links, hidden files and paths that lead elsewhere are left alone.
    Raises `BadInput` where the archive is damaged, or would unpack to more than `MAX_UNPACKED` bytes.
    """
    try:
        with (_zip if archive.suffix == ".zip" else _tar)(archive) as members:
            chosen = [(member, folder) for member in members if (folder := _folder(member, wanted)) is not None]
            if (total := sum(member.size for member, _ in chosen)) > MAX_UNPACKED:
                fault = f"would unpack to {total} bytes, {MAX_UNPACKED} are allowed"
                raise BadInput(Problem(str(archive), fault, "get it anew from its authors"))
            for member, folder in tqdm(chosen, "unpack", unit=" files"):
                target = out / folder / PurePosixPath(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(Problem(str(archive), f"cannot be unpacked ({error})", "remove it and run again")) from None


def md5_of(path: Path) -> str:
    """The checksum that makers of data sets publish, in hex; it tells damage, not malice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class _Member(NamedTuple):
    """A plain file in an archive."""

    name: str
    size: int  # bytes, unpacked
    open: Callable[[], IO[bytes]]


@contextmanager
def _tar(archive: Path) -> Iterator[Iterator[_Member]]:
    with tarfile.open(archive, "r:") as tar:
        yield (
            _Member(member.name, member.size, partial(tar.extractfile, member))  # type: ignore[arg-type]
            for member in tar.getmembers()
            if member.isfile()
        )


@contextmanager
def _zip(archive: Path) -> Iterator[Iterator[_Member]]:
    """Of a zip's members: who is not told to be another kind is a plain file, for not every writer tells."""
    with zipfile.ZipFile(archive) as file:
        yield (
            _Member(member.filename, member.file_size, partial(file.open, member))
            for member in file.infolist()
            if not member.is_dir() and stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG)
        )


def _folder(member: _Member, wanted: Mapping[str, str]) -> str | None:
    """Where a member goes; None for one that is not wanted, is hidden, or is no path inside the archive."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or path.name.startswith("."):
        return None
    return next((folder for pattern, folder in wanted.items() if path.match(pattern)), None)


def _download(url: str, part: Path, archive: Path) -> None:
    """Bring `part` to the whole of `url`, from where it stopped where the server can do that."""
    have = part.stat().st_size if part.exists() else 0
    # the archive's own bytes, not gzipped on the way: the range counts them
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                return  # nothing is left to send; the checksum tells whether that is right
            answer.raise_for_status()
            start = _start(answer)  # 0 where the server cannot go on
            left = answer.headers.get("Content-Length")
            total = start + int(left) if left else None
            with (
                part.open("ab" if start else "wb") as file,
                tqdm(desc="download", total=total, initial=start, unit="B", unit_scale=True) as bar,
            ):
                for piece in answer.iter_content(_PIECE):
                    bar.update(file.write(piece))
    except requests.RequestException as error:
        mend = (
            "check the connection and run again: the download goes on where it stopped; "
            f"or put the archive at {archive} by hand"
        )
        raise BadInput(Problem(url, f"cannot be downloaded ({error})", mend)) from None


def _start(answer: requests.Response) -> int:
    """The first byte that a server sends: 0 unless it answers a range."""
    span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(span[1]) if answer.status_code == requests.codes.partial_content and span else 0
