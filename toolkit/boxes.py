"""Boxes in an image: which of a detector's a person is shown, and whether a map points into those of the objects."""

from collections.abc import Sequence

import numpy as np

from toolkit import maps

SHOWN = 0.3  # detections below this score are neither shown nor counted among the failures


def covered(boxes: Sequence[Sequence[float]] | np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixels [H, W] bool that lie in one of the boxes, each x0, y0, x1, y1 in pixels."""
    mask = np.zeros((height, width), bool)
    for box in boxes:
        x0, y0, x1, y1 = (max(round(side), 0) for side in box)
        mask[y0:y1, x0:x1] = True
    return mask


def looked_into(heatmap: np.ndarray, inside: np.ndarray) -> dict[str, float | bool]:
    """Whether a map [h, w] looks at the objects, whose boxes are the pixels `inside` [H, W] (see `covered`).

    `pointed`: the map's most salient pixel lies in a box (the pointing game, Zhang et al., Top-down Neural Attention by
    Excitation Backprop, ECCV 2016, without its margin of 15 pixels); where several tie, most of them do. `in_boxes`:
    the share of the map that lies in boxes (the energy-based pointing game, Wang et al., Score-CAM, CVPRW 2020).
    `boxes_area` is the boxes' share of the image, which a map scores by chance in both. A map that says nothing points
    nowhere, and none of it is in a box.
    """
    scaled = maps.scale(heatmap, *inside.shape).astype(np.float64)
    whole = scaled.sum()
    return {
        "pointed": bool(whole and inside[scaled == scaled.max()].mean() > 0.5),
        "in_boxes": float(scaled[inside].sum() / whole) if whole else 0.0,
        "boxes_area": float(inside.mean()),
    }
