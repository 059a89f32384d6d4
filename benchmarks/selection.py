"""python -m benchmarks.selection gaze_lite0 bottom_up: what two gaze predictors would select, after a run.

For each predictor: the mean IoU of the base detector's saliency with it over the train images of datasets/source, and
how many are below aug.threshold. The images that only one of them selects are shown, the farthest apart first, in
reports/gaze/selection.png.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from toolkit import agreement, attention, maps, metrics, params, pictures
from toolkit.files import read_image
from toolkit.voc import Tree
from toolkit.workers import mapped

SALIENCY, OUT, SHOWN = Path("datasets/saliency"), Path("reports/gaze/selection.png"), 6


def main(names: list[str]) -> None:
    source, threshold = Tree("datasets/source"), params.load().aug.threshold
    ids = source.ids("train")
    predictors = {name: attention.load(name) for name in names}

    def gaze(image: np.ndarray) -> dict[str, np.ndarray]:
        return {name: maps.normalise(predict([image])[0]) for name, predict in predictors.items()}

    def scored(image_id: str) -> dict[str, float]:
        image, saliency = read_image(source.image(image_id)), maps.load(SALIENCY / f"{image_id}.png")
        size = agreement.grid(*image.shape[:2])
        seen = maps.scale(saliency, *size)
        return {name: metrics.iou(seen, maps.scale(heatmap, *size)) for name, heatmap in gaze(image).items()}

    rows = tqdm(mapped(lambda: scored, ids), total=len(ids), unit="image")
    iou = pd.DataFrame(rows, index=ids)
    chosen = iou < threshold
    apart = (iou[names[0]] - iou[names[1]]).abs()[chosen[names[0]] != chosen[names[1]]]
    shown = apart.sort_values(ascending=False).index[:SHOWN]
    if len(shown):
        columns = []
        for image_id in shown:
            image, saliency = read_image(source.image(image_id)), maps.load(SALIENCY / f"{image_id}.png")
            row = {
                "image": pictures.boxed(image, source.annotation(image_id)),
                "saliency": pictures.overlay(image, saliency),
            }
            columns.append(row | {name: pictures.overlay(image, heatmap) for name, heatmap in gaze(image).items()})
        labels = [f"{image_id}\nIoU {' / '.join(f'{value:.2f}' for value in iou.loc[image_id])}" for image_id in shown]
        pictures.sheet(columns, OUT, labels)
    found = {
        "images": len(ids),
        "threshold": threshold,
        "mean_iou": iou.mean().round(4).to_dict(),
        "selected": chosen.sum().to_dict(),
        "selected_by_both": int(chosen.all(axis=1).sum()),
        "picture": str(OUT) if len(shown) else None,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:3] if len(sys.argv) > 2 else ["gaze_lite0", "bottom_up"])
