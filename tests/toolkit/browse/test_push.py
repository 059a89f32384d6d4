"""An export in a user's own FiftyOne."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from toolkit import mongod, places

PUSH = """
import sys
from pathlib import Path
from toolkit import browse, places
from toolkit.errors import BadInput
try:
    print(browse.push(places.FIFTYONE, "mine", overwrite="--overwrite" in sys.argv))
except BadInput as error:
    print(error)
"""
THEIRS = """
import fiftyone
dataset = fiftyone.load_dataset("mine")
print(dataset.persistent, dataset.count("filepath"), dataset.values("human_iou"))
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database of somebody else's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FIFTYONE_DATABASE_URI", raising=False)
        mongod.start(tmp_path_factory.mktemp("theirs"))
        address = os.environ["FIFTYONE_DATABASE_URI"]
    yield address


def said(code: str, here: Path, address: str, *arguments: str) -> str:
    """What another process prints, that has this database."""
    env = os.environ | {
        "FIFTYONE_DATABASE_URI": address,
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, cwd=here, env=env, check=True, capture_output=True, text=True).stdout


def test_it_is_there_for_good_and_is_replaced_only_when_told(tmp_path: Path, theirs: str) -> None:
    said("from tests.toolkit.browse.test_beside import FIRST, export; export(FIRST)", tmp_path, "")
    assert said(PUSH, tmp_path, theirs).split()[-1] == "3"
    assert "True 3 [0.5, 0.3, 0.1]" in said(THEIRS, tmp_path, theirs)
    said("from tests.toolkit.browse.test_beside import SECOND, export; export(SECOND)", tmp_path, "")
    assert "mine: is a dataset in your FiftyOne already" in said(PUSH, tmp_path, theirs)
    assert "[0.5, 0.3, 0.1]" in said(THEIRS, tmp_path, theirs)
    said(PUSH, tmp_path, theirs, "--overwrite")
    assert "[0.5, 0.7, 0.0]" in said(THEIRS, tmp_path, theirs)


def test_the_project_s_own_database_is_not_touched(tmp_path: Path, theirs: str) -> None:
    said("from tests.toolkit.browse.test_beside import FIRST, export; export(FIRST)", tmp_path, "")
    said(PUSH, tmp_path, theirs, "--overwrite")
    assert not (tmp_path / ".salvoc").exists()


def test_without_an_export_there_is_nothing_to_push(tmp_path: Path, theirs: str) -> None:
    assert f"{places.FIFTYONE}: is not an export" in said(PUSH, tmp_path, theirs)
