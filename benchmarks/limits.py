"""python -m benchmarks.limits: each stage's arithmetic, this machine's limits, and how far the stages are from them.

Counts the FLOPs of one image of each stage that computes (a multiply-add is two) and times that image on one thread, as
the stages work on a CPU, and on the whole GPU. `limit_s` is the count over the machine's own speed in a large matrix
product (of bfloat16 on a GPU, the fastest that it knows, whatever a stage computes in); `of_limit` how much of that
speed is reached. A training step counts as three forward passes. `weights_mb` is what every image reads at least.
Attention and inpainting stay on the CPU: `--device cuda` leaves them out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.eigencam import SETTINGS, detector
from benchmarks.photographs import most_salient_parts, photographs
from benchmarks.timing import Device, report, rounded, seconds, use
from toolkit import attention, detectors, params
from toolkit.detectors.adapter import Adapter
from toolkit.saliency import explain
from toolkit.tensors import device, to_tensor
from toolkit.variants import deep_image_prior

SIDE = 4096  # of the matrices
COPIED = 2**28  # bytes of the copy that shows the memory's speed


def main(device: Device = "cpu") -> None:
    """FLOPs, limits and what is reached, stage by stage: four minutes. Example: `python -m benchmarks.limits`"""
    use(device)
    torch.set_num_threads(1)
    settings = params.load("presets/sample.yaml")
    (photo,) = photographs(None, 1)
    small = detectors.load(settings.detector, settings.data.classes)
    large, _ = detector()
    image = to_tensor(np.ascontiguousarray(photo[:256, :256])).to(device)
    whole = to_tensor(photo).to(device)
    target = {"boxes": torch.tensor([[9.0, 9, 99, 99]], device=device), "labels": torch.tensor([1], device=device)}

    def train(adapter: Adapter, image: Tensor) -> None:
        adapter.train()
        sum(adapter.losses([image], [target]).values(), start=torch.tensor(0.0)).backward()
        adapter.eval()

    def predict(adapter: Adapter, image: Tensor) -> None:
        explain(adapter, [image], SETTINGS, adapter.look([image], adapter.layer))

    flops = multiplied(torch.bfloat16 if device == "cuda" else torch.float32)
    memory = copied()

    def measured(run: Callable[[], object], count: float = 0) -> dict[str, float]:
        """The row of one stage; its FLOPs are counted unless they are known."""
        count = count or counted(run).flop
        took, limit = seconds(run), count / flops
        return {
            "gflop": rounded(count / 1e9),
            "seconds": rounded(took),
            "limit_s": rounded(limit),
            "of_limit": rounded(limit / took),
        }

    found = {}
    if device == "cpu":
        (hole,) = most_salient_parts([photo])
        found["attention, gaze_lite0"] = measured(partial(attention.load("gaze_lite0"), [photo]))
        found["inpainting, fast"] = measured(partial(deep_image_prior.fill, photo, hole, 1))
    for name, adapter, shown in (
        ("fasterrcnn_lite0 at 256 px", small, image),
        ("fasterrcnn_resnet50_fpn at 800 px", large, whole),
    ):
        weights = {"weights_mb": rounded(sum(p.numel() for p in adapter.parameters()) * 4 / 1e6)}
        found[f"saliency, {name}"] = measured(partial(explain, adapter, [shown], SETTINGS)) | weights
        found[f"predict, {name}"] = measured(partial(predict, adapter, shown)) | weights
        # Not counted: the counter takes a depthwise convolution's backward pass for a full one's.
        three_passes = 3 * found[f"predict, {name}"]["gflop"] * 1e9
        found[f"finetune, {name}"] = measured(partial(train, adapter, shown), three_passes) | weights
    machine = {"gflops": rounded(flops / 1e9), "memory_gb_s": rounded(memory / 1e9)}
    report("limits", threads=1, machine=machine, stages=found)


def multiplied(dtype: torch.dtype, side: int = SIDE, on: str | None = None) -> float:
    """FLOP/s of a product of two matrices [side, side], on the GPU where there is one, or `on` another device."""
    matrix = torch.rand(side, side, device=on or device(), dtype=dtype)
    return 2 * side**3 / seconds(lambda: matrix @ matrix)


def copied(size: int = COPIED) -> float:
    """Bytes/s, read and written, of a copy of `size` bytes within the memory of the GPU, or of the machine."""
    memory = torch.rand(size // 4, device=device())
    return 2 * size / seconds(memory.clone)


class Work(NamedTuple):
    """What a call asks of the machine."""

    flop: int  # a multiply-add is two
    moved: int  # bytes, where each operation by itself reads what it is given and writes what it makes, once


def counted(run: Callable[[], object]) -> Work:
    """The work of all that a call has torch do, backward passes included."""
    with FlopCounterMode(display=False) as counter, _Moved() as memory:
        run()
    return Work(counter.get_total_flops(), memory.moved)


class _Moved(TorchDispatchMode):
    """Counts the bytes of operations' tensors; views and empty ones, which nothing is moved for, it leaves out."""

    moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if not (func.is_view or "empty" in func.__name__):
            tensors = [tensor for tensor in tree_leaves((args, kwargs, made)) if isinstance(tensor, Tensor)]
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return made


if __name__ == "__main__":
    typer.run(main)
