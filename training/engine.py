"""The training loop: `fit` a detector for a number of steps, so that a killed run goes on to the same weights."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from toolkit import processes
from toolkit.detectors.adapter import Adapter, Target
from toolkit.detectors.precision import mixed_precision
from toolkit.files import replacing, seed_of
from toolkit.params import Solver
from toolkit.tensors import device
from toolkit.workers import mapped
from training.objectives import Objective

View = tuple[int, bool]  # the image's index, and whether it is mirrored
SAVE_EVERY = 50  # steps between two states to go on from
READ_EVERY = 10  # steps between two looks at the losses, each of which waits for a GPU
THREADS = 2  # of a step on a CPU, unless OMP_NUM_THREADS says otherwise: sums are cut, and round, by their number
WARM_UP = 50  # steps of rising learning rate, at most a tenth of all
CLIP = 10.0  # the norm that no step's gradient exceeds


def batches(count: int, steps: int, batch: int, seed: int) -> list[list[View]]:
    """The (index, flip) pairs of every step: a new order each pass over `count` images, half of the views flipped."""
    views: list[View] = []
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


def loaded(
    data: Dataset[tuple[Tensor, Target]], todo: Sequence[Sequence[View]], ahead: bool
) -> Iterator[list[tuple[Tensor, Target]]]:
    """Each batch of `todo`, read from `data`; `ahead`: by threads, while another batch is trained on.

    Threads have all memory in common: processes would pass images through /dev/shm, which is small in a container.
    """
    views = chain.from_iterable(todo)
    items = mapped(lambda: data.__getitem__, views) if ahead else map(data.__getitem__, views)
    for batch in todo:
        yield list(islice(items, len(batch)))


def fit(
    adapter: Adapter,
    objective: Objective,
    data: Dataset[tuple[Tensor, Target]],
    count: int,
    solver: Solver,
    seed: int,
    state: Path,
    title: str,
) -> list[dict[str, float]]:
    """Train `adapter` in place towards `objective` on `data` (indexed by `View`); returns all losses.

    It ends in evaluation mode. `state` is where a killed run finds the steps already done; the randomness of a step
    depends on `seed` and the step alone, so that it ends with the same weights. Of several `processes` each computes a
    share of every batch and all move the weights alike, by the mean of their gradients; losses are their means. Raises
    `FloatingPointError` where a loss or its gradient is not finite.
    """
    where = device()
    on_gpu = where.type == "cuda"
    if not on_gpu and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(THREADS)
    adapter.to(where).to(memory_format=torch.channels_last).train()
    optimizer = adapter.optimizer(solver)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    rates = [group["lr"] for group in optimizer.param_groups]
    history = _resume(state, adapter, optimizer)
    done = len(history)
    todo = [processes.share(views) for views in batches(count, solver.steps, solver.batch, seed)[done:]]
    items = loaded(data, todo, ahead=on_gpu)  # on a CPU the threads would only compete with the training
    bar = tqdm(
        items, desc=title, total=solver.steps, initial=done, unit="step", mininterval=1, disable=processes.rank() > 0
    )
    unread: list[Tensor] = []
    for step, batch in enumerate(bar, start=done):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * learning_rate(step, solver.steps)
        torch.manual_seed(seed_of(seed, "step", step) % 2**63)
        images = [image.to(where).float() / 255 for image, _ in batch]
        targets = [{name: tensor.to(where) for name, tensor in target.items()} for _, target in batch]
        with mixed_precision(adapter, where.type) if on_gpu else nullcontext():
            losses = objective(adapter, images, targets)
        total = sum(losses.values(), start=torch.tensor(0.0))
        optimizer.zero_grad()
        total.backward()
        processes.average([parameter.grad for parameter in trained if parameter.grad is not None])
        norm = nn.utils.clip_grad_norm_(trained, CLIP)
        unread.append(torch.stack([*losses.values(), total, norm]).detach())
        optimizer.step()
        save = (step + 1) % SAVE_EVERY == 0
        if save or (step + 1) % READ_EVERY == 0 or step + 1 == solver.steps:
            rows = torch.stack(unread)
            processes.average([rows])
            for *row, gradient in rows.tolist():
                values = dict(zip((*losses, "loss"), row, strict=True))
                _check(values["loss"], gradient, len(history), title)
                history.append(values)
            unread.clear()
            bar.set_postfix(loss=f"{history[-1]['loss']:.3f}")
        if save and processes.rank() == 0:
            _save(state, history, adapter, optimizer)
    adapter.eval()
    return history


def _check(loss: float, gradient: float, step: int, title: str) -> None:
    """Stop a run that has left the numbers, before its weights are saved or used."""
    if not (math.isfinite(loss) and math.isfinite(gradient)):
        found = f"the loss is {loss} and its gradient's norm {gradient} at step {step}"
        raise FloatingPointError(f"{title}: {found}; lower the learning rate")


def _save(path: Path, history: list[dict[str, float]], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    with replacing(path) as partial:
        torch.save({"history": history, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, partial)


def _read(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
    """Go on from a saved state, if the first process finds one; returns the losses of the steps done."""
    saved = processes.first(lambda: _read(path))
    if saved is None:
        return []
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return list(saved["history"])
