"""`salvoc look` from a plain clone, and what it and `salvoc compare` refuse."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import app
from tests.conftest import ROOT
from toolkit.voc import Tree

RUN = CliRunner()


@pytest.fixture
def clone(workplace: Path) -> Path:
    """A repository of which no stage has run: params.yaml and the committed detector."""
    shutil.copyfile(ROOT / "params.yaml", workplace / "params.yaml")
    return workplace


def test_a_photo_is_looked_at_before_any_stage_has_run(clone: Path, sample: Tree) -> None:
    photo = sample.image(sample.ids("test")[0])
    done = RUN.invoke(app, ["look", str(photo)])
    assert done.exit_code == 0, done.output
    assert f"{photo}: " in done.stdout and "IoU" in done.stdout
    assert [path.name for path in (clone / "looks").iterdir()] == [f"{photo.stem}.png"]


def test_weights_of_an_arm_or_a_file_are_taken_where_they_are_asked_for(clone: Path, sample: Tree) -> None:
    photo = str(sample.image(sample.ids("test")[0]))
    arm = clone / "datasets" / "arms" / "erasing" / "seed-2.safetensors"
    arm.parent.mkdir(parents=True)
    shutil.copyfile(clone / "datasets" / "base.safetensors", arm)
    by_arm = RUN.invoke(app, ["look", photo, "--arm", "erasing", "--seed", "2", "--out", "by_arm"])
    by_file = RUN.invoke(app, ["look", photo, "--weights", str(arm), "--out", "by_file"])
    assert by_arm.exit_code == by_file.exit_code == 0, by_arm.output + by_file.output
    (who, told, _), (_, same, _) = (run.stdout.splitlines() for run in (by_arm, by_file))
    assert told == same
    assert "datasets/arms/erasing/seed-2.safetensors" in who


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["look", "gone.jpg"], "gone.jpg: does not exist"),
        (["look", "notes.txt"], "notes.txt: is no picture that can be read"),
        (["look", "notes.txt", "--arm", "unheard_of"], "choose one of: base, none"),
        (["look", "notes.txt", "--arm", "erasing"], "datasets/arms/erasing/seed-1.safetensors: does not exist -- `dvc"),
        (["look", "notes.txt", "--weights", "mine.safetensors"], "mine.safetensors: does not exist"),
        (["look", "notes.txt", "--arm", "none", "--weights", "mine.safetensors"], "name one of the two"),
        (["look", "notes.txt", "--seed", "2"], "name the arm"),
        (["compare", "none", "erasing"], "images.parquet: does not exist -- `dvc repro`"),
        (["compare", "HEAD", "workspace"], "no revision or experiment 'HEAD'"),
        (["compare", "none", "erasign"], "knows no arm 'erasign' -- choose one of: base, none"),
        (["compare", "none", "erasing", "--out", "datasets"], "exists already"),
    ],
)
def test_a_mistake_gets_one_error_with_its_mend_and_writes_nothing(
    clone: Path, arguments: list[str], message: str
) -> None:
    (clone / "notes.txt").write_text("no picture")
    before = sorted(clone.rglob("*"))
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert sorted(clone.rglob("*")) == before
