"""What one detector finds in a data set's images, where it looks, and how that compares with where people look."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit import agreement, detectors, maps, saliency, voc
from toolkit.files import write
from toolkit.params import Detector, Saliency
from toolkit.store import filling
from toolkit.voc import Annotation, Tree
from training.detections import listed
from training.predict import predicted, unpacked
from training.study.boxes import around, watched_maps
from training.study.images import SPLIT, drawn


def build(
    folder: Path, name: str, detector: Detector, methods: Sequence[Saliency], count: int, classes: Sequence[str],
    out: Path,
) -> None:  # fmt: skip
    """Look at `count` of a data set's images at most (see `images.build`) and write what came of it into `out`.

    `agreement.parquet`: a row an image and method, with the agreement of its map (see `toolkit.agreement.against`);
    `on_objects`: whether the map is higher on the annotated objects than off them; `empty`: whether it is constant;
    `people_*`: what people score against one another. Where the method explains single objects and people looked at
    one that the detector finds (see `boxes.watched`), `box_*` is the agreement of that object's own map inside and
    around its box. `detections.parquet`: a row a box that was found, however unsure. `heatmaps/METHOD/ID.png`: the
    maps. `about.json`: what the detector is.
    """
    source, attention = Tree(folder / "source"), folder / "attention"
    ids = drawn(source.ids(SPLIT), count)
    known = {image_id: voc.read(source.annotation(image_id)) for image_id in ids}
    fixations = agreement.fixations_of(source, attention)
    people = {image_id: agreement.people(image_id, fixations) for image_id in ids}
    rows, found = [], {}
    for method in methods:
        paths = dict(predicted(detector, source, ids, method, classes, f"{name}, {method.method}"))
        found = {image_id: unpacked(path)[0] for image_id, path in paths.items()}
        near = watched_maps(source, attention, known, found, detector, method, classes, f"{name}, boxes")
        with filling(out / "heatmaps" / method.method, len(paths)) as put:
            for image_id, path in paths.items():
                put(f"{image_id}.png", path.with_suffix(".png"))
        for image_id, path in paths.items():
            heatmap = maps.load(path.with_suffix(".png"))
            row = agreement.against(heatmap, attention, image_id, fixations)
            row |= {"on_objects": on_objects(heatmap, known[image_id]), "empty": not heatmap.any()}
            row |= {f"people_{metric}": score for metric, score in people[image_id].items()}
            if image_id in near:
                box, of_box = near[image_id]
                row |= around(maps.load(of_box), attention, image_id, known[image_id], box, fixations)
            rows.append({"id": image_id, "method": method.method, **row})
    pd.DataFrame(rows).to_parquet(out / "agreement.parquet")
    boxes = [listed(image_id, own, classes) for image_id, own in found.items()]
    pd.concat(boxes, ignore_index=True).to_parquet(out / "detections.parquet")
    kind = detectors.find(detector.name)
    layers = {method.method: saliency.layer_of(kind, method) for method in methods}
    write(out / "about.json", json.dumps({"detector": detector.model_dump(), "layers": layers}, indent=2) + "\n")


def on_objects(heatmap: np.ndarray, known: Annotation) -> float:
    """1 where the map [h, w] is higher on the annotated objects than off them, else 0; NaN where one of these is empty.

    Of EigenCAM, whose sign is arbitrary, it says whether the sign is right.
    """
    inside = np.zeros((known.height, known.width), bool)
    for one in known.objects:
        x0, y0, x1, y1 = (round(side) for side in one.box)
        inside[y0:y1, x0:x1] = True
    if inside.all() or not inside.any():
        return float("nan")
    scaled = maps.scale(heatmap, *inside.shape)
    return float(scaled[inside].mean() > scaled[~inside].mean())
