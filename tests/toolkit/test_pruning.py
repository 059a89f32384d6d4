"""What is stored is in use where a commit's output holds it: as a file of its own, or in a shard."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from toolkit import pruning
from toolkit.files import write
from toolkit.shards import packing

STAGES = {"stages": {"make": {"cmd": "true", "outs": ["single", "packed"]}}}


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Path]:
    """Three pieces of work in a repository whose lock has the first as a file, and the second in a shard."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALVOC_STORE", str(tmp_path / ".salvoc"))
    works = {name: tmp_path / f".salvoc/saliency/{name}/{name * 32}.png" for name in ("aa", "bb", "cc")}
    for name, path in works.items():
        write(path, name)
    write(Path("single") / "a.png", "aa")
    with packing(Path("packed")) as packer:
        packer.add("b.png", b"bb")
    subprocess.run(["git", "init", "-q"], check=True)
    Repo.init(".")
    write(Path("dvc.yaml"), yaml.safe_dump(STAGES))
    with Repo() as repository:
        repository.commit(force=True)
    return works


def test_what_is_in_a_shard_is_in_use(stored: Mapping[str, Path]) -> None:
    found = pruning.look(0)
    assert found.kinds["saliency"].unused == [stored["cc"]]
    assert found.unknown == 0


def test_an_index_that_is_not_in_the_cache_is_told(stored: Mapping[str, Path], tmp_path: Path) -> None:
    for path in (tmp_path / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"PAR1"):
            path.unlink()
    found = pruning.look(0)
    assert found.kinds["saliency"].unused == [stored["bb"], stored["cc"]]
    assert found.unknown == 1
