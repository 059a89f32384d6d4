"""The store: work is made once, survives a failure, and is found only by the code that would make it again."""

import ast
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fsspec import get_filesystem_class

from tests.servers import bucket
from toolkit import provenance, pruning, store
from toolkit.errors import BadInput
from toolkit.files import sha256, write
from toolkit.shards import exists, packed, read
from toolkit.store import Files, Store, filling, make_missing

MAKER = "toolkit.maps"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SALVOC_STORE", str(tmp_path / "store"))
    return Store("dip", MAKER)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository of three modules, of which `maker` imports one, in the place of this one."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    files = {
        "__init__.py": "",
        "maker.py": '"""Makes."""\nfrom toolkit import part\nSIZE = 3  # pixels\n\n\n'
        "def make(n):\n    return n * SIZE\n",
        "part.py": "import numpy as np\n\nHALF = 2\n",
        "other.py": "WIDE = 1\n",
    }
    (tmp_path / "toolkit").mkdir()
    for name, text in files.items():
        (tmp_path / "toolkit" / name).write_text(text)
    forget()
    yield tmp_path / "toolkit"
    forget()


def forget() -> None:
    provenance.code.cache_clear()
    provenance._tree.cache_clear()


def test_store_makes_once(kept: Store) -> None:
    calls: list[str] = []

    def make() -> bytes:
        calls.append("x")
        return b"x"

    first, second = kept.get("k", make=make), Store("dip", MAKER).get("k", make=make)
    assert first == second
    assert first.read_bytes() == b"x"
    assert calls == ["x"]


def test_store_keeps_nothing_of_a_failed_make(kept: Store) -> None:
    def fail() -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept.get("k", make=fail)
    assert kept.get("k", make=lambda: b"whole").read_bytes() == b"whole"


def test_two_threads_may_make_the_same_key(kept: Store) -> None:
    """The second makes and stores it while the first is at work."""
    with ThreadPoolExecutor(1) as other:

        def make() -> bytes:
            other.submit(lambda: kept.get("k", make=lambda: b"same")).result(timeout=10)
            return b"same"

        assert kept.get("k", make=make).read_bytes() == b"same"


def test_store_lies_beside_dvc_even_in_a_temporary_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / ".dvc" / "tmp" / "exps" / "one"
    inside.mkdir(parents=True)
    monkeypatch.delenv("SALVOC_STORE", raising=False)
    monkeypatch.chdir(inside)
    assert Store("dip", MAKER).root == tmp_path / ".salvoc" / "dip"
    monkeypatch.chdir(tmp_path)
    assert Store("dip", MAKER).root == tmp_path / ".salvoc" / "dip"


@pytest.mark.parametrize("value", [1, 1.0, "1", (1,), None])
def test_each_value_has_a_key_of_its_own(kept: Store, value: object) -> None:
    others = {kept.path(other) for other in (1, 1.0, "1", (1,), None) if repr(other) != repr(value)}
    assert kept.path(value) not in others


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("maker.py", "SIZE = 3", "SIZE = 4"),
        ("maker.py", "n * SIZE", "n + SIZE"),
        ("part.py", "HALF = 2", "HALF = 2.0"),
        ("__init__.py", "", "import os\n"),
    ],
)
def test_what_other_code_made_is_not_found(kept: Store, repository: Path, file: str, old: str, new: str) -> None:
    before = Store("dip", "toolkit.maker").path("k")
    text = (repository / file).read_text()
    (repository / file).write_text(text.replace(old, new) if old else new)
    forget()
    assert Store("dip", "toolkit.maker").path("k") != before
    (repository / file).write_text(text)
    forget()
    assert Store("dip", "toolkit.maker").path("k") == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("maker.py", "# pixels", "# cells"),
        ("maker.py", "\n\n\ndef", "\n\n\n\n# makes\ndef"),
        ("maker.py", '"""Makes."""', '"""Makes it."""'),
        ("other.py", "WIDE = 1", "WIDE = 2"),
    ],
)
def test_comments_docstrings_and_other_modules_cost_nothing(
    kept: Store, repository: Path, file: str, old: str, new: str
) -> None:
    before = Store("dip", "toolkit.maker").path("k")
    (repository / file).write_text((repository / file).read_text().replace(old, new))
    forget()
    assert Store("dip", "toolkit.maker").path("k") == before


def test_another_version_of_a_library_makes_other_work(
    kept: Store, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store("dip", "toolkit.maker").path("k")
    monkeypatch.setattr(provenance, "version", lambda distribution: "0.0.1")
    forget()
    assert Store("dip", "toolkit.maker").path("k") != before


def test_every_store_is_keyed_by_the_module_that_fills_it() -> None:
    files = [file for package in provenance.PACKAGES for file in (provenance.ROOT / package).rglob("*.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    makers = [
        ast.unparse(call.args[1]) for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Store"
    ]
    assert len(makers) >= 7
    assert set(makers) == {"__name__", "maker"}
    named = [
        ast.unparse(call.args[-1]) for call in calls if isinstance(call.func, ast.Name) and call.func.id == "trials"
    ]
    assert named == ["__name__"] * 2  # whose `maker` it is


def test_what_is_missing_is_made_and_kept_as_soon_as_it_comes(tmp_path: Path) -> None:
    paths = {image_id: tmp_path / f"{image_id}.json" for image_id in "abcd"}
    write(paths["b"], b"old")

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        assert list(missing) == ["a", "c", "d"]
        for image_id in reversed(missing):
            yield image_id, {".png": b"pixels", ".json": image_id.encode()}
            assert paths[image_id].read_bytes() == image_id.encode()
            if image_id == "c":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dict(make_missing(paths, make))
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {"d.png", "d.json", "c.png", "c.json"}
    assert paths["b"].read_bytes() == b"old"
    assert not paths["a"].exists()


def test_what_is_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    paths = {image_id: tmp_path / f"{image_id}.json" for image_id in "ab"}
    write(paths["b"], b"old")
    told = make_missing(paths, lambda missing: [(image_id, {".json": b"new"}) for image_id in missing])
    assert next(told) == ("b", paths["b"])
    assert not paths["a"].exists()
    assert dict(told) == {"a": paths["a"]}
    assert paths["a"].read_bytes() == b"new"


def test_where_nothing_is_missing_nothing_is_begun(tmp_path: Path) -> None:
    write(tmp_path / "a.png", b"")

    def make(missing: Sequence[str]) -> Iterator[tuple[str, Files]]:
        raise AssertionError("begun")

    assert dict(make_missing({"a": tmp_path / "a.png"}, make)) == {"a": tmp_path / "a.png"}


@pytest.mark.parametrize("images", [3, 4])
def test_a_folder_for_too_many_images_is_packed_and_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    monkeypatch.setattr(store, "FILES", 3)
    write(tmp_path / "stored.png", b"stored")
    with filling(tmp_path / "out", images) as put:
        put("a.png", tmp_path / "stored.png")
        put("b.png", b"bytes")
    assert packed(tmp_path / "out") == (images > 3)
    assert [read(tmp_path / "out" / name) for name in ("a.png", "b.png")] == [b"stored", b"bytes"]
    assert not exists(tmp_path / "out" / "c.png")


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store in an S3 bucket."""
    pytest.importorskip("s3fs")
    with bucket(tmp_path / "s3", monkeypatch) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("SALVOC_STORE", "s3://bucket/store")
        yield Store("dip", MAKER)


def test_a_store_in_a_bucket_is_filled_and_read_as_a_folder_is(remote: Store, tmp_path: Path) -> None:
    paths = {image_id: remote.path(image_id) for image_id in "ab"}
    made = {image_id: {".json": b"{}", ".png": image_id.encode()} for image_id in "ab"}
    assert dict(make_missing(paths, lambda missing: [(i, made[i]) for i in missing])) == paths
    assert (
        tmp_path / "s3" / "bucket" / "store" / "dip" / paths["a"].parent.name / paths["a"].name
    ).read_bytes() == b"a"
    assert dict(make_missing(paths, lambda missing: [])) == paths
    write(tmp_path / "b", b"b")
    assert sha256(paths["b"]) == sha256(tmp_path / "b")
    assert [paths["a"].with_suffix(suffix).exists() for suffix in (".json", ".xml")] == [True, False]


@pytest.mark.parametrize("most", [1, 2])
def test_an_output_is_copied_down_from_a_bucket(
    remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(store, "FILES", most)
    with filling(tmp_path / "out", 2) as put:
        for image_id in "ab":
            put(f"{image_id}.png", remote.get(image_id, make=image_id.encode))
    assert packed(tmp_path / "out") == (most == 1)
    assert [read(tmp_path / "out" / f"{image_id}.png") for image_id in "ab"] == [b"a", b"b"]


def test_what_is_trained_stays_on_this_machine_and_only_that_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("upath")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALVOC_STORE", "memory://store")
    assert Store("training", MAKER).root == tmp_path / ".salvoc" / "training"
    assert not isinstance(Store("dip", MAKER).root, Path)
    with pytest.raises(BadInput, match="only a local store is pruned"):
        pruning.look(days=0)


def test_a_store_that_nothing_here_can_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("upath")
    monkeypatch.setenv("SALVOC_STORE", "pigeon://coop/store")
    with pytest.raises(BadInput, match=r"pigeon://coop/store cannot be reached .* or name a folder"):
        store.home()


def test_a_bucket_that_does_not_let_one_in_is_told_by_the_variable_that_names_it(
    remote: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(BadInput, match=r"SALVOC_STORE: s3://bucket/store cannot be reached .* check keys and endpoint"):
        store.home()
