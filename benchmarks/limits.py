"""python -m benchmarks.limits: each stage's arithmetic, this machine's limits, and how far the stages are from them.

Counts the FLOPs of one image of each stage that computes (a multiply-add is two) and times that image on one thread, as
the stages work on a CPU, and on the whole GPU. `limit_s` is the count over the machine's own speed in a large matrix
product; `of_limit` how much of that speed is reached. A training step counts as three forward passes. `weights_mb` is
what every image reads at least.
"""

from collections.abc import Callable

import numpy as np
import torch
import typer
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import FasterRCNN

from benchmarks.eigencam import LAYER, detector
from benchmarks.photographs import most_salient_parts, photographs
from benchmarks.timing import Device, report, rounded, seconds, use
from toolkit import attention, detectors, params
from toolkit.saliency import layer_of, to_tensor
from toolkit.saliency.eigencam import eigencam, look
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
    layer = layer_of(settings.detector, settings.saliency)
    image = to_tensor(np.ascontiguousarray(photo[:256, :256])).to(device)
    shown = to_tensor(photo).to(device)
    (hole,) = most_salient_parts([photo])
    gaze = attention.predictor("gaze_lite0")
    target = {"boxes": torch.tensor([[9.0, 9, 99, 99]], device=device), "labels": torch.tensor([1], device=device)}

    def train(model: FasterRCNN, image: Tensor) -> None:
        model.train()
        sum(model([image], [target]).values()).backward()
        model.eval()

    stages: dict[str, Callable[[], object]] = {
        "attention, gaze_lite0": lambda: gaze(photo),
        "saliency, fasterrcnn_lite0 at 256 px": lambda: eigencam(small, [image], layer),
        "saliency, fasterrcnn_resnet50_fpn at 800 px": lambda: eigencam(large, [shown], LAYER),
        "inpainting, fast": lambda: deep_image_prior.fill([photo], [hole], [1], device=device),
        "evaluate, fasterrcnn_lite0 at 256 px": lambda: look(small, image, layer),
        "evaluate, fasterrcnn_resnet50_fpn at 800 px": lambda: look(large, shown, LAYER),
        "finetune, fasterrcnn_lite0 at 256 px": lambda: train(small, image),
        "finetune, fasterrcnn_resnet50_fpn at 800 px": lambda: train(large, shown),
    }
    matrix, memory = torch.rand(SIDE, SIDE, device=device), torch.rand(COPIED // 4, device=device)
    flops = 2 * SIDE**3 / seconds(lambda: matrix @ matrix)
    copied = 2 * COPIED / seconds(memory.clone)
    found: dict[str, dict[str, float]] = {}
    for name, run in stages.items():
        with FlopCounterMode(display=False) as counter:
            run()
        took, count = seconds(run), counter.get_total_flops()
        if name.startswith("finetune"):  # the counter takes a depthwise convolution's backward pass for a full one's
            count = 3 * found[name.replace("finetune", "evaluate")]["gflop"] * 1e9
        found[name] = {
            "gflop": rounded(count / 1e9),
            "seconds": rounded(took),
            "limit_s": rounded(count / flops),
            "of_limit": rounded(count / flops / took),
        }
        if "fasterrcnn" in name:
            model = large if "resnet50" in name else small
            found[name]["weights_mb"] = rounded(sum(p.numel() for p in model.parameters()) * 4 / 1e6)
    machine = {"gflops": rounded(flops / 1e9), "memory_gb_s": rounded(copied / 1e9)}
    report("limits", threads=1, machine=machine, stages=found)


if __name__ == "__main__":
    typer.run(main)
