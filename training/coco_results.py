"""Somebody else's detections, a COCO results file, scored as an arm's are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder
from toolkit.params import Params
from toolkit.sources.masks import TEST_SPLITS
from toolkit.voc import Tree
from training import score
from training.comparison import interval
from training.detections import CORNERS
from training.headings import headings

MEND = "give COCO results (a list of image_id, category_id, bbox, score) and the labels that their ids are of"


def build(results: Path, labels: Path, source: Path, params: Params, out: Path) -> str:
    """Score the results into the new folder `out`: `metrics.json` and tables; returns the scores as Markdown."""
    if out.exists():
        raise BadInput(Problem(str(out), "exists already", "name a folder that does not: nothing is overwritten"))
    tree, classes = Tree(source), params.data.classes
    table, splits = read(results, labels, tree, classes)
    with new_folder(out) as folder:
        table.to_parquet(folder / "detections.parquet")
        predictions = score.Predictions(folder / "detections.parquet", folder / "heatmaps", [0], splits)
        found = score.build(predictions, tree, folder, classes, params.score, folder / "metrics.json", folder)
    known = headings()
    rows = [[str(known[name]), s.value, *interval(s)] for name, s in found.items() if name in known]
    return pd.DataFrame(rows, columns=["", "score", "from", "to"]).to_markdown(index=False, floatfmt=".3f")


def read(results: Path, labels: Path, source: Tree, classes: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The results as the table of detections that `training.predict` writes, of seed 0, and the splits that it covers.

    Raises `BadInput` where a file is not what it should be, knows other classes, or lacks images of a test split.
    """
    split_of = {i: s for s in TEST_SPLITS if source.split(s).exists() for i in source.ids(s)}
    try:
        about, found = _json(labels), _json(results)
        images = {image["id"]: Path(image["file_name"]).stem for image in about["images"]}
        names = {category["id"]: category["name"] for category in about["categories"]}
        rows = [
            (images[f["image_id"]], names[f["category_id"]], f["score"], *f["bbox"])
            for f in found
            if images[f["image_id"]] in split_of
        ]
        table = pd.DataFrame(rows, columns=["id", "label", "score", *CORNERS])
        table = table.astype(dict.fromkeys(["score", *CORNERS], float))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(Problem(str(results), f"cannot be read ({type(error).__name__}: {error})", MEND)) from None
    if unknown := set(table["label"]) - set(classes):
        mend = "name the categories as in data.classes"
        raise BadInput(Problem(str(labels), f"has classes that params.yaml lacks: {', '.join(sorted(unknown))}", mend))
    labelled = set(images.values())
    covered = [s for s in TEST_SPLITS if s == "test" or any(split_of.get(i) == s for i in labelled)]
    lacking = [i for i, split in split_of.items() if split in covered and i not in labelled]
    if lacking:
        mend = "detect in all of them, with labels of all"
        raise BadInput(Problem(str(labels), f"lacks {len(lacking)} images of the test split: {lacking[0]}, ...", mend))
    table["x1"] += table["x0"]  # COCO's boxes are x, y, width, height
    table["y1"] += table["y0"]
    return table.assign(split=table["id"].map(split_of), seed=0), covered


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(Problem(str(path), "does not exist", MEND)) from None
