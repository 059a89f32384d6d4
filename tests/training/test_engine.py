"""Training: steps are functions of the seed alone, so that a killed run ends with the same weights."""

from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolkit.detectors.adapter import Adapter, Target
from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.params import Solver
from toolkit.tensors import to_tensor
from toolkit.voc import VOC_CLASSES, Tree
from training import engine
from training.data import Examples
from training.engine import batches, fit, loaded
from training.objectives import OBJECTIVES

SOLVER = Solver(steps=6, batch=2, lr=0.05, momentum=0.9, weight_decay=0.0)


class Line(nn.Module):
    """A detector's outside: images and targets in, losses out."""

    optimizer, dense = Adapter.optimizer, ()

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Linear(1, 1)

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        x = torch.stack([image.mean() for image in images])[:, None]
        y = torch.stack([target["boxes"].mean() for target in targets])[:, None]
        noise = torch.rand(())  # as detectors sample proposals
        return {"fit": (self.slope(x) - y).square().mean(), "noise": noise * self.slope.weight.square().sum()}


class Weight(nn.Module):
    """One weight; its loss at a step is what `loss(weight, step)` says."""

    optimizer, dense = Adapter.optimizer, ()

    def __init__(self, loss: Callable[[Tensor, int], Tensor], start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start))
        self.loss, self.steps = loss, 0
        self.seen: list[Tensor] = []

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        assert self.training
        self.seen += images
        self.steps += 1
        return {"only": self.loss(self.weight, self.steps - 1)}


class Points(torch.utils.data.Dataset[tuple[Tensor, Target]]):
    def __getitem__(self, view: tuple[int, bool]) -> tuple[Tensor, dict[str, Tensor]]:
        number, flip = view
        pixels = torch.full((3, 4, 4), 50 * number + 51 * flip, dtype=torch.uint8)
        return pixels, {"boxes": torch.full((1, 4), number / 2)}


def trained(state: Path, stop: int | None = None) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """The weights and the losses of a run that is killed when it has begun `stop` steps."""
    torch.manual_seed(0)
    model, begun = Line(), count(1)

    def objective(adapter: Adapter, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        if next(begun) == stop:
            raise KeyboardInterrupt
        return adapter.losses(images, targets)

    history = fit(model, objective, Points(), 5, SOLVER, 3, state, "test")
    return model.state_dict(), history


def run(model: nn.Module, state: Path, seed: int = 3, **solver: float) -> list[dict[str, float]]:
    return fit(model, OBJECTIVES["detection"], Points(), 5, SOLVER.model_copy(update=solver), seed, state, "test")


def saved(state: Path) -> list[dict[str, float]]:
    """The losses of the steps that a state to go on from has behind it."""
    return torch.load(state, weights_only=True)["history"] if state.exists() else []


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SAVE_EVERY", 2)
    whole, losses = trained(tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed.pt", stop=4)
    torch.rand(17)  # whatever happened to the global generator in between
    assert len(saved(tmp_path / "killed.pt")) == 2
    resumed, again = trained(tmp_path / "killed.pt")
    assert all((whole[name] == resumed[name]).all() for name in whole)
    assert losses == again


def test_what_a_step_draws_depends_on_the_seed_and_the_step(tmp_path: Path) -> None:
    def drawn(seed: int, steps: int) -> list[float]:
        torch.manual_seed(steps)  # it decides nothing
        history = run(Weight(lambda weight, step: 0 * weight + torch.rand(())), tmp_path / "no.pt", seed, steps=steps)
        return [values["loss"] for values in history]

    assert drawn(seed=3, steps=6)[:4] == drawn(seed=3, steps=4)
    assert len({*drawn(seed=3, steps=6), *drawn(seed=4, steps=6)}) == 12


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes")
@pytest.mark.parametrize(("asked", "threads"), [(None, engine.THREADS), ("1", 1)])
def test_a_step_has_two_threads_unless_the_user_says_otherwise(
    asked: str | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that sums are cut alike on any number of cores."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    torch.set_num_threads(1)
    trained(tmp_path / "state.pt")
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_a_state_is_saved_every_fifty_steps(tmp_path: Path) -> None:
    run(Line(), tmp_path / "short.pt", steps=49)
    assert not (tmp_path / "short.pt").exists()
    history = run(Line(), tmp_path / "long.pt", steps=101)
    assert saved(tmp_path / "long.pt") == history[:100]


def not_a_number_at(wrong: int) -> Callable[[Tensor, int], Tensor]:
    return lambda weight, step: weight + (float("nan") if step == wrong else 0.0)


def test_a_loss_that_is_no_number_stops_the_run_soon_and_with_its_step(tmp_path: Path) -> None:
    model = Weight(not_a_number_at(3))
    with pytest.raises(
        FloatingPointError, match=r"loss is nan and its gradient's norm 1.0 at step 3; lower the learning rate"
    ):
        run(model, tmp_path / "state.pt", steps=100)
    assert model.steps == 10
    model = Weight(not_a_number_at(0))
    with pytest.raises(FloatingPointError, match="at step 0;"):
        run(model, tmp_path / "state.pt", steps=1)


def test_no_state_is_saved_after_a_loss_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SAVE_EVERY", 2)
    with pytest.raises(FloatingPointError, match="at step 3;"):
        run(Weight(not_a_number_at(3)), tmp_path / "state.pt", steps=100)
    assert len(saved(tmp_path / "state.pt")) == 2


def test_a_gradient_that_is_no_number_stops_the_run_though_the_loss_is_one(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"loss is 0\.0 and its gradient's norm nan at step 5;"):
        run(Weight(lambda weight, step: (weight * 0).sqrt() if step == 5 else weight * 0), tmp_path / "state.pt")


@pytest.mark.parametrize(("gradient", "moved"), [(8.0, 0.8), (-8.0, -0.8), (40.0, 1.0), (-1e6, -1.0)])
def test_a_gradient_is_cut_to_a_norm_of_ten(gradient: float, moved: float, tmp_path: Path) -> None:
    model = Weight(lambda weight, step: weight * gradient)
    run(model, tmp_path / "state.pt", steps=1, lr=0.1)
    assert model.weight.item() == pytest.approx(-moved, rel=1e-5)


def test_momentum_weight_decay_and_the_falling_rate_move_a_weight_as_computed_by_hand(tmp_path: Path) -> None:
    model = Weight(lambda weight, step: weight, start=2.0)
    run(model, tmp_path / "state.pt", steps=2, lr=0.1, momentum=0.9, weight_decay=0.5)
    # gradients 1 + 0.5 * 2 = 2, then 1 + 0.5 * 1.8 = 1.9; moved by 0.1 * 2, then by half of 0.1 * (0.9 * 2 + 1.9)
    assert model.weight.item() == pytest.approx(2 - 0.2 - 0.185, rel=1e-6)


class TwoRates(Weight):
    """Its optimizer has a second group of weights, which learns ten times as slowly."""

    def optimizer(self, solver: Solver) -> torch.optim.Optimizer:
        self.slow = nn.Parameter(torch.tensor(0.0))
        return torch.optim.SGD([{"params": [self.weight]}, {"params": [self.slow], "lr": solver.lr / 10}], solver.lr)

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return {"both": self.weight + self.slow}


def test_each_group_of_the_detector_s_optimizer_keeps_its_share_of_the_rate(tmp_path: Path) -> None:
    model = TwoRates(lambda weight, step: weight)
    run(model, tmp_path / "state.pt", steps=2, lr=0.1)
    assert model.weight.item() == pytest.approx(-0.1 - 0.05)
    assert model.slow.item() == pytest.approx(-0.01 - 0.005)


def test_losses_are_those_before_each_step_and_their_sum(tmp_path: Path) -> None:
    history = run(Weight(lambda weight, step: weight, start=2.0), tmp_path / "state.pt", steps=2, lr=0.1)
    assert history == [{"only": 2.0, "loss": 2.0}, {"only": pytest.approx(1.9), "loss": pytest.approx(1.9)}]
    both = run(Line(), tmp_path / "line.pt")
    assert all(v["loss"] == pytest.approx(v["fit"] + v["noise"]) for v in both)


def test_frozen_weights_stay_and_the_model_ends_in_evaluation_mode(tmp_path: Path) -> None:
    model = Line()
    model.slope.bias.requires_grad_(False)
    weight, bias = model.slope.weight.item(), model.slope.bias.item()
    run(model, tmp_path / "state.pt", weight_decay=0.1)
    assert model.slope.bias.item() == bias
    assert model.slope.weight.item() != weight
    assert not model.training


def test_the_model_gets_the_batches_pixels_in_0_to_1(tmp_path: Path) -> None:
    model = Weight(lambda weight, step: weight).eval()  # as detectors are loaded
    run(model, tmp_path / "state.pt")
    views = [view for batch in batches(5, 6, 2, seed=3) for view in batch]
    assert len(model.seen) == len(views) == 12
    for image, (number, flip) in zip(model.seen, views, strict=True):
        expected = to_tensor(np.full((4, 4, 3), 50 * number + 51 * flip, np.uint8))
        assert image.dtype == torch.float32
        assert float((image.cpu() - expected).abs().max()) < 1e-7


def test_threads_that_read_ahead_give_the_same_batches_in_order(sample: Tree) -> None:
    data, todo = Examples(sample, sample.ids("train"), VOC_CLASSES), batches(8, 9, 3, seed=0)
    plain, ahead = (list(loaded(data, todo, ahead)) for ahead in (False, True))
    assert [len(batch) for batch in plain] == [len(batch) for batch in ahead] == [3] * 9
    for expected, other in zip(chain(*plain), chain(*ahead), strict=True):
        assert torch.equal(expected[0], other[0])
        assert expected[1].keys() == other[1].keys()
        assert all(torch.equal(expected[1][name], other[1][name]) for name in expected[1])


@pytest.mark.gpu
def test_a_gpu_trains_in_mixed_precision(sample: Tree, tmp_path: Path) -> None:
    adapter = FasterRCNNLite0(len(VOC_CLASSES), 96)
    seen = {}
    for name in ("backbone.body.conv_stem", "rpn.head.bbox_pred"):
        adapter.model.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: seen.__setitem__(name, (output.device.type, output.dtype))
        )
    data = Examples(sample, sample.ids("train"), VOC_CLASSES)
    fit(adapter, OBJECTIVES["detection"], data, len(data), SOLVER, 3, tmp_path / "state.pt", "test")
    assert seen == {
        "backbone.body.conv_stem": ("cuda", torch.bfloat16),
        "rpn.head.bbox_pred": ("cuda", torch.float32),
    }
