"""Two arms, or an arm in two experiments of a real DVC repository: what differs is told, the rest is refused."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from toolkit import maps, places, voc
from toolkit.errors import BadInput
from toolkit.files import read_image, write
from toolkit.params import Arm, Params
from toolkit.voc import Tree
from training import compare
from training.score import Predictions, build

ARMS = {"base": Arm(variant="none", steps=0), "none": Arm(variant="none"), "erasing": Arm(variant="erasing")}


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments], check=True)


def scored(params: Params, sees: Mapping[str, bool]) -> None:
    """Scores of arms that find every object, or none, and look at the upper left cell, or at the lower right one."""
    source = Tree(places.SOURCE)
    rows = [
        ("test", seed, i, o.name, 0.9, *o.box)
        for i in source.ids("test")
        for seed in params.train.seeds
        for o in voc.read(source.annotation(i)).objects
    ]
    table = pd.DataFrame(rows, columns=["split", "seed", "id", "label", "score", "x0", "y0", "x1", "y1"])
    for arm, everything in sees.items():
        found, heatmaps = places.PREDICTIONS / arm / "detections.parquet", places.HEATMAPS / arm
        found.parent.mkdir(parents=True, exist_ok=True)
        found.unlink(missing_ok=True)
        (table if everything else table[:0]).to_parquet(found)
        heatmap = np.zeros((6, 6), np.float32)
        heatmap[(0, 0) if everything else (5, 5)] = 1
        for seed in params.train.seeds:
            for image_id in source.all_ids():
                write(heatmaps / f"seed-{seed}" / f"{image_id}.png", maps.encode(heatmap))
        out = places.SCORES / arm
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        seeds = params.train_of(arm).seeds
        metrics = places.METRICS / f"{arm}.json"
        predictions = Predictions(found, heatmaps, seeds)
        build(predictions, source, places.ATTENTION, params.data.classes, params.score, metrics, out)


def kept(name: str) -> None:
    """All that is here, in DVC's cache and as a git tag."""
    of_arms = (places.SCORES, places.PREDICTIONS, places.HEATMAPS)
    tracked = [places.SOURCE, places.ATTENTION, *(folder / arm for folder in of_arms for arm in ARMS)]
    with Repo() as repository:
        repository.add([str(path) for path in tracked])
    git("add", "-A")
    git("commit", "-qm", name)
    git("tag", name)


@pytest.fixture(scope="module")
def repository(sample: Tree, settings: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tags `first` (erasing finds all), `second` (it finds nothing), `other` (another test image), and two of other
    params; in the end all is as in `first`.
    """
    root = tmp_path_factory.mktemp("compared")
    params = settings.model_copy(update={"arms": ARMS, "train": settings.train.model_copy(update={"seeds": [1, 2]})})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        git("init", "-q")
        Repo.init(".")
        write(places.PARAMS, yaml.safe_dump(params.model_dump(), sort_keys=False))
        shutil.copytree(sample.root, places.SOURCE)
        for image_id in sample.all_ids():
            write(places.ATTENTION / "human" / f"{image_id}.png", sample.attention(image_id).read_bytes())
        found = {"base": True, "none": True, "erasing": True}
        scored(params, found)
        kept("first")
        scored(params, found | {"erasing": False})
        kept("second")
        image = Tree(places.SOURCE).image(sample.ids("test")[0])
        pixels = read_image(image)
        image.unlink()
        write(image, b"another picture" + pixels.tobytes()[:9])
        kept("other")
        for tag, part, own in (("seeds", "train", {"seeds": [3, 4]}), ("resamples", "score", {"seed": 9})):
            git("checkout", "-q", "first")
            changed = params.model_copy(update={part: getattr(params, part).model_copy(update=own)})
            write(places.PARAMS, yaml.safe_dump(changed.model_dump(), sort_keys=False))
            git("commit", "-qam", tag)
            git("tag", tag)
        git("checkout", "-q", "first")
        with Repo() as here:
            here.checkout(force=True)
    return root


@pytest.fixture
def here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repository)
    return repository


@pytest.mark.usefixtures("here")
def test_an_arm_that_loses_everything_between_two_experiments_is_told_so(tmp_path: Path) -> None:
    before = subprocess.run(["git", "status", "--short"], capture_output=True, check=True).stdout
    text = compare.build("first", "second", ["erasing"], tmp_path / "out")
    assert "A is erasing of first, B is erasing of second" in text
    assert "B moved mAP@0.5 by -1.000" in text
    assert "right in 2 of 2 → right in 0 of 2" in text
    assert "+2 missed" in text  # with both seeds
    assert "cover the choice of test images and of seeds" in text
    table = pd.read_csv(tmp_path / "out" / "compare.csv").set_index("metric")
    row = table.loc["detection.map50"]
    assert row[["a", "b", "difference", "seeds"]].tolist() == [1, 0, -1, 2]
    assert row["covers"] == "images and seeds"
    assert (tmp_path / "out" / "compare.md").read_text() == text
    assert min(read_image(tmp_path / "out" / "images.png").shape[:2]) > 200
    assert subprocess.run(["git", "status", "--short"], capture_output=True, check=True).stdout == before


@pytest.mark.usefixtures("here")
def test_the_other_way_round_every_difference_has_the_other_sign() -> None:
    pairs = [compare._pairs(a, b, ["erasing"])[0] for a, b in (("first", "second"), ("second", "first"))]
    one, two = (compare._table(*pair).set_index("metric")[["difference", "lo", "hi"]] for pair in pairs)
    assert one["difference"].to_numpy() == pytest.approx(-two["difference"].to_numpy(), nan_ok=True)
    assert one["lo"].to_numpy() == pytest.approx(-two["hi"].to_numpy(), nan_ok=True)


@pytest.mark.usefixtures("here")
def test_two_arms_of_the_workspace_that_did_the_same_do_not_differ() -> None:
    text = compare.build("none", "erasing", None, None)
    assert "A is none, B is erasing" in text
    assert "none of the first scores moved" in text
    assert "## Images that changed most\n\nNone." in text


@pytest.mark.usefixtures("here")
def test_an_arm_without_seeds_stands_beside_each_of_the_other() -> None:
    (pair,) = compare._pairs("base", "none", None)
    assert [side.results.seeds for side in pair] == [(1, 2), (1, 2)]
    assert compare._table(*pair)["seeds"].unique().tolist() == [2]


@pytest.mark.usefixtures("here")
def test_without_an_arm_experiments_are_compared_in_all_that_both_have() -> None:
    text = compare.build("first", "workspace", None, None)
    assert [line for line in text.splitlines() if line.startswith("# The arm")] == [
        "# The arm `base`", "# The arm `none`", "# The arm `erasing`",
    ]  # fmt: skip


@pytest.mark.usefixtures("here")
def test_experiments_of_different_test_images_are_refused() -> None:
    with pytest.raises(BadInput, match=r"first and other: were scored on other test images \(1 differ\)"):
        compare.build("first", "other", ["none"], None)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("other", "fault"), [("seeds", "share no seed"), ("resamples", "other resamples")])
def test_experiments_without_a_seed_in_common_or_of_other_resamples_are_refused(other: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        compare.build("first", other, ["none"], None)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("a", "b", "arm", "fault"),
    [
        ("first", "unheard_of", "none", "knows no revision or experiment 'unheard_of'"),
        ("first", "second", "oracle", "asks first for an arm 'oracle' -- it has base, none, erasing"),
    ],
)
def test_what_there_is_not_is_refused_by_its_name(a: str, b: str, arm: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        compare.build(a, b, [arm], None)


def test_what_is_not_in_the_cache_is_one_error_with_its_mends(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(repository, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    shutil.rmtree(Path(".dvc", "cache"))
    shutil.rmtree(Path(".dvc", "tmp"), ignore_errors=True)
    with pytest.raises(
        BadInput, match=r"second: is not in DVC's cache -- `dvc pull` .* `dvc exp apply second`"
    ) as told:
        compare.build("second", "first", ["none"], None)
    assert len(told.value.problems) == 1


@pytest.mark.usefixtures("here")
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="exists already"):
        compare.build("none", "erasing", None, tmp_path)
