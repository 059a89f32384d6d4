"""Gaze: readouts are fitted to fixations, scored on images that they never saw, beside chance and people."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from typer.testing import CliRunner

from toolkit.attention import readout, recordings
from toolkit.attention.recordings import Recording
from toolkit.cli import app
from toolkit.files import sha256, write
from training import gaze, gaze_scores
from training.gaze import View
from training.gaze_scores import Bench

IMAGES, OBSERVERS, LOOKS = 12, 5, 8
HEIGHT, WIDTH = 96, 128


def make(folder: Path, seed: int) -> Path:
    """A recording laid out as Scene: people look at a red disc on noise, each a little off."""
    rng = np.random.default_rng(seed)
    cells = np.empty((IMAGES, OBSERVERS), object)
    for n in range(IMAGES):
        image = rng.integers(60, 120, (HEIGHT, WIDTH, 3), np.uint8)
        place = rng.uniform((20, 20), (WIDTH - 20, HEIGHT - 20))
        cv2.circle(image, [round(p) for p in place], 9, (40, 40, 230), -1)
        write(folder / "stimuli" / f"{n:02d}.png", cv2.imencode(".png", image)[1].tobytes())
        for observer in range(OBSERVERS):
            points = place + rng.normal(0, 3, (LOOKS, 2))
            cells[n, observer] = np.column_stack([points[:, ::-1], np.zeros((LOOKS, 2))])
    scipy.io.savemat(folder / "fixations.mat", {"fixations": cells})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("scene"), seed=0)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    return recordings.read(folder)


@pytest.fixture
def views(recording: Recording, workplace: Path) -> list[View]:
    return gaze.views(recording)


def test_a_view_counts_every_fixation_but_each_observer_s_first(views: list[View]) -> None:
    assert [int(view.counts.sum()) for view in views] == [OBSERVERS * (LOOKS - 1)] * IMAGES


def test_a_pass_takes_every_view_once_and_mirrors_features_with_fixations(views: list[View]) -> None:
    batches = list(gaze.batches(views, epoch=0, seed=0))
    counts = torch.cat([counts for _, counts in batches])
    stored = [view.counts for view in views]
    mirrored = 0
    for taken in counts:
        plain = any(torch.equal(taken, own) for own in stored)
        flipped = any(torch.equal(taken, own.flip(1)) for own in stored)
        assert plain or flipped
        mirrored += flipped
    assert len(counts) == IMAGES
    assert 0 < mirrored < IMAGES
    again = [counts for _, counts in gaze.batches(views, epoch=0, seed=0)]
    assert all(torch.equal(a, b) for a, (_, b) in zip(again, batches, strict=True))


def test_the_centre_bias_is_a_symmetric_density_of_all_sets_alike(views: list[View]) -> None:
    centre = gaze.centre_bias([views, views[:1]])
    assert centre.sum() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(centre, centre.flip(1))
    alone = gaze.centre_bias([views])
    assert not torch.allclose(centre, alone)  # the one image weighs as much as all the others


def test_a_fit_finds_what_people_look_at_in_unseen_images(views: list[View]) -> None:
    fitted = gaze.fit([views], "fit")
    unseen = gaze.views(recordings.read(make(Path("unseen"), seed=1)))
    with torch.inference_mode():
        for_all = [gaze.surprise(fitted(features), counts) for features, counts in gaze.batches(unseen, 0, 0)]
    uniform = np.log(unseen[0].counts.numel())
    assert float(np.mean(for_all)) < uniform - 0.5 * np.log(2)


def test_a_fit_is_reproducible_and_stored(views: list[View]) -> None:
    path = gaze.fitted([views[:4]], "first")
    before = sha256(path), path.stat().st_mtime_ns
    assert gaze.fitted([views[:4]], "again") == path
    assert before == (sha256(path), path.stat().st_mtime_ns)
    path.unlink()
    assert sha256(gaze.fitted([views[:4]], "anew")) == before[0]


def test_weights_know_what_they_were_fitted_to(folder: Path, recording: Recording, workplace: Path) -> None:
    result = CliRunner().invoke(app, ["gaze", "train", str(folder), "--out", "mine.safetensors"])
    assert result.exit_code == 0, result.output
    assert gaze.was_fitted_to(Path("mine.safetensors"), recording)
    assert not gaze.was_fitted_to(Path("mine.safetensors"), recordings.read(make(Path("unseen"), seed=1)))
    assert isinstance(readout.load(Path("mine.safetensors")), readout.Readouts)


@pytest.mark.parametrize("rule", [gaze_scores.by_image, gaze_scores.by_content])
def test_no_readout_is_scored_on_what_it_was_fitted_to(
    views: list[View], rule: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[Path, set[Path]] = {}

    def fitted(sets: list[list[View]], title: str) -> Path:
        given[Path(title)] = {view.features for some in sets for view in some}
        return Path(title)

    monkeypatch.setattr(gaze, "fitted", fitted)
    sets = [views[:7], views[7:]]
    weights = gaze_scores.held_out(sets, rule(sets), "fold")  # type: ignore[operator]
    assert set(weights) == {view.features for view in views}
    for features, path in weights.items():
        assert features not in given[path]
        assert given[path] < set(weights)


def test_chance_scores_chance_and_people_beat_the_centre_bias(recording: Recording) -> None:
    rows = gaze_scores.table(Bench.of(recording), lambda image_id, viewing: {})
    mean = rows.drop(columns="id").groupby("predictor").mean()
    assert mean.loc["uniform", "nss"] == 0
    assert mean.loc["uniform", "auc"] == pytest.approx(0.5)
    assert mean.loc["its centre bias", "ig"] == pytest.approx(0, abs=0.02)
    assert mean.loc["people", "ig"] > 2
    for better in ("ig", "nss", "auc", "sauc", "cc", "sim"):
        assert mean.loc["people", better] > mean.loc["its centre bias", better], better
    assert mean.loc["people", "kl"] < mean.loc["its centre bias", "kl"]


def test_an_image_s_own_fixations_are_not_among_the_others(recording: Recording) -> None:
    bench = Bench.of(recording)
    everything = sum(len(own) for viewing in recording.viewings.values() for own in viewing.fixations)
    own = sum(map(len, recording.viewings["03"].fixations))
    assert bench.elsewhere(3, HEIGHT, WIDTH).sum() == everything - own
    assert bench.centre_bias(3, HEIGHT, WIDTH).sum() == pytest.approx(1)


def test_a_density_of_zeros_is_scored_as_uniform() -> None:
    assert np.allclose(gaze_scores.even(np.zeros((3, 4)), 6, 8), 1 / 48)


def test_the_command_prints_a_row_a_predictor_for_unseen_images(folder: Path, workplace: Path) -> None:
    result = CliRunner().invoke(app, ["gaze", "evaluate", str(folder), "--out", "scores"])
    assert result.exit_code == 0, result.output
    for row in ("uniform", "gaze_lite0", "bottom_up", "spectral_residual", "its centre bias", "people"):
        assert f"| {row} " in result.output
    assert "other images" not in result.output  # the shipped weights never saw these
    assert Path("scores/Scene.parquet").exists()


def test_a_folder_without_a_recording_is_bad_input(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["gaze", "evaluate", str(tmp_path)])
    assert result.exit_code == 2
