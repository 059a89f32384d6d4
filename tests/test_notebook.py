"""docs/parts.ipynb, as it is committed: with what it printed and drew, so that a git host and the site show it.

`python -m tests.test_notebook` writes it anew.
"""

import io
from base64 import b64decode
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from tests.conftest import ROOT
from toolkit import files

NOTEBOOK = ROOT / "docs" / "parts.ipynb"
TOLERANCE = 2  # levels of 255, on average: another version of a library may round, or draw a letter, otherwise


def run(folder: Path) -> nbformat.NotebookNode:
    """The notebook, executed anew in a folder; nothing in it tells when or by which Python."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, record_timing=False, resources=resources).execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        output.get("text") or output.data["text/plain"] for output in outputs if "image/jpeg" not in drawn_in(output)
    ]


def drawn(notebook: nbformat.NotebookNode) -> list[np.ndarray]:
    outputs = [drawn_in(output) for cell in notebook.cells for output in cell.get("outputs", [])]
    jpegs = [data["image/jpeg"] for data in outputs if "image/jpeg" in data]
    return [np.asarray(Image.open(io.BytesIO(b64decode(jpeg)))).astype(float) for jpeg in jpegs]


def drawn_in(output: nbformat.NotebookNode) -> dict[str, str]:
    return dict(output.get("data", {}))


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    return run(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_prints_what_is_committed(anew: nbformat.NotebookNode, committed: nbformat.NotebookNode) -> None:
    assert printed(anew) == printed(committed)


def test_it_draws_what_is_committed(anew: nbformat.NotebookNode, committed: nbformat.NotebookNode) -> None:
    (picture,), (known,) = drawn(anew), drawn(committed)
    assert picture.shape == known.shape
    assert np.abs(picture - known).mean() < TOLERANCE


def test_it_warns_of_nothing(anew: nbformat.NotebookNode) -> None:
    assert not [out for cell in anew.cells for out in cell.get("outputs", []) if out.get("name") == "stderr"]


if __name__ == "__main__":
    files.write(NOTEBOOK, nbformat.writes(run(NOTEBOOK.parent)) + "\n")
