"""The official archive's way: downloaded, resumed, checked, unpacked; tried on a small archive of the same layout."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from toolkit.errors import BadInput
from toolkit.sources.voc2012 import fetch
from toolkit.voc import Tree

NAME = "VOCtrainval_11-May-2012.tar"
PIXELS = np.random.default_rng(0).bytes(400_000)  # several pieces long
CONTENT = {
    "JPEGImages/2007_000027.jpg": PIXELS,
    "Annotations/2007_000027.xml": b"<annotation/>",
    "ImageSets/Main/train.txt": b"2007_000027\n",
}
UNWANTED = {
    "VOCdevkit/VOC2012/SegmentationClass/2007_000027.png": b"unwanted",
    "VOCdevkit/VOC2012/ImageSets/Action/train.txt": b"unwanted",
    "VOCdevkit/VOC2012/JPEGImages/deeper/2007_000027.jpg": b"unwanted",
    "VOCdevkit/VOC2007/JPEGImages/2007_000027.jpg": b"unwanted",
}


def tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar archive of symbolic links (name to target) and, after them, files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


ARCHIVE = tar({f"VOCdevkit/VOC2012/{name}": data for name, data in CONTENT.items()} | UNWANTED)


@dataclass
class Server:
    """A web server with one file, which can break off, ignore ranges or fail; it counts what it sends."""

    data: bytes = ARCHIVE
    ranges: bool = True
    status: int = 200
    break_after: int | None = None  # bytes of the next answer
    sent: list[int] = field(default_factory=list)  # bytes of each answer
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range") if self.ranges else None
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        total = len(self.data)
        if self.status != 200 or start >= total:
            self.sent.append(0)  # before the client can know of it
            request.send_response(self.status if self.status != 200 else 416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(total - start))
        if span:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        request.end_headers()
        body = self.data[start:][: self.break_after]
        self.break_after = None
        self.sent.append(len(body))
        request.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{http.server_port}/voc/{NAME}"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    http.shutdown()
    http.server_close()
    thread.join()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def get(server: Server, cache: Path) -> Tree:
    return fetch(cache, server.url, md5(server.data))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_salvoc_reads_is_unpacked_and_nothing_else(server: Server, tmp_path: Path) -> None:
    tree = get(server, tmp_path / "cache")
    assert content(tree.root) == CONTENT
    assert tree.ids("train") == ["2007_000027"]
    assert server.sent == [len(ARCHIVE)]


def test_the_second_call_does_nothing(server: Server, tmp_path: Path) -> None:
    first = get(server, tmp_path)
    (tmp_path / NAME).unlink()
    tree = get(server, tmp_path)
    assert (tree.root, content(tree.root)) == (first.root, CONTENT)
    assert len(server.sent) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 300_000
    with pytest.raises(BadInput, match="goes on where it stopped") as error:
        get(server, tmp_path)
    assert error.value.problems[0].file == server.url
    assert not (tmp_path / "VOC2012").exists()
    have = (tmp_path / f"{NAME}.part").stat().st_size
    assert 200_000 < have <= 300_000

    assert content(get(server, tmp_path).root) == CONTENT
    assert server.sent == [300_000, len(ARCHIVE) - have]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE[:300_000])
    server.ranges = False
    assert content(get(server, tmp_path).root) == CONTENT
    assert server.sent == [len(ARCHIVE)]


def test_a_download_that_was_complete_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(ARCHIVE)
    assert content(get(server, tmp_path).root) == CONTENT
    assert server.sent == [0]


def test_a_wrong_checksum_is_told_and_the_download_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="MD5 is not"):
        fetch(tmp_path, server.url, md5(b"the real one"))
    assert content(tmp_path) == {}
    assert content(get(server, tmp_path).root) == CONTENT  # and the next run starts again


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


def test_a_server_that_is_down_is_told_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(BadInput, match="check the connection and run again"):
        fetch(tmp_path, f"http://127.0.0.1:9/{NAME}", md5(ARCHIVE))


def test_an_archive_put_there_by_hand_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(ARCHIVE)
    assert content(get(server, tmp_path).root) == CONTENT
    assert server.sent == []


def test_a_wrong_archive_put_there_by_hand_is_told_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not the archive"):
        get(server, tmp_path)
    assert content(tmp_path) == {NAME: b"mine"}


def test_a_hostile_archive_writes_nothing_outside(server: Server, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    images = "VOCdevkit/VOC2012/JPEGImages"
    server.data = tar(
        {
            "../evil": b"evil",
            "VOCdevkit/VOC2012/../../../evil": b"evil",
            f"{images}/../../../../evil": b"evil",
            f"{images}/../Annotations/a.xml": b"evil",
            f"{images}/..": b"evil",
            str(outside / "evil"): b"evil",
            f"/{images}/evil.jpg": b"evil",
            f"{images}/to_file.jpg": b"evil",
            f"{images}/good.jpg": b"good",
            "VOCdevkit/VOC2012/Annotations/good.xml": b"good",
        },
        links={
            "VOCdevkit/VOC2012/Annotations": str(outside),
            f"{images}/to_file.jpg": str(outside / "evil"),
            f"{images}/secret.jpg": "/etc/hostname",
        },
    )
    tree = get(server, tmp_path / "cache")
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "outside"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["VOC2012", NAME]
    assert not any(path.is_symlink() for path in tree.root.rglob("*"))
    assert content(tree.root) == {
        "JPEGImages/to_file.jpg": b"evil",  # a plain file of its own
        "JPEGImages/good.jpg": b"good",
        "Annotations/good.xml": b"good",
    }


def test_a_kill_while_unpacking_leaves_no_tree(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tarfile.TarFile, "extractfile", stop)
        get(server, tmp_path)
    assert not (tmp_path / "VOC2012").exists()
    assert content(get(server, tmp_path).root) == CONTENT
    assert len(server.sent) == 1
