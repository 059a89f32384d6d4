"""PASCAL VOC 2012 from its authors: downloaded once (a broken download goes on), checked, and unpacked safely."""

import hashlib
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder
from toolkit.voc import Tree

URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
MD5 = "6cd6e144f989b92b3379bac3b3de84fd"
_TIMEOUT = (30, 60)  # seconds to connect, and between two pieces of the answer
_PIECE = 1 << 16  # bytes; a broken download loses at most as many
_FOLDERS = ("JPEGImages", "Annotations", "ImageSets/Main")


def fetch(cache: Path, url: str = URL, md5: str = MD5) -> Tree:
    """The VOC 2012 tree inside `cache`; what is there already is not downloaded or unpacked again.

    An archive that somebody put into `cache` under its own name is used in place of a download; once the tree is there,
    the archive may be deleted. Raises `BadInput` where the network fails or the archive is not the one with that `md5`.
    """
    tree = Tree(cache / "VOC2012")
    if tree.root.is_dir():  # it gets this name only when it is whole
        return tree
    archive = cache / PurePosixPath(urlsplit(url).path).name
    if archive.exists():
        if _md5(archive) != md5:
            raise BadInput(Problem(str(archive), f"is not the archive of {url} (its MD5 is not {md5})", "remove it"))
    else:
        partial = archive.with_name(f"{archive.name}.part")
        cache.mkdir(parents=True, exist_ok=True)
        _download(url, partial, archive)
        if _md5(partial) != md5:
            partial.unlink()
            fault = f"sent something else than the VOC archive (its MD5 is not {md5}); it has been removed"
            mend = f"run again, or put the archive at {archive} by hand"
            raise BadInput(Problem(url, fault, mend))
        partial.replace(archive)
    with new_folder(tree.root) as unpacked:
        _unpack(archive, unpacked)
    return tree


def _download(url: str, partial: Path, archive: Path) -> None:
    """Bring `partial` to the whole of `url`, from where it stopped where the server can do that."""
    have = partial.stat().st_size if partial.exists() else 0
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
                partial.open("ab" if start else "wb") as file,
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


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Path, out: Path) -> None:
    """Unpack what salvoc reads of VOCdevkit/VOC2012 into `out`; nothing can land elsewhere."""
    with tarfile.open(archive, "r:") as tar:
        for member, name in tqdm(list(_wanted(tar)), "unpack", unit=" files"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            with tar.extractfile(member) as content, (out / name).open("wb") as file:  # type: ignore[union-attr]
                shutil.copyfileobj(content, file)


def _wanted(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The plain files that salvoc reads, each with its path in the tree; links are never among them."""
    for member in tar.getmembers():
        path = PurePosixPath(member.name)
        if not member.isfile() or ".." in path.parts or path.parts[:2] != ("VOCdevkit", "VOC2012"):
            continue
        name = PurePosixPath(*path.parts[2:])
        if str(name.parent) in _FOLDERS:
            yield member, str(name)
