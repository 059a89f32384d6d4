"""An image of a VOC tree as a sample: its objects, what a detector finds in it, and maps over it."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from toolkit import maps, voc
from toolkit.files import png, write
from toolkit.voc import Tree

if TYPE_CHECKING:
    import fiftyone


def voc_sample(fo: ModuleType, tree: Tree, image_id: str, variant: str) -> "fiftyone.Sample":
    """An image of a VOC tree and its objects."""
    path = tree.image(image_id)
    with Image.open(path) as image:
        width, height = image.size
        bands = len(image.getbands())
    size = path.stat().st_size
    objects = [
        fo.Detection(
            label=o.name, bounding_box=_relative(o.box, width, height), difficult=o.difficult, truncated=o.truncated
        )
        for o in voc.read(tree.annotation(image_id)).objects
    ]
    return fo.Sample(
        filepath=str(path.absolute()),
        metadata=fo.ImageMetadata(
            size_bytes=size, mime_type="image/jpeg", width=width, height=height, num_channels=bands
        ),
        variant=variant,
        ground_truth=fo.Detections(detections=objects),
    )


def predicted(fo: ModuleType, sample: "fiftyone.Sample", rows: pd.DataFrame) -> "fiftyone.Detections":
    size = sample.metadata.width, sample.metadata.height
    rows = rows[["label", "score", "x0", "y0", "x1", "y1"]].sort_values("score", ascending=False, kind="stable")
    return fo.Detections(
        detections=[
            fo.Detection(label=label, bounding_box=_relative(box, *size), confidence=score)
            for label, score, *box in rows.to_numpy().tolist()
        ]
    )


def heatmap(
    fo: ModuleType, sample: "fiftyone.Sample", stored: Path, out: Path, place: Path
) -> "fiftyone.Heatmap | None":
    """The stored map at the image's size and in 8 bits, which is what the App draws."""
    if not stored.exists():
        return None
    values = maps.scale(maps.load(stored), sample.metadata.height, sample.metadata.width)
    write(out / "fields" / place.name / stored.name, png(np.rint(255 * values).astype(np.uint8)))
    return fo.Heatmap(map_path=str(place / stored.name))


def _relative(box: Sequence[float], width: int, height: int) -> list[float]:
    """FiftyOne's box: left, top, width and height as shares of the image's."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
