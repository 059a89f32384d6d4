"""What a detector found, as arrays of one image and as the table in which predictions are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

CORNERS = ["x0", "y0", "x1", "y1"]


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image."""

    boxes: np.ndarray  # [D, 4] x0, y0, x1, y1 in pixels
    classes: np.ndarray  # [D] int, index into the classes' names
    scores: np.ndarray  # [D] float, higher is surer


def listed(image_id: str, found: Detections, classes: Sequence[str]) -> pd.DataFrame:
    """One image's part of the table: a row a box, in the detector's order, with `id`, `label`, `score`, corners."""
    columns = {"id": image_id, "label": [classes[c] for c in found.classes], "score": found.scores}
    corners = dict(zip(CORNERS, found.boxes.reshape(-1, 4).T, strict=True))
    return pd.DataFrame(columns | corners)


def by_image(table: pd.DataFrame, ids: Sequence[str], classes: Sequence[str]) -> list[Detections]:
    """The detections of each of these images, in their order; an image without a row has none."""
    index = {name: number for number, name in enumerate(classes)}
    boxes, scores = table[CORNERS].to_numpy(), table["score"].to_numpy()
    labels = table["label"].map(index).to_numpy(np.int64)
    rows = table.groupby("id").indices
    nothing = np.zeros(0, np.int64)
    of = (rows.get(image_id, nothing) for image_id in ids)
    return [Detections(boxes[own], labels[own], scores[own]) for own in of]
