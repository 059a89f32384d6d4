"""Gaze predictors are scored on images that they never saw, beside chance and people."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from commands import app
from tests.training.gaze.conftest import HEIGHT, WIDTH
from toolkit.attention.recordings import Recording
from training.gaze import fit, scores
from training.gaze.fit import View
from training.gaze.scores import Bench


@pytest.mark.parametrize("rule", [scores.by_image, scores.by_content])
def test_no_readout_is_scored_on_what_it_was_fitted_to(
    views: list[View], rule: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[Path, set[Path]] = {}

    def fitted(sets: list[list[View]], title: str) -> Path:
        given[Path(title)] = {view.features for views in sets for view in views}
        return Path(title)

    monkeypatch.setattr(fit, "fitted", fitted)
    sets = [views[:7], views[7:]]
    weights = scores.held_out(sets, rule(sets), "fold")  # type: ignore[operator]
    assert set(weights) == {view.features for view in views}
    for features, path in weights.items():
        assert features not in given[path]
        assert given[path] < set(weights)


def test_chance_scores_chance_and_people_beat_the_centre_bias(recording: Recording) -> None:
    rows = scores.table(Bench.of(recording), lambda image_id, viewing: {})
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
    assert bench.density_elsewhere(3, HEIGHT, WIDTH).sum() == pytest.approx(1)


def test_a_density_of_zeros_is_scored_as_uniform() -> None:
    assert np.allclose(scores.even(np.zeros((3, 4)), 6, 8), 1 / 48)


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
