"""Readouts are fitted to fixations, and know to which."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from commands import app
from tests.toolkit.attention.layouts import pascal_s, picture, poet
from tests.training.gaze.conftest import IMAGES, LOOKS, OBSERVERS, make
from toolkit.attention import readout, recordings
from toolkit.attention.recordings import Recording
from toolkit.files import sha256
from training.gaze import fit
from training.gaze.fit import View


def test_a_view_counts_every_fixation_but_each_observer_s_first(views: list[View]) -> None:
    assert [int(view.counts.sum()) for view in views] == [OBSERVERS * (LOOKS - 1)] * IMAGES


def test_a_pass_takes_every_view_once_and_mirrors_features_with_fixations(views: list[View]) -> None:
    batches = list(fit.batches(views, epoch=0, seed=0))
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
    again = [counts for _, counts in fit.batches(views, epoch=0, seed=0)]
    assert all(torch.equal(a, b) for a, (_, b) in zip(again, batches, strict=True))


def test_the_density_over_any_image_is_symmetric_and_of_all_sets_alike(views: list[View]) -> None:
    density = fit.pooled_density([views, views[:1]])
    assert density.sum() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(density, density.flip(1))
    alone = fit.pooled_density([views])
    assert not torch.allclose(density, alone)  # the one image weighs as much as all the others


def test_a_fit_finds_what_people_look_at_in_unseen_images(views: list[View]) -> None:
    fitted = fit.likeliest([views], "fit")
    unseen = fit.views_of(recordings.read(make(Path("unseen"), seed=1)))
    with torch.inference_mode():
        for_all = [fit.surprise(fitted(features), counts) for features, counts in fit.batches(unseen, 0, 0)]
    uniform = np.log(unseen[0].counts.numel())
    assert float(np.mean(for_all)) < uniform - 0.5 * np.log(2)


def test_a_fit_is_reproducible_and_stored(views: list[View]) -> None:
    path = fit.fitted([views[:4]], "first")
    before = sha256(path), path.stat().st_mtime_ns
    assert fit.fitted([views[:4]], "again") == path
    assert before == (sha256(path), path.stat().st_mtime_ns)
    path.unlink()
    assert sha256(fit.fitted([views[:4]], "anew")) == before[0]


def test_weights_know_what_they_were_fitted_to(folder: Path, recording: Recording, workplace: Path) -> None:
    result = CliRunner().invoke(app, ["gaze", "train", str(folder), "--out", "mine.safetensors"])
    assert result.exit_code == 0, result.output
    assert fit.was_fitted_to(Path("mine.safetensors"), recording)
    assert not fit.was_fitted_to(Path("mine.safetensors"), recordings.read(make(Path("unseen"), seed=1)))
    assert isinstance(readout.load(Path("mine.safetensors")), readout.Readouts)


def test_nothing_is_fitted_to_a_benchmark(tmp_path: Path, workplace: Path) -> None:
    rows = np.array([[20, 30, 1], [10, 30, 1]], float)
    picture(pascal_s(tmp_path / "pascal_s", [((40, 60), rows)]) / "imgs" / "1.jpg")
    result = CliRunner().invoke(app, ["gaze", "train", str(tmp_path / "pascal_s"), "--out", "mine.safetensors"])
    assert "is PASCAL-S, a benchmark that nothing is fitted to" in result.output
    assert not Path("mine.safetensors").exists()


def test_a_recording_without_its_images_can_be_neither_fitted_to_nor_scored(tmp_path: Path, workplace: Path) -> None:
    look = np.array([[30.0, 20.0], [30.0, 10.0]])
    poet(tmp_path / "poet", "cat", [("2008_000001", (40, 60), [(look, look)])])
    for command in ("train", "evaluate"):
        result = CliRunner().invoke(app, ["gaze", command, str(tmp_path / "poet"), "--out", "there"])
        assert "has none of the images of POET" in result.output
        assert not Path("there").exists()
