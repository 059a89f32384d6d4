"""Recordings come from their authors' archives whole or not at all; tried on small archives of the same layouts."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.attention import layouts
from tests.toolkit.serving import Server, content, zipped
from toolkit.attention import recordings
from toolkit.download import md5_of
from toolkit.errors import BadInput
from toolkit.sources.gaze_sets import GAZE_SETS, fetch

MORE = {
    "__MACOSX/ALLSTIMULI/._a.jpeg": b"unwanted",
    "data/mouse_amt/1001.mat": b"unwanted",
    "attrs.mat": np.random.default_rng(0).bytes(400_000),  # several pieces long
}


def mit1003(folder: Path) -> list[dict[str, bytes]]:
    for name in "ab":
        layouts.picture(folder / f"ALLSTIMULI/{name}.jpeg")
        layouts.points_image(folder, name, [(10, 20)])
    (folder / "ALLFIXATIONMAPS/b05fixPts.jpg").write_bytes(b"of no image, as one is in the official archive")
    parts = [{f"{top}/{name}": data for name, data in content(folder / top).items()} for top in layouts_of("mit1003")]
    return [part | MORE for part in parts]


def osie(folder: Path) -> list[dict[str, bytes]]:
    layouts.osie(folder, [(f"{name}.jpg", [np.full((3, 2), 5.0)]) for name in "ab"])
    files = {"top/data/eye/fixations.mat": (folder / "fixations.mat").read_bytes()}
    for name in "ab":
        layouts.picture(folder / f"stimuli/{name}.jpg")
        files[f"top/data/stimuli/{name}.jpg"] = (folder / f"stimuli/{name}.jpg").read_bytes()
    return [files | MORE]


def pascal_s(folder: Path) -> list[dict[str, bytes]]:
    layouts.pascal_s(folder, [((40, 60), np.full((3, 3), 1.0))] * 2)
    files = {f"datasets/fixations/{file.name}": file.read_bytes() for file in folder.glob("*.mat")}
    for number in (1, 2):
        layouts.picture(folder / f"imgs/{number}.jpg")
        files[f"datasets/imgs/pascal/{number}.jpg"] = (folder / f"imgs/{number}.jpg").read_bytes()
    return [files | MORE]


def layouts_of(name: str) -> list[str]:
    """Of each archive, its own name without an ending."""
    return [Path(archive.url).stem for archive in GAZE_SETS[name].archives]


MADE: dict[str, Callable[[Path], list[dict[str, bytes]]]] = {"mit1003": mit1003, "osie": osie, "pascal_s": pascal_s}
Serve = Callable[[str], list[dict[str, bytes]]]


@pytest.fixture
def serve(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Lets the server have a data set of two images; returns what is in its archives, which may be changed by `put`."""

    def serve(name: str) -> list[dict[str, bytes]]:
        parts = MADE[name](tmp_path / "made")
        put(server, name, parts, monkeypatch)
        return parts

    return serve


def put(server: Server, name: str, parts: list[dict[str, bytes]], patch: pytest.MonkeyPatch) -> None:
    known, served = GAZE_SETS[name], []
    for number, (archive, files) in enumerate(zip(known.archives, parts, strict=True)):
        data = zipped(files)
        server.files[f"{number}.zip"] = data
        md5 = archive.md5 and hashlib.md5(data).hexdigest()
        served.append(archive._replace(url=server.url(f"{number}.zip"), md5=md5))
    checked = {
        file: hashlib.md5(data).hexdigest()
        for file in known.checked
        for path, data in parts[0].items()
        if path.endswith(file)
    }
    patch.setitem(GAZE_SETS, name, known._replace(shown=2, archives=tuple(served), checked=checked))


@pytest.mark.parametrize("name", GAZE_SETS)
def test_a_data_set_is_a_folder_of_images_and_one_that_is_read_as_their_recording(
    serve: Serve, server: Server, tmp_path: Path, name: str
) -> None:
    serve(name)
    images, recording = fetch(name, tmp_path / "cache")
    viewings = recordings.with_images(recording).viewings
    assert {viewing.image for viewing in viewings.values()} == set(images.iterdir())
    assert len(viewings) == 2
    assert all(len(viewing.fixations[0]) for viewing in viewings.values())
    assert not any(b"unwanted" in data for data in content(recording).values())
    sent = len(server.sent)
    assert fetch(name, tmp_path / "cache") == (images, recording)
    assert len(server.sent) == sent


@pytest.mark.parametrize("name", GAZE_SETS)
def test_one_that_is_broken_off_goes_on(serve: Serve, server: Server, tmp_path: Path, name: str) -> None:
    serve(name)
    server.break_after = 300_000
    with pytest.raises(BadInput, match="goes on where it stopped"):
        fetch(name, tmp_path / "cache")
    fetch(name, tmp_path / "cache")
    assert server.sent[0] == 300_000
    assert server.sent[1] < len(server.files["0.zip"]) - 200_000


@pytest.mark.parametrize("name", ["mit1003", "pascal_s"])
def test_an_archive_of_another_checksum_is_refused(serve: Serve, server: Server, tmp_path: Path, name: str) -> None:
    serve(name)
    server.files["0.zip"] = zipped({"evil": b"evil"})
    with pytest.raises(BadInput, match="MD5 is not"):
        fetch(name, tmp_path / "cache")
    assert content(tmp_path / "cache") == {}


def test_osie_s_fixations_of_another_checksum_are_refused(serve: Serve, server: Server, tmp_path: Path) -> None:
    """GitHub's archives have none that lasts."""
    (files,) = serve("osie")
    server.files["0.zip"] = zipped(files | {"top/data/eye/fixations.mat": b"another"})
    with pytest.raises(BadInput, match=r"does not hold OSIE: the MD5 of its fixations\.mat is not"):
        fetch("osie", tmp_path / "cache")
    assert not (tmp_path / "cache" / "OSIE").exists()


@pytest.mark.parametrize(
    ("name", "path", "data", "fault"),
    [
        ("osie", "top/data/stimuli/b.jpg", None, r"b\.jpg does not exist"),
        ("osie", "top/data/stimuli/b.jpg", b"text", r"b\.jpg is not a JPEG or PNG image"),
        ("pascal_s", "datasets/imgs/pascal/2.jpg", None, "it has 1 of 2 images"),
        ("pascal_s", "datasets/fixations/pascalSize.mat", None, r"pascalSize\.mat is no MATLAB file"),
        ("mit1003", "ALLFIXATIONMAPS/b_fixPts.jpg", None, r"b_fixPts\.jpg does not exist"),
        ("mit1003", "ALLSTIMULI/b.jpeg", None, "it has 1 of 2 images"),
    ],
)
def test_what_does_not_hold_the_whole_recording_is_told_and_leaves_none(
    serve: Serve, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, path: str, data: bytes | None, fault: str,
) -> None:  # fmt: skip
    parts = serve(name)
    for files in parts:
        if path in files:
            del files[path]
            files |= {path: data} if data else {}
    known = GAZE_SETS[name]
    put(server, name, parts, monkeypatch)
    with pytest.raises(BadInput, match=f"does not hold {known.folder}: {fault}.*remove it and run again"):
        fetch(name, tmp_path / "cache")
    assert not (tmp_path / "cache" / known.folder).exists()


def test_a_hostile_archive_writes_nothing_outside(serve: Serve, server: Server, tmp_path: Path) -> None:
    (files,) = serve("osie")
    evil = ["../evil.jpg", "../data/stimuli/evil.jpg", "/data/stimuli/evil.jpg", "data/stimuli/../../../evil.jpg"]
    server.files["0.zip"] = zipped(files | dict.fromkeys(evil, b"evil"), {"data/stimuli/a.jpg": "/etc/hostname"})
    _, recording = fetch("osie", tmp_path / "cache")
    assert sorted(content(recording)) == ["fixations.mat", "stimuli/a.jpg", "stimuli/b.jpg"]
    assert not list(tmp_path.rglob("evil*"))


def test_a_name_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose one of: mit1003, osie, pascal_s"):
        fetch("salicon", tmp_path)


def test_the_published_checksum_and_count_are_those_of_the_real_osie(real: Path) -> None:
    assert {file: md5_of(real / "osie" / file) for file in GAZE_SETS["osie"].checked} == GAZE_SETS["osie"].checked
    assert len(recordings.with_images(real / "osie").viewings) == GAZE_SETS["osie"].shown
