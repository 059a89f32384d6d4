"""params.yaml is checked whole: what is wrong is named, with its key."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from toolkit import params
from toolkit.errors import BadInput


def changed(tmp_path: Path, key: str, value: object) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    section[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    "path", [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))], ids=lambda p: p.name
)
def test_the_project_s_own_params_are_valid(path: Path) -> None:
    params.load(path)


def test_the_clone_starts_with_the_sample_preset() -> None:
    assert (ROOT / "params.yaml").read_text() == (ROOT / "presets" / "sample.yaml").read_text()


def test_voc_2012_is_split_as_its_makers_split_it_and_seen_five_times() -> None:
    """The study tested on its 898 images with human masks; its five epochs are kept."""
    voc2012 = params.load(ROOT / "presets" / "voc2012.yaml")
    assert (voc2012.data.train, voc2012.data.test) == ("train", "val")
    assert voc2012.train.steps * voc2012.train.batch == pytest.approx(5 * 5717, rel=0.001)  # images in VOC's train


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aug.treshold", 0.1),
        ("aug.threshold", 1.5),
        ("aug.threshold", "0.1"),
        ("aug.erase_percent", 0.0),
        ("aug.inpaint.engine", "photoshop"),
        ("train.seeds", []),
        ("train.seeds", [1, 2, 1]),  # a seed twice would count as two
        ("data.classes", ["dog", "dog"]),
        ("variants", ["none", "none"]),
        ("train.steps", 0),
        ("saliency.batch", 2.5),
        ("sample.size", 100),
        ("sample.cue.place", "everywhere"),
        ("variants", ["none", "blurring"]),
        ("data.source", "imagenet"),
        ("data.path", None),
    ],
)
def test_a_bad_value_is_refused_by_its_key(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(BadInput, match=key.replace(".", r"\.")):
        params.load(changed(tmp_path, key, value))


def test_every_bad_value_is_named_at_once(tmp_path: Path) -> None:
    path = changed(tmp_path, "aug.threshold", 2.0)
    path.write_text(path.read_text().replace("momentum: 0.9", "momentum: 9.0"))
    with pytest.raises(BadInput) as caught:
        params.load(path)
    assert {problem.file.split(": ")[1] for problem in caught.value.problems} == {
        "aug.threshold", "base.momentum", "train.momentum",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n- 2\n", "data: 3\n"])
def test_what_is_no_params_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match="params"):
        params.load(path)


def test_a_preset_s_path_is_set_and_its_comments_stay() -> None:
    text = (ROOT / "presets" / "sample.yaml").read_text()
    set_ = params.with_path(text, "/data/it's mine: #1")
    assert yaml.safe_load(set_)["data"]["path"] == "/data/it's mine: #1"
    assert [line.partition("#")[2] for line in text.splitlines() if "path:" not in line] == [
        line.partition("#")[2] for line in set_.splitlines() if "path:" not in line
    ]
