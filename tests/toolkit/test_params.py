"""params.yaml is checked whole: what is wrong is named, with its key."""

import math
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from toolkit import params, presets
from toolkit.errors import BadInput
from toolkit.params import Params

PRESETS = ROOT / "presets"


def loaded(folder: Path, preset: str) -> Params:
    path = folder / f"{preset}.yaml"
    path.write_text(presets.text(PRESETS, preset))
    return params.load(path)


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


@pytest.mark.parametrize("name", presets.names(PRESETS))
def test_every_preset_is_a_whole_params_file(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, name).arms.keys() >= {"base", "none", "erasing", "inpainting"}


@pytest.mark.parametrize("name", [name for name in presets.names(PRESETS) if name != "sample"])
def test_all_but_the_quick_sample_have_every_arm_of_the_study(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, name).arms.keys() >= {"nontrivial", "random", "random_inpainting"}


def test_the_clone_starts_with_the_sample_preset() -> None:
    assert (ROOT / "params.yaml").read_text() == presets.text(PRESETS, "sample")


def test_a_preset_changes_values_and_takes_arms_away_that_its_source_cannot_have(tmp_path: Path) -> None:
    sample, folder = loaded(tmp_path, "sample"), loaded(tmp_path, "folder")
    assert (sample.data.source, folder.data.source) == ("sample", "folder")
    assert sample.arms.keys() - folder.arms.keys() == {"oracle", "counterfactual"}
    assert folder.sample == sample.sample


def test_voc_2012_is_split_as_its_makers_split_it_and_seen_five_times(tmp_path: Path) -> None:
    """The study tested on its 898 images with human masks; its five epochs are kept."""
    voc2012 = loaded(tmp_path, "voc2012")
    assert (voc2012.data.train_split, voc2012.data.test_split) == ("train", "val")
    assert voc2012.train.steps * voc2012.train.batch == pytest.approx(5 * 5717, rel=0.001)  # images in VOC's train


def test_the_study_s_own_run_has_its_split_its_detector_and_its_five_epochs(tmp_path: Path) -> None:
    """Of 17,125 images, 898 have a human mask."""
    own = loaded(tmp_path, "study")
    assert (own.data.source, own.data.split) == ("voc2012", "tested")
    assert (own.detector.name, own.detector.weights, own.detector.size) == ("fasterrcnn_resnet50_fpn", "coco", 512)
    assert (own.saliency.method, own.saliency.layer) == ("eigencam", "backbone.body.layer4")
    assert (own.attention.predictor, own.aug.against, own.aug.threshold) == ("deepgaze2e", "gaze", 0.1)
    assert (own.aug.erase_percent, own.aug.inpaint.method, own.aug.inpaint.preset) == (2.5, "dip", "study")
    assert own.aug.nontrivial.policy == "v3"
    assert list(own.arms) == [
        "base", "none", "erasing", "inpainting", "nontrivial", "random", "random_inpainting",
    ]  # fmt: skip
    assert own.train.steps == 5 * math.ceil((17_125 - 898) / own.train.batch)
    assert (own.train.batch, own.train.lr, own.train.momentum, own.train.weight_decay) == (4, 0.005, 0.9, 5e-4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aug.treshold", 0.1),
        ("aug.threshold", 1.5),
        ("aug.threshold", "0.1"),
        ("aug.erase_percent", 0.0),
        ("aug.inpaint.method", "photoshop"),
        ("train.seeds", []),
        ("train.seeds", [1, 2, 1]),  # a seed twice would count as two
        ("data.classes", ["dog", "dog"]),
        ("arms", {}),
        ("arms.erasing", {}),
        ("arms.erasing", {"variant": "erasing", "steps": -1}),
        ("arms.erasing", {"variant": "erasing", "stepps": 1}),
        ("arms.erasing/10", {"variant": "erasing"}),  # names are parts of paths
        ("train.steps", 0),
        ("detector.at_once", 2.5),
        ("sample.size", 100),
        ("sample.base.steps", 0),
        ("base.steps", -1),
        ("sample.cue.place", "everywhere"),
        ("data.path", None),
        ("workers.engine", "spark"),
        ("workers.address", 6379),
        ("data.split", "half"),
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
        "aug.threshold", "sample.base.momentum", "base.momentum", "train.momentum",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n- 2\n", "data: 3\n"])
def test_what_is_no_params_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match="params"):
        params.load(path)


def test_a_base_detector_to_be_trained_wants_images_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"base\.steps: is 10, .* set data\.base_split to half .* or base\.steps to 0"):
        params.load(changed(tmp_path, "base.steps", 10))


def test_photographs_have_a_base_detector_trained_on_half_of_train(tmp_path: Path) -> None:
    own = loaded(tmp_path, "photographs")
    assert (own.data.source, own.data.base_split, own.detector.weights) == ("folder", "half", "imagenet")
    assert own.base.steps > 0
    assert all(loaded(tmp_path, name).base.steps == 0 for name in ("sample", "folder", "voc2012"))


def test_an_arm_s_own_settings_are_checked_by_their_keys(tmp_path: Path) -> None:
    row = {"variant": "erasing", "aug": {"erase_percent": 0, "inpaint": {"preset": "slow"}, "colour": 1}}
    with pytest.raises(
        BadInput,
        match=r"(?s)arms\.erasing\.aug\.erase_percent: .*arms\.erasing\.aug\.inpaint\.preset: .*\.aug\.colour: ",
    ):
        params.load(changed(tmp_path, "arms.erasing", row))


def test_an_arm_differs_in_what_its_row_says_and_in_nothing_else(tmp_path: Path) -> None:
    row = {"variant": "erasing", "steps": 7, "aug": {"against": "gaze", "inpaint": {"preset": "study"}}}
    own = params.load(changed(tmp_path, "arms.erasing", row))
    inpaint = own.aug.inpaint.model_copy(update={"preset": "study"})
    assert own.aug_of("erasing") == own.aug.model_copy(update={"against": "gaze", "inpaint": inpaint})
    assert own.aug_of("none") == own.aug
    assert own.train_of("erasing") == own.train.model_copy(update={"steps": 7})
    assert own.train_of("none") == own.train


def test_the_arm_of_no_steps_has_one_seed(tmp_path: Path) -> None:
    several = params.load(changed(tmp_path, "train.seeds", [5, 6]))
    assert (several.train_of("base").steps, several.train_of("base").seeds) == (0, [5])
    assert several.train_of("none").seeds == [5, 6]


def test_a_preset_s_path_is_set_and_its_comments_stay() -> None:
    text = presets.text(PRESETS, "sample")
    set_ = presets.text(PRESETS, "sample", "/data/it's mine: #1")
    assert yaml.safe_load(set_)["data"]["path"] == "/data/it's mine: #1"
    assert [line.partition("#")[2] for line in text.splitlines() if "path:" not in line] == [
        line.partition("#")[2] for line in set_.splitlines() if "path:" not in line
    ]
