"""python -m benchmarks.shards: what DVC costs on many small files, one by one and in shards."""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import report, rounded
from toolkit.shards import INDEX, packing

SIZE = 4096  # bytes of a file, of noise


def main(files: Annotated[int, typer.Option(min=1)] = 50_000) -> None:
    """Seconds of `dvc add` and of a `dvc status` after it, and the bytes of the folder's list and of the index."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _run(root, "git", "init", "-q")
        _run(root, "dvc", "init", "-q")
        (root / "single").mkdir()
        with packing(root / "shards") as packer:
            for number in range(files):
                data, name = os.urandom(SIZE), f"{number:012}.png"
                (root / "single" / name).write_bytes(data)
                packer.add(name, data)
        told = {name: _tracked(root, name) for name in ("single", "shards")}
        report("shards", files=files, **told, index_bytes=(root / "shards" / INDEX).stat().st_size)


def _tracked(root: Path, folder: str) -> dict[str, float]:
    before = set(root.glob(".dvc/cache/files/md5/*/*.dir"))
    seconds = {command: rounded(_run(root, "dvc", command, folder)) for command in ("add", "status")}
    (listing,) = set(root.glob(".dvc/cache/files/md5/*/*.dir")) - before
    return seconds | {"list_bytes": listing.stat().st_size}


def _run(root: Path, *command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    typer.run(main)
