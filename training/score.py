"""What an arm's predictions score on the untouched test split: detection, agreement with people, reliance on the cue.

Every score is each seed's own value and bootstrap resamples. The resamples draw the same images in every arm, seed and
condition, so that a difference of two scores is one in pairs (training/comparison.py).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from toolkit import agreement, maps, params, voc
from toolkit.agreement import TRUTHS, Fixations
from toolkit.bootstrap import resampled_means
from toolkit.files import write
from toolkit.metrics import BASELINES, METRICS
from toolkit.sources.masks import CUE, TEST_SPLITS, read_mask
from toolkit.voc import Tree
from toolkit.workers import mapped
from training import average_precision
from training.average_precision import Detection, Truth
from training.comparison import Score, interval, stored
from training.detections import by_image

TOP = 0.025  # the share of pixels by which reliance on the cue is read off the map: as many as are erased


@dataclass(frozen=True)
class Run:
    """What one seed's predictions came to on one split."""

    detection: Detection
    images: pd.DataFrame  # a row an image


@dataclass(frozen=True)
class Predictions:
    """What there is to score, as `training.predict` writes it."""

    detections: Path  # the table
    heatmaps: Path  # a folder of `seed-S/ID.png`, or of nothing
    seeds: Sequence[int]
    splits: Sequence[str] = tuple(TEST_SPLITS)


def build(
    predictions: Predictions, source: Tree, attention: Path, classes: Sequence[str], resampling: params.Score,
    metrics: Path, out: Path,
) -> dict[str, Score]:  # fmt: skip
    """Score predictions: `metrics` as JSON, all by image into `out`; predictions without maps have no agreement.

    `out` gets `resamples.parquet` (a row a seed and resample, a column a score, so that arms can be compared in pairs),
    `images.parquet` (a row an image, split and seed) and `per_class.csv` (see `by_class`). Returns the scores by
    name.
    """
    table = pd.read_parquet(predictions.detections)
    splits = [split for split in predictions.splits if source.split(split).exists()]
    fixations = agreement.fixations_of(source, attention)
    truths = {split: [truth_of(source, image_id, classes) for image_id in source.ids(split)] for split in splits}
    runs: dict[str, list[Run]] = {split: [] for split in splits}
    for split in splits:
        ids = source.ids(split)
        for seed in predictions.seeds:
            found = by_image(table[(table["split"] == split) & (table["seed"] == seed)], ids, classes)
            detection = average_precision.evaluate(truths[split], found, classes, resampling.resamples, resampling.seed)
            images = explained(predictions.heatmaps / f"seed-{seed}", source, attention, split, fixations)
            runs[split].append(Run(detection, images))
    scores = scored(runs, resampling)
    write(metrics, json.dumps(nested(scores) | {"baseline": baselines(runs["test"])}, indent=2) + "\n")
    stored(scores).to_parquet(out / "resamples.parquet")
    tables = [r.images.assign(split=split, run=n) for split in splits for n, r in enumerate(runs[split])]
    pd.concat(tables, ignore_index=True).to_parquet(out / "images.parquet")
    by_class(runs["test"], truths["test"], classes).to_csv(out / "per_class.csv")
    return scores


def by_class(runs: Sequence[Run], truths: Sequence[Truth], classes: Sequence[str]) -> pd.DataFrame:
    """A row a class that has objects: VOC's AP at IoU 0.5, the mean over the runs, and how many (none `difficult`)."""
    counted = Counter(classes[number] for truth in truths for number in truth.classes[~truth.difficult])
    precision = pd.DataFrame([run.detection.per_class for run in runs]).mean().rename_axis("class")
    return precision.to_frame("ap50_voc").assign(objects=precision.index.map(counted))


def explained(heatmaps: Path, source: Tree, attention: Path, split: str, fixations: Fixations) -> pd.DataFrame:
    """A row an image of a split: how its map in the folder `heatmaps` compares with where people look.

    The sample's splits with a cue are asked another thing: how much the detector looks at it.
    """
    ids, plain = source.ids(split), split == "test"
    if not heatmaps.is_dir():
        return pd.DataFrame({"id": ids})

    def row(image_id: str) -> dict[str, object]:
        heatmap = maps.load(heatmaps / f"{image_id}.png")
        if plain:
            return {"id": image_id, **agreement.against(heatmap, attention, image_id, fixations)}
        return {"id": image_id, **on_cue(heatmap, source, image_id)}

    rows = mapped(lambda: row, ids)
    return pd.DataFrame(tqdm(rows, desc=split, total=len(ids), unit="image", mininterval=1))


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


def on_cue(heatmap: np.ndarray, source: Tree, image_id: str) -> dict[str, float]:
    """The share of the most salient pixels that lie on the sample's cue, and the cue's share of the image (chance)."""
    mask = read_mask(source, image_id)
    if mask is None:
        return {}
    top = maps.top(maps.scale(heatmap, *mask.shape), TOP)
    cue = mask == CUE
    return {"on_cue": float(top[cue].sum() / top.sum()) if top.any() else 0.0, "cue_area": float(cue.mean())}


def scored(runs: Mapping[str, Sequence[Run]], resampling: params.Score) -> dict[str, Score]:
    """Every score of an arm by its name, `group.name` (see `training.headings`), from its seeds' runs on each split."""
    plain = runs["test"]
    scores = {f"detection.{name}": _precision(plain, name) for name in ("map50", "map", "map50_voc")}
    for truth in TRUTHS:
        for metric in METRICS:
            if f"{truth}_{metric}" in plain[0].images:
                scores[f"{truth}.{metric}"] = _mean_over_images(plain, f"{truth}_{metric}", resampling)
    if "test_random" in runs:
        none = scores["detection.map50"]
        matching, random = (_precision(runs[f"test_{condition}"], "map50") for condition in ("matching", "random"))
        scores |= {
            "cue.map50_matching": matching,
            "cue.map50_random": random,
            "cue.gain": matching - none,
            "cue.harm": none - random,
            "cue.reliance": matching - random,
        }
        if "on_cue" in runs["test_random"][0].images:
            scores["cue.looked_at"] = _mean_over_images(runs["test_random"], "on_cue", resampling)
    return scores


def _precision(runs: Sequence[Run], name: str) -> Score:
    values = np.array([getattr(run.detection, name).value for run in runs])
    return Score(values, np.array([run.detection.samples[name] for run in runs]), len(runs[0].images))


def _mean_over_images(runs: Sequence[Run], name: str, resampling: params.Score) -> Score:
    columns = [run.images[name].to_numpy(np.float64) for run in runs]
    samples = np.array([resampled_means(column, resampling.resamples, resampling.seed) for column in columns])
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
    names = [f"{truth}_{baseline}_{metric}" for truth in TRUTHS for baseline in BASELINES for metric in METRICS]
    return {name: round(float(images[name].mean()), 6) for name in names if name in images}
