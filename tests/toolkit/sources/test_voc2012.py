"""The official archive's way to a tree; tried on a small archive of the same layout."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from tests.toolkit.serving import Server, content, tar
from toolkit.errors import BadInput
from toolkit.sources.voc2012 import fetch
from toolkit.voc import Tree

NAME = "VOCtrainval_11-May-2012.tar"
CONTENT = {
    "JPEGImages/2007_000027.jpg": b"pixels",
    "Annotations/2007_000027.xml": b"<annotation/>",
    "ImageSets/Main/train.txt": b"2007_000027\n",
}
UNWANTED = {
    "VOCdevkit/VOC2012/SegmentationClass/2007_000027.png": b"unwanted",
    "VOCdevkit/VOC2012/ImageSets/Action/train.txt": b"unwanted",
    "VOCdevkit/VOC2012/JPEGImages/deeper/2007_000027.jpg": b"unwanted",
    "VOCdevkit/VOC2007/JPEGImages/2007_000027.jpg": b"unwanted",
}
ARCHIVE = tar({f"VOCdevkit/VOC2012/{name}": data for name, data in CONTENT.items()} | UNWANTED)


def get(server: Server, cache: Path) -> Tree:
    server.files[NAME] = ARCHIVE
    return fetch(cache, server.url(NAME), hashlib.md5(ARCHIVE).hexdigest())


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


def test_another_archive_leaves_no_tree(server: Server, tmp_path: Path) -> None:
    server.files[NAME] = ARCHIVE
    with pytest.raises(BadInput, match="MD5 is not"):
        fetch(tmp_path, server.url(NAME), hashlib.md5(b"the real one").hexdigest())
    assert content(tmp_path) == {}


def test_a_kill_while_unpacking_leaves_no_tree(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tarfile.TarFile, "extractfile", stop)
        get(server, tmp_path)
    assert not (tmp_path / "VOC2012").exists()
    assert content(get(server, tmp_path).root) == CONTENT
    assert len(server.sent) == 1
