"""The training loop: `fit` a detector for a number of steps, so that a killed run goes on to the same weights."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from toolkit.files import replacing, seed_of
from toolkit.params import Solver
from toolkit.tensors import device

Target = dict[str, Tensor]
SAVE_EVERY = 50  # steps between two states to go on from
WARM_UP = 50  # steps of rising learning rate, at most a tenth of all


def collate(items: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Detectors take lists: images differ in size and number of boxes."""
    images, targets = zip(*items, strict=True)
    return list(images), list(targets)


def batches(count: int, steps: int, batch: int, seed: int) -> list[list[tuple[int, bool]]]:
    """The (index, flip) pairs of every step: a new order each pass over `count` images, half of the views flipped."""
    views: list[tuple[int, bool]] = []
    epoch = 0
    while len(views) < steps * batch:
        generator = torch.Generator().manual_seed(seed_of(seed, epoch) % 2**63)
        order = torch.randperm(count, generator=generator).tolist()
        flips = (torch.rand(count, generator=generator) < 0.5).tolist()
        views += zip(order, flips, strict=True)
        epoch += 1
    return [views[i * batch : (i + 1) * batch] for i in range(steps)]


def learning_rate(step: int, steps: int) -> float:
    """The share of the full rate at a step: linear warm-up, then half a cosine down to zero."""
    warm = min(WARM_UP, max(steps // 10, 1))
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


def fit(
    model: nn.Module,
    data: Dataset[tuple[Tensor, Target]],
    count: int,
    solver: Solver,
    seed: int,
    state: Path,
    log: Callable[[int, dict[str, float]], None],
    title: str,
) -> list[dict[str, float]]:
    """Train `model` in place on `data` (indexed by (index, flip)), ending in evaluation mode; returns all losses.

    `state` is where a killed run finds the steps already done; the randomness of a step depends on `seed` and the step
    alone, so that it ends with the same weights. `log(step, losses)` is called after every step, and once more for
    every step that an earlier run had done.
    """
    where = device()
    model.to(where).to(memory_format=torch.channels_last).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, solver.lr, solver.momentum, weight_decay=solver.weight_decay)
    history = _resume(state, model, optimizer)
    for step, values in enumerate(history):
        log(step, values)
    done = len(history)
    todo = batches(count, solver.steps, solver.batch, seed)[done:]
    on_gpu = where.type == "cuda"  # on a CPU a worker would only compete with the training
    loader = DataLoader(data, batch_sampler=todo, num_workers=4 * on_gpu, collate_fn=collate, pin_memory=on_gpu)
    bar = tqdm(loader, desc=title, total=solver.steps, initial=done, unit="step", mininterval=1)
    for step, (images, targets) in enumerate(bar, start=done):
        for group in optimizer.param_groups:
            group["lr"] = solver.lr * learning_rate(step, solver.steps)
        torch.manual_seed(seed_of(seed, "step", step) % 2**63)
        with torch.autocast(where.type, torch.bfloat16, enabled=on_gpu):
            losses = model(
                [i.to(where, non_blocking=True) for i in images],
                [{k: v.to(where, non_blocking=True) for k, v in t.items()} for t in targets],
            )
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(trained, 10.0)
        optimizer.step()
        values = {name: float(loss.detach()) for name, loss in losses.items()} | {"loss": float(total.detach())}
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(f"{title}: the loss is {values['loss']} at step {step}; lower the learning rate")
        history.append(values)
        log(step, values)
        bar.set_postfix(loss=f"{values['loss']:.3f}")
        if (step + 1) % SAVE_EVERY == 0:
            _save(state, history, model, optimizer)
    model.eval()
    return history


def _save(path: Path, history: list[dict[str, float]], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    with replacing(path) as partial:
        torch.save({"history": history, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, partial)


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
    """Go on from a saved state, if there is one; returns the losses of the steps done."""
    if not path.exists():
        return []
    saved: dict[str, Any] = torch.load(path, map_location=device(), weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return list(saved["history"])
