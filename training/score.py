"""What an arm's predictions score on the untouched test split: detection, agreement with people, reliance on the cue.

Every score is each seed's own value and bootstrap resamples. The resamples draw the same images in every arm, seed and
condition, so that a difference of two scores is one in pairs (training/comparison.py).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from toolkit import agreement, boxes, maps, params, voc
from toolkit.agreement import TRUTHS, Fixations
from toolkit.bootstrap import resampled_means
from toolkit.files import write
from toolkit.metrics import BASELINES, METRICS
from toolkit.sources.masks import CUE, TEST_SPLITS, read_mask
from toolkit.voc import Tree
from toolkit.workers import mapped
from training import average_precision, failures
from training.average_precision import VOC_IOU, Detection, Truth, box_iou
from training.comparison import Score, interval, stored
from training.detections import Detections, by_image
from training.headings import VERDICTS

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
    objects: Path | None = None  # the table of annotated objects, where there is one


def build(
    predictions: Predictions, source: Tree, attention: Path, classes: Sequence[str], resampling: params.Score,
    metrics: Path, out: Path,
) -> dict[str, Score]:  # fmt: skip
    """Score predictions: a handful of numbers into `metrics`, all else into `out`; without maps there is no agreement.

    `out` gets `scores.csv` (see `listed`), `resamples.parquet` (a row a seed and resample, a column a score, so that
    arms can be compared in pairs), `images.parquet` (a row an image, split and seed; see `explained` and `judged`),
    `failures.parquet` (a row a failure on the split `test` and seed; see training/failures.py) and `per_class.csv` (see
    `by_class`). Returns the scores by name.
    """
    table = pd.read_parquet(predictions.detections)
    objects = pd.read_parquet(predictions.objects) if predictions.objects else None
    splits = [split for split in predictions.splits if source.split(split).exists()]
    fixations = agreement.fixations_of(source, attention)
    truths = {split: [truth_of(source, image_id, classes) for image_id in source.ids(split)] for split in splits}
    runs: dict[str, list[Run]] = {split: [] for split in splits}
    failed: list[pd.DataFrame] = []
    for split in splits:
        ids = source.ids(split)
        for seed in predictions.seeds:
            found = by_image(table[(table["split"] == split) & (table["seed"] == seed)], ids, classes)
            detection = average_precision.evaluate(
                truths[split], found, classes, resampling.resamples, resampling.seed, resampling.objects
            )
            images = explained(predictions.heatmaps / f"seed-{seed}", source, attention, split, fixations)
            if split == "test":
                images = pd.concat([images, judged(truths[split], found, classes)], axis=1)
                failed.append(failures.listed(found, truths[split], ids, classes).assign(run=len(failed)))
            if objects is not None and split == "test_random":
                images["cue_log_odds"] = surer(objects[objects["seed"] == seed], source.ids("test_matching"), ids)
            runs[split].append(Run(detection, images))
    scores = scored(runs, resampling)
    write(metrics, json.dumps(headline(scores), indent=2) + "\n")
    listed(scores, runs["test"]).to_csv(out / "scores.csv", index=False, float_format="%.6g")
    stored(scores).to_parquet(out / "resamples.parquet")
    tables = [r.images.assign(split=split, run=n) for split in splits for n, r in enumerate(runs[split])]
    pd.concat(tables, ignore_index=True).to_parquet(out / "images.parquet")
    pd.concat(failed, ignore_index=True).to_parquet(out / "failures.parquet")
    by_class(runs["test"], truths["test"], classes).to_csv(out / "per_class.csv")
    return scores


def by_class(runs: Sequence[Run], truths: Sequence[Truth], classes: Sequence[str]) -> pd.DataFrame:
    """A row a class that has objects: VOC's AP at IoU 0.5, the mean over the runs, and how many (none `difficult`)."""
    counted = Counter(classes[number] for truth in truths for number in truth.classes[~truth.difficult])
    precision = pd.DataFrame([run.detection.per_class for run in runs]).mean().rename_axis("class")
    return precision.to_frame("ap50_voc").assign(objects=precision.index.map(counted))


def explained(heatmaps: Path, source: Tree, attention: Path, split: str, fixations: Fixations) -> pd.DataFrame:
    """A row an image of a split: how its map in the folder `heatmaps` compares with where people look.

    And whether it looks at the annotated objects (see `boxes.looked_into`). The sample's splits with a cue are asked
    another thing: how much the detector looks at it.
    """
    ids, plain = source.ids(split), split == "test"
    if not heatmaps.is_dir():
        return pd.DataFrame({"id": ids})

    def row(image_id: str) -> dict[str, object]:
        heatmap = maps.load(heatmaps / f"{image_id}.png")
        if plain:
            known = voc.read(source.annotation(image_id))
            objects = boxes.covered([o.box for o in known.objects], known.height, known.width)
            agreed = agreement.against(heatmap, attention, image_id, fixations)
            return {"id": image_id, **agreed, **boxes.looked_into(heatmap, objects)}
        return {"id": image_id, **on_cue(heatmap, source, image_id)}

    rows = mapped(lambda: row, ids)
    return agreement.table_of(tqdm(rows, desc=split, total=len(ids), unit="image", mininterval=1))


def judged(truths: Sequence[Truth], found: Sequence[Detections], classes: Sequence[str]) -> pd.DataFrame:
    """A row an image: its main object's class (`main`), and what the detector made of that object (`verdict`).

    The main object is the largest that is not `difficult`; without one both are None. Of the detections that overlap it
    by half the surest says its class; where there is none it was not found.
    """
    right, wrong, missed = VERDICTS
    rows: list[tuple[str | None, str | None]] = []
    for truth, own in zip(truths, found, strict=True):
        if truth.difficult.all():
            rows.append((None, None))
            continue
        width, height = (truth.boxes[:, 2:] - truth.boxes[:, :2]).T
        main = int(np.where(truth.difficult, -1, width * height).argmax())
        near = np.flatnonzero(box_iou(own.boxes, truth.boxes[[main]])[:, 0] >= VOC_IOU)
        verdict = missed
        if near.size:
            said = own.classes[near[own.scores[near].argmax()]]
            verdict = right if said == truth.classes[main] else wrong
        rows.append((classes[truth.classes[main]], verdict))
    return pd.DataFrame(rows, columns=["main", "verdict"], dtype=object)


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
    return {"cue_looked_at": float(top[cue].sum() / top.sum()) if top.any() else 0.0, "cue_area": float(cue.mean())}


def surer(objects: pd.DataFrame, matching: Sequence[str], random: Sequence[str]) -> np.ndarray:
    """How much surer of each scene's main object [N] a detector is with the matching cue than with a random one.

    `objects` is the table of `training.predict` for one seed, whose first row of an image is its main object; the ids
    are the same scenes'. In nats of log-odds. NaN where no candidate overlaps the object by half, in either condition:
    that is a question of where it is, and not of what.
    """
    main = objects.drop_duplicates("id").set_index("id")["log_odds"].replace([-np.inf, np.inf], np.nan)
    return main[list(matching)].to_numpy() - main[list(random)].to_numpy()


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
        for name in ("log_odds", "looked_at"):
            if f"cue_{name}" in runs["test_random"][0].images:
                scores[f"cue.{name}"] = _mean_over_images(runs["test_random"], f"cue_{name}", resampling)
    return scores


def _precision(runs: Sequence[Run], name: str) -> Score:
    values = np.array([getattr(run.detection, name).value for run in runs])
    return Score(values, np.array([run.detection.samples[name] for run in runs]), len(runs[0].images))


def _mean_over_images(runs: Sequence[Run], name: str, resampling: params.Score) -> Score:
    columns = [run.images[name].to_numpy(np.float64) for run in runs]
    samples = np.array([resampled_means(column, resampling.resamples, resampling.seed) for column in columns])
    return Score(np.nanmean(columns, axis=1), samples, int(runs[0].images[name].count()))


def headline(scores: Mapping[str, Score]) -> dict[str, float | None]:
    """What `dvc metrics show` prints of an arm: at most six numbers, the same in every arm, with four decimals.

    `mae` and `iou` are against people where they are known for every test image, else against the gaze predictor.
    """
    tested = scores["detection.map50"].images
    truth = next((t for t in TRUTHS if f"{t}.mae" in scores and scores[f"{t}.mae"].images == tested), "gaze")
    names = {
        "map50": "detection.map50",
        "map": "detection.map",
        "mae": f"{truth}.mae",
        "iou": f"{truth}.iou",
        "reliance": "cue.reliance",
        "log_odds": "cue.log_odds",
    }
    known = {short: scores[name].value for short, name in names.items() if name in scores}
    return {short: None if np.isnan(value) else round(value, 4) for short, value in known.items()}


def listed(scores: Mapping[str, Score], runs: Sequence[Run]) -> pd.DataFrame:
    """A row a score: `metric`, `of`, `value`, `sd` over seeds, the interval's `lo` and `hi`, `seeds`, `images`.

    `of` is the detector, then what chance, the centre bias and an empty map score on the same images.
    """
    rows = [
        (name, "detector", score.value, score.spread, *interval(score), score.values.size, score.images)
        for name, score in scores.items()
    ]
    images = pd.concat([run.images for run in runs])
    for truth, of, metric in product(TRUTHS, BASELINES, METRICS):
        column = f"{truth}_{of}_{metric}"
        if column in images:
            value, known = images[column].mean(), int(runs[0].images[column].count())
            rows.append((f"{truth}.{metric}", of, value, np.nan, np.nan, np.nan, len(runs), known))
    return pd.DataFrame(rows, columns=["metric", "of", "value", "sd", "lo", "hi", "seeds", "images"])
