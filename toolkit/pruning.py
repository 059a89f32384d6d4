"""What lies in the stores, and what of it no commit, branch, tag or experiment uses.

A file is in use where DVC's lock, in the workspace or in any commit that git still knows, lists its content. That takes
no network: the list of a folder's files lies in DVC's cache; a folder that it does not know is named as unknown.
"""

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from dvc.fs import localfs
from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from tqdm import tqdm

from toolkit.errors import BadInput, Problem
from toolkit.shards import INDEX
from toolkit.store import home

KEY = re.compile(r"[0-9a-f]{64}")
DAY = 24 * 60 * 60  # seconds


@dataclass
class Kind:
    """One kind of finished work: how much there is of it, and the files that nothing uses."""

    files: int = 0
    size: int = 0  # bytes
    unused: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """All stores, and how many outputs of commits could not be looked into."""

    kinds: dict[str, Kind]
    unknown: int


def look(days: float) -> Found:
    """Count what is stored, by kind, and find what nothing uses and is older than `days`.

    Younger work may be a killed stage's, which has yet to become an output. The files of one key are one piece of work:
    used where one of them is. Raises `BadInput` for a remote store.
    """
    root = home()
    if not isinstance(root, Path):
        mend = "delete of it what you will: the next run makes again what it needs; or let the bucket's lifecycle do it"
        raise BadInput(Problem("SALVOC_STORE", f"{root} is remote: only a local store is pruned", mend))
    used, unknown = contents(Path())
    kinds: dict[str, Kind] = defaultdict(Kind)
    oldest = time.time() - days * DAY
    for work in tqdm(_works(root).values(), desc="store", unit="piece", mininterval=1):
        kind = kinds[str(work[0].parent.parent.relative_to(root))]
        states = [path.stat() for path in work]
        kind.files += len(work)
        kind.size += sum(state.st_size for state in states)
        if max(state.st_mtime for state in states) < oldest and not any(
            file_md5(str(path), localfs) in used for path in work
        ):
            kind.unused += work
    return Found(dict(sorted(kinds.items())), unknown)


def prune(found: Found) -> None:
    """Remove what nothing uses; a stage that wants it again makes it again."""
    for kind in found.kinds.values():
        for path in kind.unused:
            path.unlink(missing_ok=True)


def contents(repository: Path) -> tuple[set[str], int]:
    """The MD5 of every file that an output of any commit holds, and how many folders' lists are not in the cache.

    What is packed (`toolkit.shards`) is in the folder's index, which is such a list, too.
    """
    outputs = {out["md5"] for lock in _locks(repository) for out in _outputs(lock)}
    used: set[str] = set()
    indices: set[str] = set()
    unknown = 0
    with Repo(str(repository)) as repo:
        cache = repo.cache.local
        for output in outputs:
            if not output.endswith(".dir"):
                used.add(output)
            elif cache.exists(output):
                listed = {key: str(info.value) for key, _, info in Tree.load(cache, HashInfo("md5", output))}
                used |= set(listed.values())
                indices |= {content for key, content in listed.items() if key[-1] == INDEX}
            else:
                unknown += 1
        for index in indices:
            if cache.exists(index):
                used |= set(pd.read_parquet(cache.oid_to_path(index), columns=["md5"])["md5"])
            else:
                unknown += 1
    return used, unknown


def _locks(repository: Path) -> Iterator[bytes]:
    """Every version of dvc.lock: the workspace's, and those that branches, tags, experiments and stashes lead to."""
    yield (repository / "dvc.lock").read_bytes()
    listed = _git(repository, "rev-list", "--all", "--reflog", "--objects", "--", "dvc.lock").decode().split("\n")
    blobs = {line.split()[0] for line in listed if line.endswith(" dvc.lock")}
    yield from (_git(repository, "cat-file", "blob", blob) for blob in sorted(blobs))


def _outputs(lock: bytes) -> Iterator[dict[str, Any]]:
    for stage in (yaml.load(lock, yaml.CSafeLoader) or {}).get("stages", {}).values():
        yield from (out for out in stage.get("outs", []) if "md5" in out)


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True).stdout


def _works(root: Path) -> dict[tuple[Path, str], list[Path]]:
    """The stored files by place and key."""
    works: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        if KEY.fullmatch(path.stem) and path.parent.name == path.stem[:2] and path.is_file():
            works[path.parent, path.stem].append(path)
    return works
