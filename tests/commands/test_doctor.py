"""The doctor's mends, and everyone else's, work in a clone: salvoc itself is in no package registry."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from commands.doctor import EXTRAS, findings, names_are_known
from tests.conftest import ROOT
from toolkit import presets
from toolkit.attention import deepgaze
from toolkit.errors import BadInput
from toolkit.params import Arm, Params

OPTIONAL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_nobody_is_told_to_fetch_what_bears_our_name_from_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    texts = {name: (ROOT / name).read_bytes() for name in listed.split("\0") if (ROOT / name).is_file()}
    assert "README.md" in texts
    assert not [name for name, text in texts.items() if re.search(rb"pip install ['\"]?salvoc", text)]


def test_make_install_brings_imgaug() -> None:
    """So that it mends a missing one."""
    locked = (ROOT / "requirements.lock").read_text().splitlines()
    assert {*OPTIONAL["imgaug"]} <= {*locked}
    assert EXTRAS["imgaug"][1].startswith("`make install`")


def test_deepgaze_is_installed_from_the_commit_that_the_extra_names() -> None:
    (requirement,) = OPTIONAL["deepgaze"]
    assert requirement.endswith(deepgaze.INSTALL.removeprefix("pip install "))
    assert EXTRAS["deepgaze"][1].startswith("`uv pip install -e '.[deepgaze]'`")


def test_every_mend_is_of_an_extra_that_there_is() -> None:
    assert EXTRAS.keys() == OPTIONAL.keys() - {"dev"}


def test_what_is_missing_or_broken_is_found_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "nonsense")
    (tmp_path / "params.yaml").write_text("data: 3\n")
    ill = {finding.what: finding for finding in findings() if not finding.fine}
    assert {*ill} == {"MongoDB for FiftyOne", "git", "params.yaml"}
    assert all(finding.found and finding.mend for finding in ill.values())


def test_a_missing_checkpoint_is_found_where_the_detector_starts_from_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for preset, finding in (("sample", "detector"), ("photographs", "params.yaml")):
        (tmp_path / "params.yaml").write_text(presets.text(ROOT / "presets", preset))
        (said,) = (found for found in findings() if found.what in ("detector", "params.yaml"))
        assert (said.what, said.fine) == (finding, preset == "photographs")
        assert ("`dvc repro sample_base`" in said.mend) == (preset == "sample")
    assert "takes 2400 steps on data.base_split (half)" in said.found


def test_every_name_that_no_table_has_is_found_before_a_stage_runs(settings: Params) -> None:
    wrong = settings.model_copy(
        update={
            "data": settings.data.model_copy(update={"source": "imagenet"}),
            "detector": settings.detector.model_copy(update={"name": "yolo99"}),
            "attention": settings.attention.model_copy(update={"predictor": "crystal_ball"}),
            "saliency": settings.saliency.model_copy(update={"method": "eigenkam"}),
            "arms": {"mine": Arm(variant="unheard_of", objective="beauty")},
        }
    )
    names_are_known(settings)
    with pytest.raises(BadInput) as raised:
        names_are_known(wrong)
    assert [problem.file for problem in raised.value.problems] == [
        "data.source", "detector.name", "attention.predictor", "saliency.method",
        "arms.mine.variant", "arms.mine.objective",
    ]  # fmt: skip
