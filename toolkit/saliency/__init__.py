"""Where the detector looks: a map of every image, stored by content, made only where it is not there yet."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from itertools import islice, tee, zip_longest
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from toolkit import detectors, maps
from toolkit.errors import BadInput, Problem
from toolkit.files import link, read_image, sha256, write
from toolkit.params import Detector, Saliency
from toolkit.saliency.eigencam import Grids, begun, eigencam, finished
from toolkit.store import Store
from toolkit.tensors import arithmetic, device, to_tensor
from toolkit.voc import Tree
from toolkit.workers import mapped


def build(source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str], out: Path) -> None:
    """Write `ID.png`, the base detector's map of every image of the source."""
    store = Store("saliency", __name__)
    made_of = (detectors.fingerprint(detector, classes), settings.method, layer_of(detector, settings), settings.sign)
    paths = {id: store.path(made_of, arithmetic(), sha256(source.image(id))) for id in source.all_ids()}
    missing = [id for id, path in paths.items() if not path.exists()]
    if missing:
        model = detectors.load(detector, classes)
        bar = tqdm(desc="saliency", total=len(paths), initial=len(paths) - len(missing), unit="image", mininterval=1)
        for id, map in maps_of(model, source, missing, settings, layer_of(detector, settings)):
            write(paths[id], maps.encode(map))
            bar.update()
        bar.close()
    out.mkdir(parents=True, exist_ok=True)
    for id, path in paths.items():
        link(path, out / f"{id}.png")


def layer_of(detector: Detector, settings: Saliency) -> str:
    """The explained layer: params' own, or the detector's."""
    return detectors.recipe(detector.name).layer if settings.layer == "default" else settings.layer


def maps_of(
    model: FasterRCNN, tree: Tree, ids: Sequence[str], settings: Saliency, layer: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Each image's id and map.

    A GPU takes `settings.batch` images at once. A CPU gains nothing from batches, and its convolutions round
    differently in a batch of another size: it takes images one by one, so that a map is the same to the last bit
    whatever else is computed.
    """
    explained = model.named_modules() if by_library(settings) else model.backbone.named_modules(prefix="backbone")
    if layer not in dict(explained):
        raise BadInput(Problem("saliency.layer", f"the detector has no module {layer!r}", "use `default`"))
    if device().type == "cuda" and not by_library(settings):
        yield from _in_batches(model, tree, ids, settings.batch, layer)
    else:
        yield from zip(ids, mapped(lambda: partial(map_of, deepcopy(model), tree, settings, layer), ids), strict=True)


def map_of(model: FasterRCNN, tree: Tree, settings: Saliency, layer: str, id: str) -> np.ndarray:
    """The map of one image."""
    image = to_tensor(read_image(tree.image(id))).to(device())
    if by_library(settings):
        from toolkit.saliency.library import library_cam  # pytorch-grad-cam brings scikit-learn: seconds to import

        return library_cam(model, image, layer, settings.method)
    return eigencam(model, [image], layer)[0]


def by_library(settings: Saliency) -> bool:
    """Whether pytorch-grad-cam makes the maps: all but EigenCAM, and it too where its solver's sign is wanted."""
    return settings.method != "eigencam" or settings.sign == "raw"


def _in_batches(
    model: FasterRCNN, tree: Tree, ids: Sequence[str], at_once: int, layer: str
) -> Iterator[tuple[str, np.ndarray]]:
    """On a GPU, batches of one size each, so that no image is padded to another's.

    The CPU's threads decode what comes next, and a batch's maps are fetched once the next batch is under way: the GPU
    never waits for either.
    """
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for id in ids:
        with Image.open(tree.image(id)) as image:
            by_size[image.size].append(id)
    batches = [same[i : i + at_once] for same in by_size.values() for i in range(0, len(same), at_once)]
    decoded = mapped(lambda: partial(_pinned, tree), (id for batch in batches for id in batch))

    def under_way(batch: list[str]) -> tuple[list[str], Grids]:
        images = [image.to(device(), non_blocking=True) for image in islice(decoded, len(batch))]
        return batch, begun(model, [image.permute(2, 0, 1).float() / 255 for image in images], layer)

    made, next_made = tee(map(under_way, batches))
    next(next_made, None)
    for (batch, grids), _ in zip_longest(made, next_made):
        yield from zip(batch, finished(grids), strict=True)


def _pinned(tree: Tree, id: str) -> Tensor:
    """An image [H, W, 3] uint8, where a GPU can fetch it while the CPU goes on."""
    image = torch.from_numpy(read_image(tree.image(id)).copy())
    return image.pin_memory() if torch.cuda.is_available() else image
