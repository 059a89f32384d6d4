"""Samples: an image of a VOC tree with its objects, what a detector finds in it, and maps and masks over it.

A label's id is made of what it is a label of, so that it is the same whenever it is made: evaluations name ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from toolkit import maps, voc
from toolkit.files import digest, png, read_image
from toolkit.shards import exists, read
from toolkit.voc import Tree

if TYPE_CHECKING:
    import fiftyone

SIDE = 256  # pixels of a map's longer side, at most: the App draws it as wide as the image
WHOLE = 0.5  # a change of more of the image's pixels has no mask: geometry moves them all, and a mask would hide them


@dataclass(frozen=True)
class Fields:
    """Maps and masks of a few samples: the folder that they will lie in, absolute, and what is to be kept there."""

    folder: Path
    files: dict[str, bytes | Path] = field(default_factory=dict)  # by the path below the folder: `FIELD/.../ID.png`

    def heatmap(self, fo: ModuleType, field: str, stored: Path, size: tuple[int, int]) -> "fiftyone.Heatmap | None":
        """The stored map in 8 bits, which is what the App draws, and in the proportions of an image of `size` (w, h).

        Its range is fixed: the App would stretch a map's own. None where there is no map.
        """
        if not exists(stored):
            return None
        scale = min(1, SIDE / max(size))
        width, height = (max(round(side * scale), 1) for side in size)
        values = np.rint(255 * maps.scale(maps.load(stored), height, width)).astype(np.uint8)
        path = self._kept(f"{field}/{stored.name}", png(values))
        return fo.Heatmap(id=made_id(field, stored.name), map_path=path, range=[0, 255])

    def parts(self, fo: ModuleType, field: str, source: Tree, image_id: str) -> "fiftyone.Segmentation | None":
        """The pixels of objects and cue, where the source knows them."""
        mask = source.mask(image_id)
        if not mask.exists():
            return None
        return fo.Segmentation(id=made_id(field, image_id), mask_path=self._kept(f"{field}/{mask.name}", mask))

    def changed(self, fo: ModuleType, field: str, variant: Path, source: Path) -> "fiftyone.Segmentation | None":
        """The pixels that a variant changed; None where it changed the whole image."""
        before, after = read_image(source), read_image(variant)
        if before.shape != after.shape:
            return None
        mask = (before != after).any(axis=2).astype(np.uint8)
        if mask.mean() > WHOLE:
            return None
        name = f"{variant.parents[1].name}/{variant.stem}.png"
        return fo.Segmentation(id=made_id(field, name), mask_path=self._kept(f"{field}/{name}", png(mask)))

    def _kept(self, path: str, file: bytes | Path) -> str:
        self.files[path] = file
        return str(self.folder / path)


def made_id(*parts: object) -> str:
    """The id of a label or group that these name."""
    return digest(*parts)[:24]


def voc_sample(fo: ModuleType, tree: Tree, image_id: str) -> "fiftyone.Sample":
    """An image of a VOC tree and its objects."""
    path = tree.image(image_id)
    stored = read(path)
    with Image.open(BytesIO(stored)) as image:
        width, height = image.size
        bands = len(image.getbands())
    objects = [
        fo.Detection(
            id=made_id(tree.root.name, image_id, number), label=o.name, difficult=o.difficult, truncated=o.truncated,
            bounding_box=_relative(o.box, width, height),
        )
        for number, o in enumerate(voc.read(tree.annotation(image_id)).objects)
    ]  # fmt: skip
    return fo.Sample(
        filepath=str(path.absolute()),
        metadata=fo.ImageMetadata(
            size_bytes=len(stored), mime_type="image/jpeg", width=width, height=height, num_channels=bands
        ),
        ground_truth=fo.Detections(detections=objects),
    )


def predicted(fo: ModuleType, field: str, sample: "fiftyone.Sample", rows: pd.DataFrame) -> "fiftyone.Detections":
    """What a detector finds in the sample's image, the surest first."""
    size = sample.metadata.width, sample.metadata.height
    rows = rows[["label", "score", "x0", "y0", "x1", "y1"]].sort_values("score", ascending=False, kind="stable")
    return fo.Detections(
        detections=[
            fo.Detection(
                id=made_id(field, Path(sample.filepath).stem, number), label=label, confidence=score,
                bounding_box=_relative(box, *size),
            )
            for number, (label, score, *box) in enumerate(rows.to_numpy().tolist())
        ]
    )  # fmt: skip


def _relative(box: Sequence[float], width: int, height: int) -> list[float]:
    """FiftyOne's box: left, top, width and height as shares of the image's."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
