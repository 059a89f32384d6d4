"""Average precision by pycocotools, for tests and benchmarks to compare with."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.average_precision import Truth
from training.detections import Detections


def pycocotools_map(truths: list[Truth], found: list[Detections], classes: Sequence[str]) -> tuple[float, float]:
    """pycocotools' mAP@0.5 and mAP@[.5:.95] of the same detections."""

    def entries(images: Sequence[Truth | Detections]) -> list[dict[str, object]]:
        return [
            {
                "image_id": i,
                "category_id": int(c),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
            for i, image in enumerate(images)
            for c, (x0, y0, x1, y1) in zip(image.classes, image.boxes.tolist(), strict=True)
        ]

    scores = np.concatenate([image.scores for image in found])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truths))],
            "categories": [{"id": c} for c in range(len(classes))],
            "annotations": [{"id": image_id, **entry} for image_id, entry in enumerate(entries(truths), 1)],
        }
        coco.createIndex()
        detections = [{**e, "score": float(s)} for e, s in zip(entries(found), scores, strict=True)]
        run = COCOeval(coco, coco.loadRes(detections), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[1]), float(run.stats[0])
