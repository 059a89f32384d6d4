"""The real pipeline in a repository of its own: the project's files, its params with fewer scenes and steps."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

SHRUNK = {
    "sample.train_scenes": 16,
    "sample.test_scenes": 4,
    "aug.threshold": 0.4,
    "arms": {
        "base": {"variant": "none", "steps": 0},
        "none": {"variant": "none"},
        "erasing": {"variant": "erasing"},
        "inpainting": {"variant": "inpainting"},
    },
    "train.seeds": [1, 2],
    "train.steps": 3,
    "train.batch": 2,
    "score.resamples": 20,
}


@dataclass(frozen=True)
class Repository:
    """A git and DVC repository and the commands that people type in it."""

    root: Path

    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def done(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command.split(), cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False
        )

    def run(self, command: str) -> str:
        done = self.done(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def refused(self, command: str) -> str:
        """What a command that fails says."""
        done = self.done(command)
        assert done.returncode != 0
        return done.stdout + done.stderr

    def killed(self, command: str, reached: Callable[[], bool]) -> None:
        """Run a command and kill it, with all its children, once `reached` says so."""
        process = subprocess.Popen(
            command.split(), cwd=self.root, env=self.environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not reached():
            assert process.poll() is None, "the command ended before it could be killed"
            assert time.monotonic() < deadline, "the command did not come so far in two minutes"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def set(self, values: dict[str, object]) -> None:
        params = yaml.safe_load((self.root / "params.yaml").read_text())
        for key, value in values.items():
            *parents, last = key.split(".")
            section = params
            for parent in parents:
                section = section[parent]
            section[last] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def commit(self, message: str) -> None:
        self.run("git add -A")
        self.run(f"git -c user.name=Test -c user.email=test@example.org commit -qm {message}")

    def hashes(self) -> dict[str, str]:
        """What dvc.lock says of every output."""
        stages = yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def new_repository(root: Path, values: dict[str, object]) -> Repository:
    """The project as it is now, uncommitted changes too, with some of its params set."""
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    repository = Repository(root)
    repository.set(values)
    repository.run("git init -q")
    repository.commit("start")
    return repository


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """A repository after its first `dvc repro`, and what that printed."""
    repository = new_repository(tmp_path_factory.mktemp("repository"), SHRUNK)
    printed = repository.run("dvc repro")
    repository.commit("first")
    return repository, printed
