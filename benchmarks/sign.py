"""python -m benchmarks.sign: which sign EigenCAM's maps should have, on the train images of datasets/source.

Compares, against human attention, the sign that correlates with the detector's objectness (`saliency.sign:
objectness`), the sign that pytorch-grad-cam's solver happens to give (`raw`), and the better of both signs for each
image, which no rule can beat. `selected` is the share of images that aug.threshold would select.
"""

import json
from pathlib import Path

import numpy as np
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from tqdm import tqdm

from toolkit import detectors, maps, metrics, params, places
from toolkit.files import read_image
from toolkit.saliency import layer_of
from toolkit.saliency.eigencam import oriented, projection
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree


def main() -> None:
    settings = params.load().with_weights(places.BASE_WEIGHTS)
    source = Tree("datasets/source")
    adapter = detectors.load(settings.detector, settings.data.classes)
    layer = layer_of(adapter, settings.saliency)
    scores: dict[str, list[float]] = {"objectness": [], "raw": [], "best": []}
    differ = []
    for image_id in tqdm(source.ids("train"), unit="image"):
        truth = maps.load(Path("datasets/attention/human") / f"{image_id}.png")
        image = to_tensor(read_image(source.image(image_id))).to(device())
        seen = adapter.look([image], layer, detections=False)
        anchored = oriented(projection(seen.activations), seen.evidence)[0].cpu().numpy()
        raw = get_2d_projection(seen.activations.cpu().numpy())[0]  # the library's own
        both = {sign: _iou(sign * anchored, truth) for sign in (1, -1)}
        differ.append(bool((raw * anchored).sum() < 0))
        scores["objectness"].append(both[1])
        scores["raw"].append(both[-1] if differ[-1] else both[1])
        scores["best"].append(max(both.values()))
    print(
        json.dumps(
            {
                "images": len(differ),
                "raw_sign_differs": round(float(np.mean(differ)), 4),
                "human_iou": {name: round(float(np.mean(found)), 4) for name, found in scores.items()},
                "selected": {
                    name: round(float((np.array(found) < settings.aug.threshold).mean()), 4)
                    for name, found in scores.items()
                },
            }
        )
    )


def _iou(grid: np.ndarray, truth: np.ndarray) -> float:
    heatmap = maps.scale(maps.normalise(grid.clip(min=0)), *truth.shape)
    return metrics.iou(heatmap, truth)


if __name__ == "__main__":
    main()
