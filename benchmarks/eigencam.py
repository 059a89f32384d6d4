"""python -m benchmarks.eigencam: the study's saliency maps by salvoc and by pytorch-grad-cam, side by side.

Both explain the same layer of the same Faster R-CNN (ResNet-50 FPN, 800 px) for the same photographs; the library gets
it as torchvision builds it, salvoc in channels_last, as it loads it. `ratio` is the library's time for an image over
salvoc's, `projection` the same for the principal component alone. `of_backbone` is salvoc's whole time over that of the
backbone alone (in channels_last: the faster way). `stage` has images from the disk to maps, as the stage makes them, on
all cores or the GPU, beside decoding alone.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import typer
from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from tqdm import tqdm

from benchmarks.photographs import Count, Folder, as_tree, photographs
from benchmarks.timing import Device, report, rounded, seconds, use
from toolkit import saliency
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.batches import through
from toolkit.detectors.checkpoint import fill
from toolkit.detectors.fasterrcnn_resnet50_fpn import FasterRCNNResNet50FPN
from toolkit.errors import BadInput
from toolkit.files import read_image
from toolkit.params import Saliency
from toolkit.saliency.eigencam import projection
from toolkit.tensors import device, to_tensor
from toolkit.voc import VOC_CLASSES, Tree
from toolkit.workers import mapped

SETTINGS = Saliency(method="eigencam", layer="default", sign="objectness")
AT_ONCE = 16  # images that a GPU looks at together
REPEATED = 16  # times that a GPU is shown each photograph: enough to keep it at work


def main(device: Device = "cpu", images: Count = 6, folder: Folder = None) -> None:
    """EigenCAM by salvoc and by pytorch-grad-cam, two minutes on 2 cores. Downloads COCO weights, if it can (167 MB).

    Examples: `python -m benchmarks.eigencam`, `python -m benchmarks.eigencam --device cuda`
    """
    use(device)
    shown = photographs(folder, images)
    adapter, weights = detector()
    plain = deepcopy(adapter).to(memory_format=torch.contiguous_format)
    times: dict[str, list[float]] = defaultdict(list)
    cosines = []
    for image in tqdm([to_tensor(image).to(device) for image in shown], unit="image"):
        batch = adapter.model.transform([image])[0].tensors
        times["salvoc"].append(seconds(partial(saliency.explain, adapter, [image], SETTINGS)))
        times["library"].append(seconds(partial(by_library, plain, image), repeats=1))
        with torch.inference_mode():
            times["backbone"].append(seconds(partial(adapter.model.backbone, batch)))
            activations = adapter.look([image], adapter.layer, detections=False).activations
            times["projection"].append(seconds(partial(projection, activations)))
            there = activations.cpu().numpy()
            times["library_projection"].append(seconds(partial(get_2d_projection, there), repeats=1))
        ours, theirs = projection(activations)[0].cpu().numpy().ravel(), get_2d_projection(there)[0].ravel()
        cosines.append(abs(ours @ theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs))
    each = {name: statistics.mean(taken) for name, taken in times.items()}
    with TemporaryDirectory() as root:
        tree = as_tree(Path(root), shown, len(shown) * (REPEATED if device == "cuda" else 1))
        decoded, explained = from_files(adapter, tree, tree.ids("train"), AT_ONCE)
    report(
        "eigencam",
        detector=f"fasterrcnn_resnet50_fpn, 800 px, {weights} weights",
        images=len(shown),
        salvoc_s=rounded(each["salvoc"]),
        library_s=rounded(each["library"]),
        ratio=rounded(each["library"] / each["salvoc"]),
        backbone_s=rounded(each["backbone"]),
        of_backbone=rounded(each["salvoc"] / each["backbone"]),
        projection={
            "salvoc_s": rounded(each["projection"]),
            "library_s": rounded(each["library_projection"]),
            "ratio": rounded(each["library_projection"] / each["projection"]),
        },
        lowest_cosine=round(float(min(cosines)), 8),
        stage={
            "decode_s": rounded(decoded),
            "maps_s": rounded(explained),
            "ratio": rounded(each["library"] / explained),
        },
    )


def detector() -> tuple[FasterRCNNResNet50FPN, str]:
    """The study's detector; without its COCO weights it costs as much."""
    torch.manual_seed(0)
    adapter, weights = FasterRCNNResNet50FPN(len(VOC_CLASSES), 800), "COCO"
    try:
        assert adapter.coco
        fill(adapter, *adapter.coco.load(), VOC_CLASSES)
    except BadInput:
        weights = "random"
    return adapter.eval().to(memory_format=torch.channels_last).to(device()), weights


def by_library(adapter: Adapter, image: torch.Tensor) -> np.ndarray:
    """The library's map, made as its users make it."""
    with EigenCAM(adapter, [adapter.model.get_submodule(adapter.layer)]) as cam:
        return cam(image[None], targets=[lambda found: torch.zeros(())])


def from_files(adapter: Adapter, tree: Tree, ids: Sequence[str], at_once: int) -> tuple[float, float]:
    """Seconds an image from image files: decoding alone, and all that makes maps, both on all cores."""
    explain = partial(saliency.explain, settings=SETTINGS)
    decode = seconds(lambda: list(mapped(lambda: read_image, map(tree.image, ids))))
    make = seconds(lambda: list(through(adapter, explain, tree, ids, ids, at_once)), repeats=1)
    return decode / len(ids), make / len(ids)


if __name__ == "__main__":
    typer.run(main)
