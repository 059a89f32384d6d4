"""The command line: help with examples, one clear error, nothing overwritten."""

from pathlib import Path

import pandas as pd
import pytest
import typer
import yaml
from typer.testing import CliRunner

from commands import app
from tests.conftest import ROOT
from toolkit import places, presets

RUN = CliRunner()
COMMANDS = list(typer.main.get_command(app).commands)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder with the presets."""
    (tmp_path / "presets").mkdir()
    for preset in (ROOT / "presets").iterdir():
        (tmp_path / "presets" / preset.name).write_text(preset.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = RUN.invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 4


def test_every_stage_runs_the_command_of_its_name() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        command, *arm = stage.get("do", stage)["cmd"].removeprefix("python -m commands ").split()
        assert command == name and command in COMMANDS
        assert arm == (["${key}"] if "foreach" in stage else [])


def test_a_preset_becomes_params_and_the_old_ones_are_kept(project: Path) -> None:
    (project / "params.yaml").write_text("mine: 1\n")
    mine = project / "my voc"
    mine.mkdir()
    done = RUN.invoke(app, ["preset", "folder", "--path", str(mine)])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load((project / "params.yaml").read_text())["data"]["path"] == str(mine)
    assert (project / "params.yaml.bak").read_text() == "mine: 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["preset", "cifar"], "sample"),
        (["download", "cifar"], "mit1003, osie, pascal_s"),
        (["export", "unheard_of", "out"], "salvoc preset"),
        (["source"], "salvoc preset"),
        (["app"], "dvc repro"),
        (["preset", "folder", "--path", "nowhere"], "is not a folder"),
        *(([stage], "dvc repro") for stage in ("attention", "saliency", "agreement", "select")),
        *(([stage, "none"], "salvoc preset") for stage in ("variant", "finetune", "predict", "score")),
        (["export", "erasing", "out"], "salvoc preset"),
    ],
)
def test_a_mistake_gets_one_error_with_its_mend_and_writes_nothing(
    project: Path, arguments: list[str], message: str
) -> None:
    before = sorted(project.rglob("*"))
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("stage", ["variant", "finetune", "predict", "score"])
def test_an_arm_that_there_is_not_is_refused_with_those_there_are_and_one_without_its_input_with_what_makes_it(
    project: Path, stage: str
) -> None:
    RUN.invoke(app, ["preset", "sample"])
    unknown, early = RUN.invoke(app, [stage, "unheard_of"]), RUN.invoke(app, [stage, "erasing"])
    assert (unknown.exit_code, early.exit_code) == (2, 2)
    assert "choose one of: base, none, erasing" in unknown.stderr
    assert "`dvc repro` makes it" in early.stderr


@pytest.mark.parametrize("stage", ["attention", "saliency", "agreement", "variant none", "predict none"])
def test_what_works_image_by_image_asks_for_the_cluster_that_params_name(project: Path, stage: str) -> None:
    pytest.importorskip("ray")
    RUN.invoke(app, ["preset", "sample"])
    params = yaml.safe_load(places.PARAMS.read_text()) | {"workers": {"engine": "ray", "address": "127.0.0.1:1"}}
    places.PARAMS.write_text(yaml.safe_dump(params))
    for path in (
        places.SOURCE, places.HUMAN, places.BASE_WEIGHTS, places.SALIENCY, places.ATTENTION, places.ARMS / "none"
    ):  # fmt: skip
        path.mkdir(parents=True)
    pd.DataFrame({"arm": ["none"], "id": ["a"], "selected": [False]}).to_parquet(places.SELECTION)
    done = RUN.invoke(app, stage.split())
    assert done.exit_code == 2
    assert "no cluster answers at 127.0.0.1:1" in done.stderr


def test_broken_input_is_listed_whole_and_nothing_is_written(project: Path) -> None:
    tree = project / "mine"
    (tree / "ImageSets" / "Main").mkdir(parents=True)
    (tree / "JPEGImages").mkdir()
    (tree / "Annotations").mkdir()
    (tree / "ImageSets" / "Main" / "train.txt").write_text("../evil\nmissing\n")
    (tree / "ImageSets" / "Main" / "val.txt").write_text("")
    (tree / "Annotations" / "missing.xml").write_text("not xml")
    RUN.invoke(app, ["preset", "folder", "--path", str(tree)])
    done = RUN.invoke(app, ["source"])
    assert done.exit_code == 2
    for offender in ("../evil", "missing.xml", "missing.jpg", "val"):
        assert offender in done.stderr
    assert not (project / "datasets" / "source").exists()


def test_the_doctor_names_each_part_and_what_is_missing(project: Path) -> None:
    done = RUN.invoke(app, ["doctor"])
    assert done.exit_code == 1  # no params.yaml here
    for part in ("Python", "torch", "MongoDB", "device", "git", "params.yaml"):
        assert part in done.output
    assert "salvoc preset sample" in done.output


def test_people_s_attention_in_the_empty_folder_itself_is_refused(project: Path) -> None:
    """An experiment's own checkout has that folder without it, which would read as nothing known."""
    (project / "params.yaml").write_text((project / "presets" / "sample.yaml").read_text())
    (project / "datasets" / "source").mkdir(parents=True)
    (project / "datasets" / "human").mkdir()
    (project / "datasets" / "human" / "a.png").write_bytes(b"")
    done = RUN.invoke(app, ["attention"])
    assert done.exit_code == 2
    assert "datasets/human/masks" in done.stderr


def test_an_experiments_checkout_without_the_users_images_is_told_where_they_are(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = project / ".dvc" / "tmp" / "exps" / "one"
    inside.mkdir(parents=True)
    (project / "datasets" / "own" / "ImageSets" / "Main").mkdir(parents=True)
    (inside / "params.yaml").write_text(presets.text(project / "presets", "folder"))
    monkeypatch.chdir(inside)
    done = RUN.invoke(app, ["source"])
    assert done.exit_code == 2
    assert f"-S data.path={project / 'datasets' / 'own'}" in done.stderr


def test_voc_2012_is_downloaded_once_for_all_experiments(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = project / ".dvc" / "tmp" / "exps" / "one"
    inside.mkdir(parents=True)
    (project / ".salvoc" / "downloads" / "VOC2012").mkdir(parents=True)  # what is there is not downloaded again
    (inside / "params.yaml").write_text(presets.text(project / "presets", "voc2012"))
    monkeypatch.chdir(inside)
    done = RUN.invoke(app, ["source"])
    assert done.exit_code == 2
    assert f"{project}/.salvoc/downloads/VOC2012/JPEGImages: is not a folder" in done.stderr


@pytest.mark.parametrize(("name", "folder"), [("pascal-s", "PASCAL-S"), ("osie", "OSIE"), ("voc2012", "VOC2012")])
def test_a_downloaded_data_set_is_told_where_it_lies(project: Path, name: str, folder: str) -> None:
    there = project / ".salvoc" / "downloads" / folder
    there.mkdir(parents=True)  # what is there is not downloaded again
    done = RUN.invoke(app, ["download", name])
    assert done.exit_code == 0, done.output
    assert str(there) in done.output
