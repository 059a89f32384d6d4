"""Real photographs to measure on: those that scikit-image and scikit-learn carry, or a folder's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import skimage.data
import sklearn.datasets
import typer

from toolkit import detectors, maps, params, voc
from toolkit.files import read_image, write
from toolkit.saliency import explain
from toolkit.tensors import device, to_tensor
from toolkit.variants.regions import most_salient
from toolkit.voc import Annotation, Object, Tree

Folder = Annotated[
    Path | None,
    typer.Option(help="A folder of .jpg photographs in place of the packages'.", exists=True, file_okay=False),
]
Count = Annotated[int, typer.Option("--images", help="How many photographs.", min=1)]


def photographs(folder: Path | None, count: int) -> list[np.ndarray]:
    """The first `count`, [H, W, 3] uint8 of any sizes."""
    if folder:
        found = [read_image(path) for path in sorted(folder.glob("*.jpg"))[:count]]
    else:
        makers = (skimage.data.coffee, skimage.data.chelsea, skimage.data.rocket, skimage.data.astronaut)
        found = [*sklearn.datasets.load_sample_images().images, *(make() for make in makers)][:count]
    if len(found) < count:
        raise SystemExit(f"{folder or 'the packages'}: only {len(found)} photographs, --images wants {count}")
    return found


def as_tree(root: Path, images: Sequence[np.ndarray], count: int) -> Tree:
    """A VOC tree of `count` JPEG files, the photographs over and over, each with an object; all are of `train`."""
    tree, ids = Tree(root), [f"{number:05}" for number in range(count)]
    for number, image_id in enumerate(ids):
        image = images[number % len(images)]
        height, width = image.shape[:2]
        box = (0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height)
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        write(tree.image(image_id), encoded.tobytes())
        write(
            tree.annotation(image_id), voc.render(Annotation(f"{image_id}.jpg", width, height, (Object("dog", box),)))
        )
    voc.write_ids(tree.split("train"), ids)
    return tree


def most_salient_parts(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The hole that a variant would make in each, [H, W] bool: the most salient part, of the sample's detector."""
    settings = params.load("presets/sample.yaml")
    adapter, holes = detectors.load(settings.detector, settings.data.classes), []
    for number, image in enumerate(images):
        (heatmap,) = explain(adapter, [to_tensor(image).to(device())], settings.saliency)
        holes.append(most_salient(maps.scale(heatmap, *image.shape[:2]), settings.aug.erase_percent, str(number)))
    return holes
