"""What an arm scores on the untouched test split: detection, agreement with people, and reliance on the sample's cue.

Every score is each seed's own value and bootstrap resamples. The resamples draw the same images in every arm, seed and
condition, so that a difference of two scores is one in pairs (training/comparison.py).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from toolkit import agreement, detectors, maps, saliency, voc
from toolkit.bootstrap import resampled_means
from toolkit.detectors import predict
from toolkit.files import write
from toolkit.params import Params
from toolkit.saliency.eigencam import look
from toolkit.sources.masks import CUE, read_mask
from toolkit.voc import Tree
from toolkit.workers import mapped
from training import average_precision
from training.average_precision import Detection, Detections, Truth
from training.comparison import Score, interval, stored

AGREEMENT = [f"{kind}_{metric}" for kind in ("human", "gaze") for metric in agreement.METRICS]
BASELINES = [f"{kind}_{name}" for kind in ("human", "gaze") for name in agreement.BASELINES]
SHOWN = 0.3  # predictions below this score are not kept for browsing
TOP = 0.025  # the share of pixels by which reliance on the cue is read off the map: as many as are erased


@dataclass(frozen=True)
class Run:
    """What one seed's detector gave on one split."""

    detection: Detection
    images: pd.DataFrame  # a row an image
    found: list[Detections]


def build(name: str, source: Tree, attention: Path, arms: Path, params: Params, metrics: Path, out: Path) -> None:
    """Evaluate an arm, or `base`, the detector before fine-tuning: `metrics` as JSON, all by image into `out`.

    `out` gets `resamples.parquet` (a row a seed and resample, a column a score, so that arms can be compared in pairs),
    `images.parquet` (a row an image, split and seed), `per_class.csv`, and of the first seed `predictions.parquet` and
    `saliency/ID.png`.
    """
    splits = [split for split in ("test", "test_matching", "test_random") if source.split(split).exists()]
    runs: dict[str, list[Run]] = {split: [] for split in splits}
    for number, model in enumerate(models(name, arms, params)):
        kept = out / "saliency" if number == 0 else None
        for split in splits:
            runs[split].append(run(model, source, attention, split, params, kept))
    scores = scored(runs, params)
    write(metrics, json.dumps(nested(scores) | {"baseline": baselines(runs["test"])}, indent=2) + "\n")
    stored(scores).to_parquet(out / "resamples.parquet")
    tables = [r.images.assign(split=split, run=n) for split in splits for n, r in enumerate(runs[split])]
    pd.concat(tables, ignore_index=True).to_parquet(out / "images.parquet")
    per_class = pd.DataFrame([r.detection.per_class for r in runs["test"]]).mean()
    per_class.rename_axis("class").rename("ap50_voc").to_csv(out / "per_class.csv")
    shown = [listed(source.ids(split), runs[split][0].found, params.data.classes) for split in splits]
    pd.concat(shown, ignore_index=True).to_parquet(out / "predictions.parquet")


def models(name: str, arms: Path, params: Params) -> Iterator[FasterRCNN]:
    """The arm's detectors, one a seed."""
    if name == "base":
        yield detectors.load(params.detector, params.data.classes)
    else:
        for seed in params.train.seeds:
            weights = str(arms / name / f"seed-{seed}.safetensors")
            arm = params.detector.model_copy(update={"weights": "checkpoint", "checkpoint": weights})
            yield detectors.load(arm, params.data.classes)


def run(model: FasterRCNN, source: Tree, attention: Path, split: str, params: Params, kept: Path | None) -> Run:
    """Detect in every image of a split, explain it, and compare with where people look; maps go to `kept`.

    The sample's splits with a cue are asked another thing: how much the detector looks at it.
    """
    ids, classes = source.ids(split), params.data.classes
    plain = split == "test"
    fixations = agreement.fixations_of(source, attention) if plain else None

    def judged(seen: tuple[str, tuple[Detections, np.ndarray]]) -> tuple[str, Detections, dict[str, object]]:
        image_id, (one, heatmap) = seen
        if kept:
            write(kept / f"{image_id}.png", maps.encode(heatmap))
        scores = (
            agreement.against(heatmap, attention, image_id, fixations) if plain else on_cue(heatmap, source, image_id)
        )
        return image_id, one, {"id": image_id} | scores

    found, rows = {}, {}
    looking = saliency.through(model, partial(examine, params=params), source, ids, ids, params.saliency.batch)
    judging = mapped(lambda: judged, looking)  # an image a thread: another number of them would sum in another order
    for image_id, one, row in tqdm(judging, desc=split, total=len(ids), unit="image", mininterval=1):
        found[image_id], rows[image_id] = one, row
    truths, in_order = [truth_of(source, image_id, classes) for image_id in ids], [found[image_id] for image_id in ids]
    detection = average_precision.evaluate(truths, in_order, classes, params.evaluate.resamples, params.evaluate.seed)
    return Run(detection, pd.DataFrame([rows[image_id] for image_id in ids]), in_order)


def examine(model: FasterRCNN, images: Sequence[Tensor], params: Params) -> list[tuple[Detections, np.ndarray]]:
    """What the detector finds in each image [3, H, W] in 0..1 and where it looks; all of one size."""
    layer = saliency.layer_of(params.detector, params.saliency)
    if saliency.by_library(params.saliency):
        explained = saliency.explanations(model, images, params.saliency, layer)
        seen = list(zip([predict(model, image) for image in images], explained, strict=True))
    else:
        seen = look(model, images, layer)
    keys = ("boxes", "labels", "scores")
    return [
        (Detections(*(one[key].cpu().numpy() - (key == "labels") for key in keys)), heatmap) for one, heatmap in seen
    ]


def truth_of(source: Tree, image_id: str, classes: Sequence[str]) -> Truth:
    """What an image's annotation says."""
    known = voc.read(source.annotation(image_id))
    return Truth(
        boxes=np.array([o.box for o in known.objects], np.float64).reshape(-1, 4),
        classes=np.array([classes.index(o.name) for o in known.objects], np.int64),
        difficult=np.array([o.difficult for o in known.objects], bool),
        width=known.width,
        height=known.height,
    )


def on_cue(heatmap: np.ndarray, source: Tree, image_id: str) -> dict[str, object]:
    """The share of the most salient pixels that lie on the sample's cue, and the cue's share of the image (chance)."""
    mask = read_mask(source, image_id)
    if mask is None:
        return {}
    top = maps.top(maps.scale(heatmap, *mask.shape), TOP)
    cue = mask == CUE
    return {"on_cue": float(top[cue].sum() / top.sum()) if top.any() else 0.0, "cue_area": float(cue.mean())}


def scored(runs: Mapping[str, Sequence[Run]], params: Params) -> dict[str, Score]:
    """Every score of an arm by its name, `group.name`, from its seeds' runs on each split."""
    plain = runs["test"]
    scores = {f"detection.{name}": _precision(plain, name) for name in ("map50", "map", "map50_voc")}
    resample = (params.evaluate.resamples, params.evaluate.seed)
    for name in AGREEMENT:
        if name in plain[0].images:
            scores[name.replace("_", ".", 1)] = _mean_over_images(plain, name, *resample)
    if "test_random" in runs:
        none = scores["detection.map50"]
        matching, random = (_precision(runs[f"test_{condition}"], "map50") for condition in ("matching", "random"))
        scores |= {
            "cue.map50_matching": matching,
            "cue.map50_random": random,
            "cue.gain": matching - none,
            "cue.harm": none - random,
            "cue.reliance": matching - random,
            "cue.looked_at": _mean_over_images(runs["test_random"], "on_cue", *resample),
        }
    return scores


def _precision(runs: Sequence[Run], name: str) -> Score:
    values = np.array([getattr(run.detection, name).value for run in runs])
    return Score(values, np.array([run.detection.samples[name] for run in runs]), len(runs[0].images))


def _mean_over_images(runs: Sequence[Run], name: str, resamples: int, seed: int) -> Score:
    columns = [run.images[name].to_numpy(np.float64) for run in runs]
    samples = np.array([resampled_means(column, resamples, seed) for column in columns])
    return Score(np.nanmean(columns, axis=1), samples, int(runs[0].images[name].count()))


def nested(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """Scores as shallow JSON, each with the ends of its 95 % interval."""
    groups: dict[str, dict[str, float]] = {}
    for name, score in scores.items():
        group, short = name.split(".")
        lo, hi = interval(score)
        groups.setdefault(group, {}).update(
            {short: round(score.value, 6), f"{short}_lo": round(lo, 6), f"{short}_hi": round(hi, 6)}
        )
    return groups


def baselines(runs: Sequence[Run]) -> dict[str, float]:
    """What chance, the centre bias and an empty map score on the same images."""
    images = pd.concat([run.images for run in runs])
    return {name: round(float(images[name].mean()), 6) for name in BASELINES if name in images}


def listed(ids: Sequence[str], found: Sequence[Detections], classes: Sequence[str]) -> pd.DataFrame:
    """The predictions as a table: a row a box, in pixels."""
    tables = [
        pd.DataFrame(one.boxes, columns=["x0", "y0", "x1", "y1"]).assign(
            id=image_id, label=[classes[c] for c in one.classes], score=one.scores
        )
        for image_id, one in zip(ids, found, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    return table[table["score"] >= SHOWN][["id", "label", "x0", "y0", "x1", "y1", "score"]].reset_index(drop=True)
