"""Where the detector looks: a map of every image, stored by content, made only where it is not there yet."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from toolkit import detectors, maps
from toolkit.errors import BadInput, Problem
from toolkit.files import link, sha256, write
from toolkit.params import Detector, Saliency
from toolkit.saliency.batches import through, together
from toolkit.saliency.eigencam import eigencam
from toolkit.store import Store
from toolkit.tensors import arithmetic
from toolkit.voc import Tree


def build(source: Tree, detector: Detector, settings: Saliency, classes: Sequence[str], out: Path) -> None:
    """Write `ID.png`, the base detector's map of every image of the source."""
    store = Store("saliency", __name__)
    made_of = (detectors.fingerprint(detector, classes), settings.method, layer_of(detector, settings), settings.sign)
    ids = source.all_ids()
    images = {image_id: sha256(source.image(image_id)) for image_id in ids}
    paths = {
        image_id: store.path(made_of, arithmetic(), images[image_id], [images[other] for other in batch])
        for image_id, batch in together(source, ids, settings.batch).items()
    }
    missing = [image_id for image_id, path in paths.items() if not path.exists()]
    if missing:
        model = detectors.load(detector, classes)
        bar = tqdm(desc="saliency", total=len(paths), initial=len(paths) - len(missing), unit="image", mininterval=1)
        for image_id, heatmap in maps_of(model, source, missing, settings, layer_of(detector, settings)):
            write(paths[image_id], maps.encode(heatmap))
            bar.update()
        bar.close()
    out.mkdir(parents=True, exist_ok=True)
    for image_id, path in paths.items():
        link(path, out / f"{image_id}.png")


def layer_of(detector: Detector, settings: Saliency) -> str:
    """The explained layer: params' own, or the detector's."""
    return detectors.recipe(detector.name).layer if settings.layer == "default" else settings.layer


def maps_of(
    model: FasterRCNN, tree: Tree, ids: Sequence[str], settings: Saliency, layer: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Each image's id and map; `ids` are some of the tree's, whose batches a GPU takes (see `batches.through`)."""
    explained = model.named_modules() if by_library(settings) else model.backbone.named_modules(prefix="backbone")
    if layer not in dict(explained):
        raise BadInput(Problem("saliency.layer", f"the detector has no module {layer!r}", "use `default`"))
    look = partial(explanations, settings=settings, layer=layer)
    yield from through(model, look, tree, ids, tree.all_ids(), settings.batch)


def explanations(model: FasterRCNN, images: Sequence[Tensor], settings: Saliency, layer: str) -> list[np.ndarray]:
    """The maps of images [3, H, W] in 0..1, all of one size."""
    if by_library(settings):
        from toolkit.saliency.library import library_cam  # pytorch-grad-cam brings scikit-learn: seconds to import

        return [library_cam(model, image, layer, settings.method) for image in images]
    return eigencam(model, images, layer)


def by_library(settings: Saliency) -> bool:
    """Whether pytorch-grad-cam makes the maps: all but EigenCAM, and it too where its solver's sign is wanted."""
    return settings.method != "eigencam" or settings.sign == "raw"
