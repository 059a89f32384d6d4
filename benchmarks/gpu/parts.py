"""The parts of the benchmark of a GPU, each for a process of its own: what one leaves on a GPU must not touch the next.

A part gives its figures one by one, so that those before a failure are kept. All of them run on a CPU as well, in
`Sizes` that suit one, to be tested; what they then measure means nothing.

cuDNN stays as the stages have it: it does not try algorithms out (`cudnn.benchmark`), and convolutions may be TF32.
Every clock waits for the GPU before it is read, and the first call is not counted: it loads kernels and finds memory.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import torch
import yaml
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks import training
from benchmarks.eigencam import SETTINGS, by_library, from_files
from benchmarks.gpu.figures import MEMORY, Figure, stage
from benchmarks.inpainting import by_salvoc, holed, seconds_a_step
from benchmarks.limits import Work, copied, counted, multiplied
from benchmarks.photographs import as_tree, photographs
from benchmarks.timing import seconds
from toolkit import detectors, maps, metrics, places, presets, saliency, sources, voc
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.batches import through
from toolkit.detectors.precision import mixed_precision
from toolkit.files import read_image
from toolkit.params import Params
from toolkit.tensors import device, to_tensor
from toolkit.variants import deep_image_prior, study_prior
from toolkit.voc import Tree
from training.data import Examples
from training.predict import examine, packed

WITHIN = 30  # seconds that a measurement repeats at most
PRIOR = "inpainting, {}"  # by a preset of aug.inpaint


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    matrix: int = 8192  # rows and columns
    copied: int = 2**30  # bytes
    small: int = 256  # pixels of the sample's scenes, which the embedded detector sees
    large: int = 800  # pixels of a photograph's shorter side, as the study's detector sees it
    batch: int = 16  # images that a detector looks at together
    files: int = 256  # images that are read, and trained on
    library: int = 4  # images that pytorch-grad-cam explains
    steps: int = 40  # of fine-tuning, each turn
    turns: int = 2
    prior: int = 512  # pixels of an inpainted image's side
    prior_steps: int = 200  # of the study's
    holes: int = 2 * (os.cpu_count() or 1)  # images that are inpainted
    tests: str = "tests"  # a path: which of them


class Case(NamedTuple):
    """A detector, as params have it, and images for it, all of the split `train`."""

    name: str
    params: Params
    tree: Tree

    def adapter(self) -> Adapter:
        return detectors.load(self.params.detector, self.params.data.classes)

    def batch(self, size: int) -> list[Tensor]:
        """The first `size` images, [3, H, W] in 0..1 on the device."""
        paths = map(self.tree.image, self.tree.ids("train")[:size])
        return [to_tensor(read_image(path)).to(device()) for path in paths]


def preset(name: str) -> Params:
    """The params of a preset."""
    return Params.model_validate(yaml.safe_load(presets.text(places.PRESETS, name)))


def cases(root: Path, sizes: Sizes) -> tuple[Case, Case]:
    """The embedded detector with scenes of the sample, the study's with photographs.

    The study's has random weights, since COCO's would be downloaded: what it finds is nonsense, at much the same cost.
    """
    sample, study = preset("sample"), preset("voc2012")
    drawn = sample.sample.model_copy(update={"size": sizes.small, "train_scenes": sizes.files, "test_scenes": 1})
    sample = sample.model_copy(
        update={"sample": drawn, "detector": sample.detector.model_copy(update={"size": sizes.small})}
    )
    unknown = study.detector.model_copy(update={"weights": "none", "size": sizes.large})
    slow = study.train.model_copy(update={"lr": 1e-6})  # random weights must not leave the numbers
    study = study.model_copy(update={"detector": unknown, "train": slow})
    (root / "scenes").mkdir()
    sources.build(sample, root / "scenes")
    shown = as_tree(root / "photographs", photographs(None, 2), sizes.files)  # two of one size
    return (
        Case(f"{sample.detector.name} at {sizes.small} px", sample, Tree(root / "scenes")),
        Case(f"{unknown.name} at {sizes.large} px", study, shown),
    )


def arithmetic() -> str:
    """What maps and predictions compute in: on a GPU cuDNN's own choice for convolutions."""
    return "tf32" if device().type == "cuda" else "cpu"


def tests(sizes: Sizes) -> Iterator[Figure]:
    """Those that need CUDA."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", sizes.tests],
        capture_output=True, text=True,
    )  # fmt: skip
    last = (done.stdout.strip().splitlines() or [""])[-1]
    counts = {what.rstrip("s"): int(number) for number, what in re.findall(r"(\d+) (\w+)", last)}
    if not counts.keys() & {"passed", "failed", "skipped", "error"}:
        raise RuntimeError(f"pytest ended with {done.returncode}: {last or done.stderr.strip()}")
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    yield Figure("tests that need CUDA, passed", counts.get("passed", 0), "", note=last)
    fallen = counts.get("failed", 0) + counts.get("error", 0)
    yield Figure("tests that need CUDA, failed", fallen, "", at_most=0, note=" ".join(failed))


def speeds(sizes: Sizes) -> Iterator[Figure]:
    """The machine's own limits."""
    product = partial(multiplied, side=sizes.matrix)
    usual = torch.get_float32_matmul_precision()
    for name, dtype, precision in (
        ("float32", torch.float32, "highest"), ("tf32", torch.float32, "high"), ("bfloat16", torch.bfloat16, "highest"),
    ):  # fmt: skip
        torch.set_float32_matmul_precision(precision)
        yield Figure(f"product of matrices, {name}", product(dtype), "FLOP/s", by=name)
    torch.set_float32_matmul_precision(usual)
    on_cpu = multiplied(torch.float32, sizes.matrix // 2, on="cpu")
    yield Figure("product of matrices, float32, the CPU's", on_cpu, "FLOP/s", by="cpu", note="all cores")
    yield Figure("copy within memory", copied(sizes.copied), "B/s", by=MEMORY, note="read and written")


def same_maps(sizes: Sizes) -> Iterator[Figure]:
    """The embedded detector's maps by the GPU, in one batch, beside the CPU's, image by image."""
    with TemporaryDirectory() as folder:
        case, _ = cases(Path(folder), sizes)
        adapter, images = case.adapter(), case.batch(sizes.batch)
        on_cpu = deepcopy(adapter).cpu()
        alone = [saliency.explain(on_cpu, [image.cpu()], SETTINGS)[0] for image in images]
        for way, tf32 in (("TF32, as the stages compute", True), ("float32", False)):
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
                pairs = list(zip(saliency.explain(adapter, images, SETTINGS), alone, strict=True))
            apart = np.stack([np.abs(ours - theirs) for ours, theirs in pairs])
            ranks = [spearmanr(ours.ravel(), theirs.ravel()).statistic for ours, theirs in pairs]
            tops = [metrics.iou(ours, theirs) for ours, theirs in pairs]
            title = f"GPU's maps beside the CPU's, {way}"
            yield Figure(f"{title}: largest difference", float(apart.max()), "of 1", note=f"{len(pairs)} maps")
            yield Figure(f"{title}: median difference", float(np.median(apart)), "of 1")
            yield Figure(f"{title}: lowest rank correlation", float(min(ranks)), "")
            yield Figure(f"{title}: lowest IoU of the top 10 %", float(min(tops)), "")


def eigencam(sizes: Sizes) -> Iterator[Figure]:
    """salvoc's maps in batches, pytorch-grad-cam's as its users make them, and the backbone's forward."""
    timed = partial(seconds, repeats=10, within=WITHIN)
    with TemporaryDirectory() as folder:
        for case in cases(Path(folder), sizes):
            adapter, images = case.adapter(), case.batch(sizes.batch)
            explain = partial(saliency.explain, adapter, images, SETTINGS)
            ours = timed(explain)
            yield stage(f"saliency, {case.name}", ours, counted(explain), arithmetic(), len(images))
            with torch.inference_mode():
                transformed, _ = adapter.model.get_submodule("transform")(images)
                forward = partial(adapter.model.get_submodule("backbone"), transformed.tensors)
                backbone, work = timed(forward), counted(forward)
            yield stage(f"backbone alone, {case.name}", backbone, work, arithmetic(), len(images))
            yield Figure(
                f"EigenCAM over the backbone's forward, {case.name}", ours / backbone, "times its time", at_most=1.3
            )
            plain = deepcopy(adapter).to(memory_format=torch.contiguous_format)
            by_one = [partial(by_library, plain, image) for image in images[: sizes.library]]
            library = mean(seconds(call, repeats=1) for call in by_one)
            yield Figure(f"pytorch-grad-cam, {case.name}", 1 / library, "images/s", note="one by one")
            ratio = library * len(images) / ours
            yield Figure(f"EigenCAM over pytorch-grad-cam, {case.name}", ratio, "times as fast", at_least=50)
            decoded, made = from_files(adapter, case.tree, case.tree.ids("train"), sizes.batch)
            yield Figure(f"decoding alone, {case.name}", 1 / decoded, "images/s", note="all cores")
            yield Figure(f"saliency from files, {case.name}", 1 / made, "images/s")


def inpainting(sizes: Sizes) -> Iterator[Figure]:
    """Deep Image Prior with the study's settings, one by one, and with salvoc's, on every core another."""
    side = (sizes.prior, sizes.prior)
    shown = [cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in photographs(None, 4)]
    work = holed(shown)
    image, hole, seed = work[0]
    each = seconds_a_step(image, hole, seed, side=sizes.prior, steps=sizes.prior_steps)
    step = counted(partial(study_prior.fill, image, hole, seed, side=sizes.prior, iterations=1))
    steps = study_prior.ITERATIONS
    yield Figure(
        PRIOR.format("study"), each * steps, "s an image", flop=step.flop * steps, moved=step.moved * steps,
        by=arithmetic(), note=f"extrapolated from {sizes.prior_steps} of {steps} steps",
    )  # fmt: skip
    many = (work * sizes.holes)[: sizes.holes]
    ours = seconds(partial(by_salvoc, many), repeats=1) / len(many)
    yield Figure(
        PRIOR.format("fast"), ours, "s an image", at_most=0.2, by="cpu",
        flop=counted(partial(deep_image_prior.fill, image, hole, seed)).flop,
        note=f"on the CPU, {len(many)} images on {os.cpu_count()} cores",
    )  # fmt: skip


def finetuning(sizes: Sizes) -> Iterator[Figure]:
    """salvoc's training loop, then torchvision's reference loop: it may fail, for its workers want a large /dev/shm."""
    with TemporaryDirectory() as folder:
        for case in cases(Path(folder), sizes):
            params, ids = case.params, case.tree.ids("train")
            data = Examples(case.tree, ids, params.data.classes)
            ours = median(training.by_salvoc(params, data, turn, sizes.steps) for turn in range(sizes.turns))
            by = "bfloat16" if device().type == "cuda" else "cpu"
            work = _of_a_step(case, data)
            yield stage(f"fine-tuning, {case.name}", ours, work, by, note="three forwards' arithmetic")
            theirs = median(training.by_reference(params, data, turn, sizes.steps) for turn in range(sizes.turns))
            yield Figure(f"torchvision's reference loop, {case.name}", 1 / theirs, "images/s")
            title = f"fine-tuning over the reference loop, {case.name}"
            yield Figure(title, theirs / ours, "times as fast", at_least=1.5)


def _of_a_step(case: Case, data: Examples) -> Work:
    """An image's, in a batch. A depthwise convolution's backward pass is miscounted: three forwards stand in."""
    adapter, count = case.adapter(), case.params.train.batch
    forward = counted(partial(examine, adapter, case.batch(1), SETTINGS)).flop
    views = [data[number % len(data), False] for number in range(count)]
    images = [image.to(device()).float() / 255 for image, _ in views]
    targets = [{name: tensor.to(device()) for name, tensor in target.items()} for _, target in views]

    def step() -> None:
        with mixed_precision(adapter, device().type):
            losses = adapter.losses(images, targets)
        sum(losses.values(), start=torch.tensor(0.0)).backward()

    adapter.train()
    return Work(3 * forward, counted(step).moved // count)


def prediction(sizes: Sizes) -> Iterator[Figure]:
    """Detections, what is known of every object, and maps: a batch of images, and from files to what is stored."""
    with TemporaryDirectory() as folder:
        for case in cases(Path(folder), sizes):
            adapter, images = case.adapter(), case.batch(sizes.batch)
            look = partial(examine, adapter, images, SETTINGS)
            took = seconds(look, repeats=10, within=WITHIN)
            yield stage(f"prediction, {case.name}", took, counted(look), arithmetic(), len(images))
            ids = case.tree.ids("train")
            from_disk = seconds(partial(_predicted, adapter, case, ids, sizes.batch), repeats=1)
            yield Figure(f"prediction from files, {case.name}", len(ids) / from_disk, "images/s")


def _predicted(adapter: Adapter, case: Case, ids: Sequence[str], at_once: int) -> None:
    """From image files to what the stage stores."""
    look = partial(examine, settings=SETTINGS)
    for image_id, (found, candidates, heatmap) in through(adapter, look, case.tree, ids, ids, at_once):
        packed(found, candidates, voc.read(case.tree.annotation(image_id)), case.params.data.classes)
        maps.encode(heatmap)


MEASURES: dict[str, Callable[[Sizes], Iterator[Figure]]] = {
    "limits": speeds,
    "maps": same_maps,
    "eigencam": eigencam,
    "inpainting": inpainting,
    "fine-tuning": finetuning,
    "prediction": prediction,
    "tests": tests,
}
