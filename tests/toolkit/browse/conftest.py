"""A real database, an export that was moved, and the dataset loaded from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.browse.made import export, make
from toolkit import browse


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real database; nothing of it remains in the environment of the tests that follow."""
    folder = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_DIR", str(folder))
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        browse.connect(folder)
        yield folder


@pytest.fixture(scope="package")
def root(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """A repository with an export, moved after it was made: what a clone is."""
    repository = tmp_path_factory.mktemp("made") / "repository"
    make(repository)
    export(repository)
    return repository.rename(tmp_path_factory.mktemp("moved") / "clone")


@pytest.fixture(scope="package")
def dataset(root: Path) -> Any:
    browse.load(root / "datasets/fiftyone", "salvoc", root=root)
    return browse.load(root / "datasets/fiftyone", "salvoc", root=root)  # the second takes the first one's place
