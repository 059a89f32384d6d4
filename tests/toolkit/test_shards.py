"""Shards: what is packed is read by the paths that it would have had, and by any tool that knows tar."""

import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import shards
from toolkit.shards import INDEX, exists, packed, packing, read

NAMES = st.text("abcäß日._- 0", min_size=1, max_size=120).filter(lambda name: name.strip("."))


def pack(folder: Path, files: dict[str, bytes]) -> None:
    with packing(folder) as packer:
        for name, data in files.items():
            packer.add(name, data)


@settings(max_examples=50, deadline=None)
@given(files=st.dictionaries(NAMES, st.binary(max_size=1500), max_size=9), size=st.integers(1, 4))
def test_what_is_packed_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("shards") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD", size)
        pack(folder, files)
    assert len(list(folder.glob("*.tar"))) == -(-len(files) // size)
    assert {name: read(folder / name) for name in files} == files
    assert all(exists(folder / name) for name in files)


def test_any_tool_reads_a_shard(tmp_path: Path) -> None:
    pack(tmp_path / "out", {"a.png": b"pixels", "b.png": b""})
    with tarfile.open(tmp_path / "out" / "000000.tar") as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == {"a.png": b"pixels", "b.png": b""}  # type: ignore[union-attr]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        pack(tmp_path / name, {"a": b"1", "b": b"2"})
    for file in ("000000.tar", INDEX):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_is_in_no_shard_is_not_there(tmp_path: Path) -> None:
    pack(tmp_path / "out", {"a": b"1"})
    for path in (tmp_path / "out" / "b", tmp_path / "out" / "0", tmp_path / "nowhere" / "a"):
        assert not exists(path)
        with pytest.raises(FileNotFoundError):
            read(path)


def test_a_folder_that_is_packed_anew_is_read_anew(tmp_path: Path) -> None:
    pack(tmp_path / "out", {"a": b"1"})
    assert read(tmp_path / "out" / "a") == b"1"
    pack(tmp_path / "new", {"a": b"22"})
    (tmp_path / "out").rename(tmp_path / "old")
    (tmp_path / "new").rename(tmp_path / "out")
    assert read(tmp_path / "out" / "a") == b"22"


def test_without_an_end_there_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), packing(tmp_path / "out") as packer:
        packer.add("a", b"1")
        raise KeyboardInterrupt
    assert not packed(tmp_path / "out")
