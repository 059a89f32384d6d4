"""python -m benchmarks.training: fine-tuning and evaluation beside what others would use, after a run.

Fine-tuning: images a second of `training.engine.fit` and of the loop of torchvision's reference scripts (channels
first, four workers), taking turns on the same detector, images and batch size.
Evaluation: seconds for mAP, VOC's mAP and the intervals of both from params' resamples, beside pycocotools' for its mAP
alone, on drawn detections in as many images as VOC 2007's test split has.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.timing import Device, report, rounded, seconds, use, wait
from tests.reference.pycocotools_map import pycocotools_map
from toolkit import detectors, params
from toolkit.detectors.adapter import Target
from toolkit.params import Params
from toolkit.tensors import device
from toolkit.voc import VOC_CLASSES, Tree
from training.average_precision import Truth, evaluate
from training.data import Examples
from training.detections import Detections
from training.engine import batches, fit
from training.objectives import OBJECTIVES

STEPS, TURNS = 10, 3
IMAGES = 4952


def main(device: Device = "cpu") -> None:
    """The train loop beside torchvision's reference loop; evaluation beside pycocotools: after a `dvc repro`, a minute.

    Example: `python -m benchmarks.training`
    """
    use(device)
    settings = params.load()
    tree = Tree("datasets/source")
    data = Examples(tree, tree.ids("train"), settings.data.classes)
    ours, theirs = [], []
    for turn in range(TURNS):
        ours.append(by_salvoc(settings, data, turn))
        theirs.append(by_reference(settings, data, turn))
    ours_s, theirs_s = float(np.median(ours)), float(np.median(theirs))
    truths, found = _drawn(IMAGES)
    resamples, seed = settings.score.resamples, settings.score.seed
    with_intervals = seconds(lambda: evaluate(truths, found, VOC_CLASSES, resamples, seed), repeats=1)
    point = seconds(lambda: pycocotools_map(truths, found, VOC_CLASSES), repeats=1)
    report(
        "training",
        detector=settings.detector.name,
        salvoc_images_per_s=rounded(1 / ours_s),
        reference_images_per_s=rounded(1 / theirs_s),
        ratio=rounded(theirs_s / ours_s),
        evaluation={
            "images": IMAGES,
            "resamples": resamples,
            "salvoc_s": rounded(with_intervals),
            "pycocotools_s": rounded(point),
            "ratio_a_resample": rounded(point * resamples / with_intervals),
        },
    )


def by_salvoc(settings: Params, data: Examples, turn: int, steps: int = STEPS) -> float:
    """Seconds an image, the first tenth of the steps not counted."""
    adapter = detectors.load(settings.detector, settings.data.classes)
    clock = _clocked(adapter.model, steps)
    solver = settings.train.model_copy(update={"steps": steps})
    with tempfile.TemporaryDirectory() as folder:
        fit(adapter, OBJECTIVES["detection"], data, len(data), solver, turn, Path(folder) / "state.pt", "salvoc")
    return clock() / solver.batch


def by_reference(settings: Params, data: Examples, turn: int, steps: int = STEPS) -> float:
    """The same of torchvision's references/detection, whose loop this follows."""
    model = detectors.load(settings.detector, settings.data.classes).model
    clock = _clocked(model, steps)
    model.to(memory_format=torch.contiguous_format).train()
    solver = settings.train
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, solver.lr, solver.momentum, weight_decay=solver.weight_decay)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=steps)
    views = batches(len(data), steps, solver.batch, turn)
    for images, targets in DataLoader(data, batch_sampler=views, num_workers=4, collate_fn=_collate):
        here = [image.to(device()) for image in images]
        losses = model(here, [{k: v.to(device()) for k, v in target.items()} for target in targets])
        total = sum(losses.values())
        if not torch.isfinite(total):
            raise SystemExit("the reference loop's loss is not finite")
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        warm_up.step()
    return clock() / solver.batch


def _clocked(model: nn.Module, steps: int) -> Callable[[], float]:
    """What tells the mean seconds of a step, once `steps` passes of the model have begun; the first tenth warms up.

    A GPU is waited for at both ends alone: in between it may lag behind the loop, as it does in training.
    """
    first, last = max(steps // 10, 1), steps - 1
    begun, times = count(), []

    def note(module: nn.Module, given: object) -> None:
        if next(begun) in (first, last):
            wait()
            times.append(time.perf_counter())

    model.register_forward_pre_hook(note)
    return lambda: (times[1] - times[0]) / (last - first)


def _collate(items: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Lists, and pixels as float32 in 0..1, which the reference's workers make them."""
    return [image.float() / 255 for image, _ in items], [target for _, target in items]


def _drawn(count: int) -> tuple[list[Truth], list[Detections]]:
    """Objects at random, and detections that find most of them, beside as many that find nothing."""
    rng = np.random.default_rng(0)
    truths, found = [], []
    for _ in range(count):
        objects = int(rng.integers(1, 6))
        corner, size = rng.uniform(0, 300, (objects, 2)), rng.uniform(30, 200, (objects, 2))
        boxes, classes = np.hstack([corner, corner + size]), rng.integers(0, len(VOC_CLASSES), objects)
        truths.append(Truth(boxes, classes, rng.random(objects) < 0.1, 500, 500))
        moved = np.vstack([boxes + rng.normal(0, 8, boxes.shape), boxes[:, [1, 0, 3, 2]]])
        found.append(Detections(moved, np.tile(classes, 2), rng.random(2 * objects)))
    return truths, found


if __name__ == "__main__":
    typer.run(main)
