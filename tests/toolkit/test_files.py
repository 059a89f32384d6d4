"""Files are whole or not there, whatever stops the writer, and the user's own files are never harmed."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from toolkit.files import copy, digest, link, new_folder, png, read_image, replacing, seed_of, sha256, write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kill_during(script: str, folder: Path) -> None:
    """Run Python code that says when it is in the middle of its work, and kill it there."""
    code = f"import sys, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n{script}"
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_write_takes_bytes_and_text_and_makes_folders(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", b"\x00\xff")
    write(tmp_path / "a" / "c", "é")
    assert (tmp_path / "a" / "b").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a" / "c").read_text("utf-8") == "é"
    assert names(tmp_path / "a") == ["b", "c"]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    write(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["map.png"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as partial:
        partial.write_text("first")
        with ThreadPoolExecutor(1) as other:
            other.submit(write, tmp_path / "a", "second").result(timeout=10)
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_a_kill_while_writing_leaves_the_old_files(tmp_path: Path) -> None:
    write(tmp_path / "map.png", "old")
    write(tmp_path / "maps" / "a.png", "old")
    kill_during(
        """
from toolkit.files import new_folder, replacing
with replacing(folder / "map.png") as partial, new_folder(folder / "maps") as new:
    partial.write_text("ne")
    (new / "b.png").write_text("ne")
    print("half", flush=True)
    time.sleep(60)
""",
        tmp_path,
    )
    assert (tmp_path / "map.png").read_text() == "old"
    assert names(tmp_path / "maps") == ["a.png"]
    assert all(name in ("map.png", "maps") or name.endswith(".partial") for name in names(tmp_path))
    with new_folder(tmp_path / "maps") as new:
        assert names(new) == []  # what the killed run left is gone


def test_a_partial_file_left_by_a_killed_run_is_never_written_through(tmp_path: Path) -> None:
    """A kill may leave a partial name that is a hard link to a user's file; a later run may use the same name."""
    write(tmp_path / "users.jpg", "precious")
    with replacing(tmp_path / "a.jpg") as partial:
        partial.write_text("old")
    os.link(tmp_path / "users.jpg", partial)
    write(tmp_path / "a.jpg", "new")
    assert (tmp_path / "users.jpg").read_text() == "precious"


def test_new_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    write(tmp_path / "maps" / "old.png", "old")
    with new_folder(tmp_path / "maps") as new:
        write(new / "new.png", "new")
        assert names(tmp_path / "maps") == ["old.png"]
    assert names(tmp_path / "maps") == ["new.png"]
    assert names(tmp_path) == ["maps"]


def test_new_folder_keeps_the_old_one_on_error(tmp_path: Path) -> None:
    write(tmp_path / "maps" / "old.png", "old")
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "maps") as new:
        write(new / "new.png", "new")
        raise KeyboardInterrupt
    assert names(tmp_path / "maps") == ["old.png"]
    assert names(tmp_path) == ["maps"]


def test_new_folder_at_a_symbolic_link_replaces_what_it_leads_to_and_keeps_the_link(tmp_path: Path) -> None:
    """Somebody keeps the outputs on another disk."""
    write(tmp_path / "disk" / "maps" / "old.png", "old")
    (tmp_path / "maps").symlink_to("disk/maps")
    with new_folder(tmp_path / "maps") as new:
        write(new / "new.png", "new")
        assert names(tmp_path / "maps") == ["old.png"]
    assert (tmp_path / "maps").is_symlink()
    assert names(tmp_path / "disk" / "maps") == ["new.png"]
    assert names(tmp_path) + names(tmp_path / "disk") == ["disk", "maps", "maps"]


def test_new_folder_at_a_symbolic_link_to_nothing_makes_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "maps").symlink_to("disk/maps")
    with new_folder(tmp_path / "maps") as new:
        write(new / "new.png", "new")
    assert names(tmp_path / "maps") == names(tmp_path / "disk" / "maps") == ["new.png"]


def test_a_kill_while_the_old_folder_is_removed_leaves_no_half_of_it(tmp_path: Path) -> None:
    """Removing many files takes seconds; what is left of them must not look like an output."""
    for name in ("1", "2", "3"):
        write(tmp_path / "maps" / name, "old")
    kill_during(
        """
import os
from toolkit.files import new_folder, write
remove = os.unlink
def slow(*args, **options):
    remove(*args, **options)
    print("half", flush=True)
    time.sleep(60)
with new_folder(folder / "maps") as new:
    write(new / "4", "new")
    os.unlink = slow
""",
        tmp_path,
    )
    assert names(tmp_path / "maps") == ["4"]
    with new_folder(tmp_path / "maps") as new:
        write(new / "5", "newer")
    assert names(tmp_path / "maps") == ["5"]
    assert names(tmp_path) == ["maps"]  # what the killed run left is gone


def test_link_gives_the_same_bytes_and_makes_folders(tmp_path: Path) -> None:
    write(tmp_path / "a", "bytes")
    link(tmp_path / "a", tmp_path / "new" / "b")
    assert (tmp_path / "new" / "b").read_text() == "bytes"
    assert names(tmp_path / "new") == ["b"]


def test_link_copies_where_the_file_system_cannot_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("other device")

    write(tmp_path / "a", "bytes")
    monkeypatch.setattr("os.link", refuse)
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "bytes"


def test_link_to_a_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "a", "bytes")
    (tmp_path / "symbolic").symlink_to("a")
    link(tmp_path / "symbolic", tmp_path / "b")
    assert not (tmp_path / "b").is_symlink()
    assert (tmp_path / "b").read_text() == "bytes"


def test_linking_again_harms_neither_side(tmp_path: Path) -> None:
    """The target is a hard link to a user's file after the first time: opening it to write would empty that."""
    write(tmp_path / "a", "bytes")
    write(tmp_path / "other", "others")
    for source in ("a", "a", "other"):
        link(tmp_path / source, tmp_path / "b")
    assert [(tmp_path / name).read_text() for name in ("a", "other", "b")] == ["bytes", "others", "others"]
    assert names(tmp_path) == ["a", "b", "other"]


def test_a_copy_shares_no_inode_with_the_users_file(tmp_path: Path) -> None:
    write(tmp_path / "users", "bytes")
    (tmp_path / "symbolic").symlink_to("users")
    for source in ("users", "symbolic"):
        copy(tmp_path / source, tmp_path / "new" / "b")
        assert (tmp_path / "new" / "b").read_text() == "bytes"
        assert not (tmp_path / "new" / "b").is_symlink()
        (tmp_path / "new" / "b").chmod(0o444)
    assert (tmp_path / "users").stat().st_nlink == 1
    assert (tmp_path / "users").stat().st_mode & 0o200
    assert names(tmp_path / "new") == ["b"]


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", "abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_digest_tells_apart_what_reads_the_same() -> None:
    keys = [digest(), digest("a", "b"), digest("ab"), digest("b", "a"), digest(1), digest("1"), digest(1.0)]
    assert len(set(keys)) == len(keys)


def test_seeds_never_change() -> None:
    """Every seeded pixel of every dataset made before hangs on these values."""
    assert seed_of(0, "2007_000027") == 728647142429923991
    assert seed_of("inpaint", 3) == 1061274102535819582


def test_seeds_fit_every_generator() -> None:
    assert all(0 <= seed_of(number) < 2**63 for number in range(1000))


@pytest.mark.parametrize(
    "image",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
        np.arange(8, dtype=np.uint8).reshape(2, 4),
        np.arange(0, 65536, 8192, dtype=np.uint16).reshape(2, 4),
    ],
    ids=["colour", "grey", "grey16"],
)
def test_png_keeps_every_pixel_and_the_order_of_colours(tmp_path: Path, image: np.ndarray) -> None:
    write(tmp_path / "a.png", png(image))
    with Image.open(tmp_path / "a.png") as read:
        assert np.array_equal(np.asarray(read), image)


def test_read_image_turns_nothing(tmp_path: Path) -> None:
    """A photo that its camera marks as turned is read as stored: its boxes are in stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation tag: turn by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (20, 40, 3)
    with Image.open(tmp_path / "a.jpg") as image:
        assert ImageOps.exif_transpose(image).size == (20, 40)  # others do turn it


def test_read_image_gives_three_colours_for_grey(tmp_path: Path) -> None:
    Image.new("L", (4, 2), 7).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.full((2, 4, 3), 7, np.uint8))


def test_grey_of_16_bits_is_scaled_to_8(tmp_path: Path) -> None:
    grey = np.array([[0, 128, 129, 256, 32767, 65535]], np.uint16)
    write(tmp_path / "a.png", png(grey))
    assert read_image(tmp_path / "a.png").tolist() == [[[level] * 3 for level in (0, 0, 1, 1, 127, 255)]]


def test_colour_of_16_bits_keeps_its_upper_8(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(np.array([[[0, 32768, 65535]]], np.uint16)))
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 128, 255]]]
