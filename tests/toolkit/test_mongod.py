"""The database of FiftyOne: found, told without its password, and never shared by two processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit import mongod
from toolkit.errors import BadInput


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running one; nothing of it remains in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        mongod.start(tmp_path)
        yield tmp_path


def test_database_is_found_and_told() -> None:
    binary, version = mongod.mongod()
    assert version.split(".")[0].isdigit() and binary


def test_unreachable_database_is_bad_input_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongod, "ANSWER", 1)
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://me:secret@127.0.0.1:1")
    with pytest.raises(BadInput, match="FIFTYONE_DATABASE_URI") as raised:
        mongod.mongod()
    assert "secret" not in str(raised.value)


def test_database_in_use_is_bad_input(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "")
    with pytest.raises(BadInput, match="in use by another process"):
        mongod.start(database)
