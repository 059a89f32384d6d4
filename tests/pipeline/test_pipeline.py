"""What people do with the project: `dvc repro`, experiments, metrics, a remote; and what a kill leaves behind."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.pipeline.conftest import SHRUNK, Repository, new_repository
from toolkit.files import sha256
from toolkit.voc import Tree
from training.report import PICTURES

Finished = tuple[Repository, str]


def stages_run(printed: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", printed))


def test_the_whole_study_runs_and_the_committed_base_detector_is_taken_as_it_is(finished: Finished) -> None:
    repository, printed = finished
    ran = stages_run(printed)
    assert {"source", "base", "attention", "saliency", "faithfulness", "agreement", "select", "report", "browse"} <= ran
    assert "variant@inpainting" in ran
    assert "sample_base" not in ran  # its checkpoint is committed
    text = (repository.root / "reports" / "study" / "results.md").read_text()
    for arm in ("base", "none", "erasing", "inpainting", "chance", "centre", "constant"):
        assert f"| {arm} " in text
    for name in ("report.html", *(f"plots/images/{picture}" for picture in PICTURES)):
        assert (repository.root / "reports" / "study" / name).stat().st_size > 1000


def test_an_arm_s_metrics_are_a_handful_and_every_score_is_listed_with_its_interval(finished: Finished) -> None:
    repository, _ = finished
    metrics = json.loads((repository.root / "reports" / "metrics" / "erasing.json").read_text())
    assert list(metrics) == ["map50", "map", "mae", "iou", "reliance", "log_odds"]
    scores = pd.read_csv(repository.root / "reports" / "scores" / "erasing" / "scores.csv")
    own = scores[scores["of"] == "detector"].dropna(subset="value").set_index("metric")
    assert {name.split(".")[0] for name in own.index} == {"detection", "human", "gaze", "cue"}
    assert (own["lo"] - 1e-6 <= own["value"]).all() and (own["value"] <= own["hi"] + 1e-6).all()
    assert metrics["iou"] == pytest.approx(own["value"]["human.iou"], abs=1e-4)
    baselines = set(zip(scores["of"], scores["metric"], strict=True))
    assert {("chance", "human.iou"), ("centre", "human.iou"), ("constant", "human.mae")} <= baselines


def test_training_curves_are_logged(finished: Finished) -> None:
    repository, _ = finished
    curve = pd.read_csv(repository.root / "reports/training/none/seed-1/plots/metrics/loss.tsv", sep="\t")
    assert list(curve["step"]) == [0, 1, 2]
    assert curve["loss"].gt(0).all()


def test_a_second_repro_does_nothing(finished: Finished) -> None:
    repository, _ = finished
    printed = repository.run("dvc repro")
    assert not stages_run(printed)
    assert "up to date" in printed


def test_dvc_s_own_views_work(finished: Finished) -> None:
    repository, _ = finished
    shown = repository.run("dvc metrics show")
    assert "map50" in shown and max(map(len, shown.splitlines())) <= 120
    assert repository.run("dvc exp show --csv").startswith("Experiment,")
    assert "results.png" in repository.run("dvc plots show --json")


def test_a_remote_gives_a_second_clone_everything(finished: Finished, tmp_path: Path) -> None:
    repository, _ = finished
    repository.run(f"dvc remote add -f -d storage {tmp_path / 'remote'}")
    repository.run("dvc push")
    repository.commit("remote")
    repository.run(f"git clone -q {repository.root} {tmp_path / 'clone'}")
    clone = Repository(tmp_path / "clone")
    clone.run("dvc pull")
    assert not stages_run(clone.run("dvc repro"))
    for image_id in Tree(repository.root / "datasets/variants/erasing").ids("train"):
        ours, theirs = (Tree(r.root / "datasets/variants/erasing").image(image_id) for r in (repository, clone))
        assert sha256(ours) == sha256(theirs)


def test_another_threshold_selects_anew_and_inpaints_no_image_twice(finished: Finished) -> None:
    repository, _ = finished
    store = repository.root / ".salvoc" / "variants" / "inpainting"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    own = [("arm", "==", "inpainting")]
    selection = pd.read_parquet(repository.root / "datasets" / "selection.parquet", filters=own)
    threshold = selection["iou"].sort_values().iloc[-2]  # one image is left out
    printed = repository.run(f"dvc exp run -S aug.threshold={threshold:.6f}")
    ran = stages_run(printed)
    inpainting = {f"{stage}@inpainting" for stage in ("variant", "finetune", "predict", "score")}
    assert {"select", "report"} | inpainting <= ran
    assert not ran & {"source", "base", "attention", "saliency", "agreement", "finetune@none", "predict@none"}
    after = pd.read_parquet(repository.root / "datasets" / "selection.parquet", filters=own)
    assert after["selected"].sum() != selection["selected"].sum()
    newly = after["selected"] & ~selection["selected"]
    assert len([p for p in store.rglob("*.json") if p not in before]) == newly.sum()
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "aug.threshold" in repository.run("dvc params diff")
    assert "map50" in repository.run("dvc metrics diff --all")
    differing = repository.run("dvc metrics diff")
    hanging = {name for name in ("base", "none", "erasing", "inpainting") if f"/{name}.json" in differing}
    assert hanging <= {"erasing", "inpainting"}
    repository.run("git checkout -q -f HEAD")
    repository.run("dvc checkout -q")


@pytest.mark.parametrize(
    ("stage", "store", "last", "count"),
    [
        ("base", "training", "*.safetensors", 1),
        ("attention", "attention", "*.png", 5),
        ("saliency", "saliency", "*.png", 5),
        ("variant@inpainting", "variants/inpainting", "*.json", 1),
        ("finetune@none", "training", "*.safetensors", 1),
        ("faithfulness", "faithfulness", "*.json", 1),
        ("predict@none", "predictions", "*.npz", 5),
    ],
)
def test_a_killed_stage_goes_on_to_the_same_hashes(
    finished: Finished, tmp_path: Path, stage: str, store: str, last: str, count: int
) -> None:
    """`last` is what the stage stores last of each piece of its work: where that is, the piece is finished."""
    whole, _ = finished
    root = tmp_path / "repository"
    shutil.copytree(whole.root, root, ignore=shutil.ignore_patterns(".salvoc", "cache"))
    killed = Repository(root)
    (root / ".dvc" / "cache").mkdir(exist_ok=True)
    kept = root / ".salvoc" / store

    def done() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in kept.rglob(last)}

    killed.killed(f"python -m commands {stage.replace('@', ' ')}", lambda: len(done()) >= count)
    finished_before = done()
    killed.run(f"dvc repro --force --single-item {stage}")
    assert finished_before == {path: done().get(path) for path in finished_before}  # nothing was made again
    folder, _, arm = stage.partition("@")
    parent = "reports" if folder == "faithfulness" else "datasets"
    out = f"{parent}/{ {'variant': 'variants', 'finetune': 'arms', 'predict': 'predictions'}.get(folder, folder) }"
    out += f"/{arm}" if arm else ""
    assert killed.hashes()[out] == whole.hashes()[out]
    assert not list(root.rglob("*.partial"))


@pytest.fixture(scope="module")
def resampled(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A copy of the repository after the experiment `resampled`, and what that printed."""
    whole, _ = finished
    root = tmp_path_factory.mktemp("resampled") / "repository"
    shutil.copytree(whole.root, root, ignore=shutil.ignore_patterns(".salvoc"))
    repository = Repository(root)
    return repository, repository.run("dvc exp run -S score.resamples=25 --name resampled")


def test_other_resamples_run_no_detector(finished: Finished, resampled: Finished) -> None:
    whole, _ = finished
    repository, printed = resampled
    ran = stages_run(printed)
    assert ran == {"report", "browse", *(f"score@{arm}" for arm in ("base", "none", "erasing", "inpainting"))}
    scores = pd.read_parquet(repository.root / "reports" / "scores" / "none" / "resamples.parquet")
    assert scores.index.unique("resample").size == 1 + 25
    assert repository.hashes()["datasets/predictions/none"] == whole.hashes()["datasets/predictions/none"]


def test_dvc_draws_two_revisions_series_as_one_and_their_pictures_side_by_side(resampled: Finished) -> None:
    repository, _ = resampled
    shown = repository.run("dvc plots diff resampled HEAD --json")
    plots = json.loads(shown[shown.index("{") : shown.rindex("}") + 1])["data"]
    for name in ("differences", "results", "training", "per_class", "agreement"):
        (plot,) = plots[f"reports/study/plots/metrics/{name}.csv"]
        assert sorted(plot["revisions"]) == ["HEAD", "resampled"]
        content = plot["content"]
        drawn = content if isinstance(content, dict) else json.loads(content)
        assert {row["rev"] for row in drawn["data"]["values"]} == {"HEAD", "resampled"}
        assert "<DVC_METRIC" not in json.dumps(drawn)
    assert len(plots["reports/study/plots/images/differences.png"]) == 2


def test_a_killed_repro_goes_on(finished: Finished, tmp_path: Path) -> None:
    """From nothing, killed while DVC and the source stage were at work."""
    whole, _ = finished
    again = new_repository(tmp_path, SHRUNK)
    again.killed("dvc repro select", lambda: any((tmp_path / "datasets").glob(".source.partial/JPEGImages/*")))
    again.run("dvc repro select")
    for out in ("datasets/source", "datasets/attention", "datasets/saliency", "datasets/selection.parquet"):
        assert again.hashes()[out] == whole.hashes()[out]


def test_changed_code_makes_anew_what_is_stored_and_finds_it_from_then_on(finished: Finished, tmp_path: Path) -> None:
    """The code of the checkout that a stage runs in, whatever is installed."""
    whole, _ = finished
    root = tmp_path / "repository"
    shutil.copytree(whole.root, root, ignore=shutil.ignore_patterns("cache"))
    edited = Repository(root)
    for file, old, new in (
        ("toolkit/saliency/eigencam.py", "ROUNDS = 16", "ROUNDS = 17"),
        ("toolkit/variants/regions.py", "TRIES = 200", "TRIES = 201"),
        ("training/engine.py", "0.5 * (1 + math.cos(", "0.4 * (1 + math.cos("),
    ):
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))

    def stored() -> list[int]:
        last = {"saliency": "*.png", "variants/erasing": "*.json", "training": "*.safetensors"}
        return [len(list((root / ".salvoc" / kind).rglob(pattern))) for kind, pattern in last.items()]

    images = len(Tree(root / "datasets/source").all_ids())
    chosen = pd.read_parquet(root / "datasets/selection.parquet", filters=[("arm", "==", "erasing")])
    selected = int(chosen["selected"].sum())
    seeds = len(yaml.safe_load((root / "params.yaml").read_text())["train"]["seeds"])
    expected = [before + more for before, more in zip(stored(), (images, selected, seeds), strict=True)]
    for stages in ("saliency variant@erasing finetune@none", "saliency finetune@none"):
        edited.run(f"dvc repro --force --single-item {stages}")
        assert stored() == expected
    assert edited.hashes()["datasets/arms/none"] != whole.hashes()["datasets/arms/none"]


def test_pruning_takes_what_no_commit_uses_and_nothing_else(finished: Finished, tmp_path: Path) -> None:
    whole, _ = finished
    root = tmp_path / "repository"
    shutil.copytree(whole.root, root)
    pruned = Repository(root)
    stale = root / ".salvoc" / "saliency" / "ab" / f"ab{'0' * 62}.png"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"what older code made")
    kept = {path for kind in ("saliency", "attention", "training") for path in (root / ".salvoc" / kind).rglob("*.*")}
    assert "0 files are older than 7 days" in pruned.run("salvoc store")
    assert "files are older than 0 days" in pruned.run("salvoc store --days 0")
    assert stale.exists()
    pruned.run("salvoc store --prune --days 0")
    assert not stale.exists()
    assert all(path.exists() for path in kept - {stale})
    assert not stages_run(pruned.run("dvc repro"))


def test_a_sweep_runs_each_combination_once_and_ends_in_a_table_and_a_plot(finished: Finished) -> None:
    repository, _ = finished
    command = "salvoc sweep aug.threshold=0.1,1 --arms none,erasing"
    printed = repository.run(command)
    assert "2 of 2: aug.threshold=1" in printed
    table = pd.read_csv(repository.root / "reports" / "sweep" / "sweep.csv")
    assert table[["aug.threshold", "arm"]].to_numpy().tolist() == [
        ["any", "none"],
        ["0.1", "erasing"],
        ["1", "erasing"],
    ]
    changed = table.set_index("aug.threshold")["changed"]
    assert changed["any"] == 0 and changed["0.1"] <= changed["1"] == 16  # every IoU is below 1
    assert (repository.root / "reports" / "sweep" / "sweep.png").stat().st_size > 5000
    assert repository.run("git diff --stat -- params.yaml dvc.lock") == ""  # the workspace is as it was
    assert repository.run("dvc exp list --name-only").count("sweep-") == 2
    again = repository.run(command)
    assert "2 of 2" not in again and "| any" in again
