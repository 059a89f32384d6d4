"""An archive is downloaded, resumed, checked and unpacked; tried on a web server of its own and on hostile archives."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.serving import Server, content, tar, zipped
from toolkit import download
from toolkit.download import fetched, unpack
from toolkit.errors import BadInput

NAME = "images.tar"
ARCHIVE = np.random.default_rng(0).bytes(400_000)  # several pieces long
WANTED = {"set/images/*": "images", "set/labels.txt": "."}
Pack = Callable[..., bytes]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture(autouse=True)
def archive(server: Server) -> None:
    server.files[NAME] = ARCHIVE


def get(server: Server, cache: Path) -> bytes:
    return fetched(server.url(NAME), md5(server.files[NAME]), cache).read_bytes()


def test_an_archive_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "cache") == ARCHIVE
    assert get(server, tmp_path / "cache") == ARCHIVE
    assert server.sent == [len(ARCHIVE)]
    assert content(tmp_path / "cache") == {NAME: ARCHIVE}


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 300_000
    with pytest.raises(BadInput, match="goes on where it stopped") as error:
        get(server, tmp_path)
    assert error.value.problems[0].file == server.url(NAME)
    assert not (tmp_path / NAME).exists()
    have = (tmp_path / f"{NAME}.part").stat().st_size
    assert 200_000 < have <= 300_000

    assert get(server, tmp_path) == ARCHIVE
    assert server.sent == [300_000, len(ARCHIVE) - have]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE[:300_000])
    server.ranges = False
    assert get(server, tmp_path) == ARCHIVE
    assert server.sent == [len(ARCHIVE)]


def test_a_download_that_was_complete_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE)
    assert get(server, tmp_path) == ARCHIVE
    assert server.sent == [0]


def test_a_wrong_checksum_is_told_and_the_download_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="MD5 is not"):
        fetched(server.url(NAME), md5(b"the real one"), tmp_path)
    assert content(tmp_path) == {}
    assert get(server, tmp_path) == ARCHIVE  # and the next run starts again


def test_where_no_checksum_is_published_none_is_asked(server: Server, tmp_path: Path) -> None:
    assert fetched(server.url(NAME), None, tmp_path).read_bytes() == ARCHIVE


def test_the_rest_of_another_file_is_no_archive(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 300_000)
    with pytest.raises(BadInput, match="MD5 is not"):
        get(server, tmp_path)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses_is_told_with_the_way_by_hand(server: Server, tmp_path: Path, status: int) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE[:1000])
    server.status = status
    with pytest.raises(BadInput, match=str(status)) as error:
        get(server, tmp_path)
    assert str(tmp_path / NAME) in error.value.problems[0].mend
    assert (tmp_path / f"{NAME}.part").read_bytes() == ARCHIVE[:1000]


def test_a_server_that_is_down_is_told_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="check the connection and run again"):
        fetched(f"http://127.0.0.1:9/{NAME}", md5(ARCHIVE), tmp_path)


def test_an_archive_put_there_by_hand_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(ARCHIVE)
    assert get(server, tmp_path) == ARCHIVE
    assert server.sent == []


def test_a_wrong_archive_put_there_by_hand_is_told_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not the archive"):
        get(server, tmp_path)
    assert content(tmp_path) == {NAME: b"mine"}


# ---- unpacking

BOTH = pytest.mark.parametrize(("name", "pack"), [("a.tar", tar), ("a.zip", zipped)], ids=["tar", "zip"])


def unpacked(folder: Path, name: str, data: bytes) -> dict[str, bytes]:
    (folder / name).write_bytes(data)
    (folder / "out").mkdir()
    unpack(folder / name, WANTED, folder / "out")
    assert not any(path.is_symlink() for path in (folder / "out").rglob("*"))
    return content(folder / "out")


@BOTH
def test_what_is_wanted_is_unpacked_and_nothing_else(tmp_path: Path, name: str, pack: Pack) -> None:
    files = {
        "set/images/a.jpg": b"a",
        "top/set/images/b.jpg": b"b",
        "set/labels.txt": b"labels",
        "set/images/deeper/c.jpg": b"unwanted",
        "__MACOSX/set/images/._a.jpg": b"unwanted",
        "set/other/a.jpg": b"unwanted",
    }
    assert unpacked(tmp_path, name, pack(files)) == {
        "images/a.jpg": b"a",
        "images/b.jpg": b"b",
        "labels.txt": b"labels",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@BOTH
def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path, name: str, pack: Pack) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    files = {
        "../evil": b"evil",
        "set/images/../../../../evil": b"evil",
        "set/images/../labels.txt": b"evil",
        "set/images/..": b"evil",
        "../set/images/evil.jpg": b"evil",
        "/set/images/evil.jpg": b"evil",
        str(outside / "set/images/evil.jpg"): b"evil",
        "set/images/to_file.jpg": b"evil",
        "set/images/good.jpg": b"good",
    }
    links = {
        "set/images": str(outside),
        "set/images/to_file.jpg": str(outside / "evil"),
        "set/images/secret.jpg": "/etc/hostname",
    }
    assert unpacked(tmp_path, name, pack(files, links)) == {
        "images/to_file.jpg": b"evil",  # a plain file of its own
        "images/good.jpg": b"good",
    }
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out", "outside"])


@BOTH
def test_an_archive_that_would_fill_the_disk_is_refused_before_a_byte_is_written(
    tmp_path: Path, name: str, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_UNPACKED", 1000)
    with pytest.raises(BadInput, match="would unpack to 2000 bytes, 1000 are allowed"):
        unpacked(tmp_path, name, pack({"set/images/a": b" " * 1000, "set/images/b": b" " * 1000}))
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
@pytest.mark.parametrize("data", [b"", b"text" * 1000, zipped({"set/images/a": ARCHIVE})[:-1000]], ids=len)
def test_a_damaged_archive_is_told(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(BadInput, match=r"cannot be unpacked \(.*remove it and run again"):
        unpacked(tmp_path, name, data)


def test_damage_inside_a_zip_is_told(tmp_path: Path) -> None:
    data = bytearray(zipped({"set/images/a": ARCHIVE}))
    data[200_000] ^= 1
    with pytest.raises(BadInput, match="cannot be unpacked"):
        unpacked(tmp_path, "a.zip", bytes(data))
