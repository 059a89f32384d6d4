"""Training: steps are functions of the seed alone, so that a killed run ends with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from toolkit.params import Solver
from toolkit.voc import VOC_CLASSES, Annotation, Object, Tree
from training import engine
from training.data import Detections, as_target, mirrored
from training.engine import batches, fit, learning_rate

SOLVER = Solver(steps=6, batch=2, lr=0.05, momentum=0.9, weight_decay=0.0)


class Line(nn.Module):
    """A detector's outside: images and targets in, losses out."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Linear(1, 1)

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        x = torch.stack([image.mean() for image in images])[:, None]
        y = torch.stack([target["boxes"].mean() for target in targets])[:, None]
        noise = torch.rand(())  # as detectors sample proposals
        return {"fit": (self.slope(x) - y).square().mean(), "noise": noise * self.slope.weight.square().sum()}


class Points(torch.utils.data.Dataset[tuple[Tensor, dict[str, Tensor]]]):
    def __getitem__(self, view: tuple[int, bool]) -> tuple[Tensor, dict[str, Tensor]]:
        number, flip = view
        return torch.full((3, 4, 4), number / 5 + flip), {"boxes": torch.full((1, 4), number / 2)}


def trained(state: Path, stop: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = Line()

    def log(step: int, losses: dict[str, float]) -> None:
        if step == stop:
            raise KeyboardInterrupt

    fit(model, Points(), 5, SOLVER, 3, state, log, "test")
    return model.state_dict()


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SAVE_EVERY", 2)
    whole = trained(tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed.pt", stop=3)
    torch.rand(17)  # whatever happened to the global generator in between
    resumed = trained(tmp_path / "killed.pt")
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_a_resumed_run_logs_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SAVE_EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state.pt", stop=3)
    steps = []
    fit(Line(), Points(), 5, SOLVER, 3, tmp_path / "state.pt", lambda step, losses: steps.append(step), "test")
    assert steps == list(range(6))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = Line()
    model.slope.weight.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 0"):
        fit(model, Points(), 5, SOLVER, 3, tmp_path / "state.pt", lambda step, losses: None, "test")


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 7), st.integers(0, 100))
def test_every_pass_sees_every_image_once(count: int, steps: int, batch: int, seed: int) -> None:
    made = batches(count, steps, batch, seed)
    assert [len(some) for some in made] == [batch] * steps
    seen = [number for some in made for number, _ in some]
    for start in range(0, len(seen) - count + 1, count):
        assert sorted(seen[start : start + count]) == list(range(count))
    assert made == batches(count, steps, batch, seed)


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(step, 200) for step in range(200)]
    assert max(rates) == pytest.approx(1, abs=0.05)
    assert rates[0] < 0.1
    assert rates[-1] < 0.01
    assert learning_rate(0, 1) > 0


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40), st.floats(50, 90), st.floats(50, 90)), max_size=4))
def test_mirroring_twice_is_the_identity(boxes: list[tuple[float, ...]]) -> None:
    some = np.array(boxes, np.float32).reshape(-1, 4)
    assert np.allclose(mirrored(mirrored(some, 100), 100), some, atol=1e-4)


def test_a_mirrored_view_s_box_holds_the_same_pixels() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:10, 3:9] = 255
    view, target = as_target(
        image, Annotation("a.jpg", 30, 20, (Object("cat", (3, 5, 9, 10)),)), VOC_CLASSES, flip=True
    )
    x0, y0, x1, y1 = target["boxes"][0].int().tolist()
    assert view[:, y0:y1, x0:x1].min() == 1
    assert view.sum() == 3 * 30
    assert target["labels"].tolist() == [8]


def test_a_split_is_read_with_1_based_labels(sample: Tree) -> None:
    data = Detections(sample, sample.ids("train"), VOC_CLASSES)
    assert len(data) == 8
    image, target = data[0, False]
    assert image.shape == (3, 96, 96)
    assert 0 <= image.min() <= image.max() <= 1
    assert len(target["boxes"]) == len(target["labels"]) >= 1
    assert target["labels"].min() >= 1
