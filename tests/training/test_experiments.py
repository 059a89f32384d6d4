"""What is read of another commit: out of DVC's cache, also what is packed into shards there."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from toolkit import maps, places
from toolkit.errors import BadInput
from toolkit.files import write
from toolkit.shards import packing
from training.experiments import WORKSPACE, Experiment

HEATMAP = maps.normalise(np.arange(12.0).reshape(3, 4))


@pytest.fixture(params=["single files", "shards"])
def repository(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit with one map, which is constant in the workspace by now."""
    monkeypatch.chdir(tmp_path)
    folder = places.HEATMAPS / "none" / "seed-1"

    def put(heatmap: np.ndarray) -> None:
        if request.param == "shards":
            with packing(folder) as packer:
                packer.add("a.png", maps.encode(heatmap))
        else:
            write(folder / "a.png", maps.encode(heatmap))
        with Repo() as repository:
            repository.add([str(places.HEATMAPS / "none")])

    for command in (["init", "-q"], ["config", "user.name", "T"], ["config", "user.email", "t@example.org"]):
        subprocess.run(["git", *command], check=True)
    Repo.init(".")
    put(HEATMAP)
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "first"], check=True)
    for path in folder.iterdir():
        path.unlink()
    put(HEATMAP[::-1])


@pytest.mark.usefixtures("repository")
def test_a_map_of_a_commit_is_read_from_the_cache() -> None:
    assert (Experiment("HEAD").heatmap("none", 1, "a") == HEATMAP).all()
    assert (Experiment(WORKSPACE).heatmap("none", 1, "a") == HEATMAP[::-1]).all()


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("name", ["HEAD", WORKSPACE])
def test_a_map_that_is_not_there_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match=r"b\.png"):
        Experiment(name).heatmap("none", 1, "b")
