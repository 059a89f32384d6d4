"""What an arm came to in any experiment, read out of DVC's cache; the working tree stays as it is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError
from dvc_data.index import DataIndexDirError
from pydantic import ValidationError

from toolkit import maps, places
from toolkit.errors import BadInput, Problem
from toolkit.params import Params
from toolkit.shards import INDEX, Index
from toolkit.voc import Tree
from training.comparison import Score
from training.tables import first_seed, stored_scores

WORKSPACE = "workspace"  # what DVC calls the files as they lie here
ABSENT = (FileNotFoundError, DvcException, DataIndexDirError)  # neither here, nor in git, nor in DVC's cache


@dataclass(frozen=True)
class Results:
    """What an arm came to on the test images, each of its seeds a `run` from 0."""

    seeds: tuple[int, ...]
    scores: dict[str, Score]
    images: pd.DataFrame  # images.parquet, whole
    failures: pd.DataFrame | None  # failures.parquet; None where an older salvoc wrote none

    def of(self, seeds: Sequence[int]) -> "Results":
        """The same of some seeds; what has one and no training (`base`) stands in for each of them."""
        runs = [self.seeds.index(seed) if seed in self.seeds else 0 for seed in seeds]
        scores = {n: Score(s.values[runs], s.samples[runs], s.images) for n, s in self.scores.items()}
        failures = None if self.failures is None else _runs(self.failures, runs)
        return Results(tuple(seeds), scores, _runs(self.images, runs), failures)


class Experiment:
    """An experiment: a git revision, the name of a DVC experiment, or `WORKSPACE`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._files = DVCFileSystem(rev=None if name == WORKSPACE else name)
        try:
            _ = self._files.repo
        except (RevError, DvcException):
            mend = f"name a commit, a branch, an experiment of `dvc exp list --all`, or {WORKSPACE}"
            raise BadInput(Problem("command line", f"knows no revision or experiment {name!r}", mend)) from None

    @cached_property
    def params(self) -> Params:
        """Its params.yaml; raises `BadInput` where another version of salvoc wrote it."""
        try:
            return Params.model_validate(yaml.safe_load(self.read(places.PARAMS)))
        except ValidationError:
            fault, mend = "is of another version of salvoc", "run that experiment anew"
            raise BadInput(Problem(f"{places.PARAMS} of {self.name}", fault, mend)) from None

    def read(self, path: Path) -> bytes:
        """A file's bytes; raises `BadInput` where neither git nor DVC's cache has it."""
        try:
            return self._content(path)
        except ABSENT:
            if self.name == WORKSPACE:
                raise BadInput(Problem(str(path), "does not exist", "`dvc repro` makes it, or `dvc pull`")) from None
            mend = f"`dvc pull` fetches what was pushed; `dvc exp apply {self.name}` and `dvc repro` make it anew"
            raise BadInput(Problem(f"{path} of {self.name}", "is not in DVC's cache", mend)) from None

    def _content(self, path: Path) -> bytes:
        """As `toolkit.shards.read`; raises one of `ABSENT`."""
        try:
            with self._files.open(str(path), "rb") as file:
                content: bytes = file.read()
                return content
        except ABSENT:
            with self._files.open(str(path.parent / INDEX), "rb") as file:
                place = Index(file).find(path.name)
            if place is None:
                raise
        with self._files.open(str(path.parent / place.shard), "rb") as shard:
            return place.read(shard)

    def results(self, arm: str) -> Results:
        """What `training.score` wrote of an arm."""
        if arm not in self.params.arms:
            mend = f"it has {', '.join(self.params.arms)}"
            raise BadInput(Problem("command line", f"asks {self.name} for an arm {arm!r}", mend))
        folder = places.SCORES / arm
        table = BytesIO(self.read(folder / "images.parquet"))
        images = pd.read_parquet(table)
        failures = None
        if self._files.exists(str(folder / "failures.parquet")):
            failures = pd.read_parquet(BytesIO(self.read(folder / "failures.parquet")))
        scores = stored_scores(BytesIO(self.read(folder / "resamples.parquet")), first_seed(table))
        return Results(tuple(self.params.train_of(arm).seeds), scores, images, failures)

    def tested(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """By id the MD5 of each test image and of its annotation."""
        tree = Tree(places.SOURCE)
        return {i: (self._hash(tree.image(i)), self._hash(tree.annotation(i))) for i in ids}

    def _hash(self, path: Path) -> str:
        """What DVC has noted of a file, so that it need not be read; of one that lies here its own."""
        try:
            noted = self._files.info(str(path)).get("md5")
        except ABSENT:
            noted = None
        return noted or hashlib.md5(self.read(path), usedforsecurity=False).hexdigest()

    def heatmap(self, arm: str, seed: int, image_id: str) -> np.ndarray:
        """An arm's map of a test image [h, w]."""
        path = places.HEATMAPS / arm / f"seed-{seed}" / f"{image_id}.png"
        return maps.decode(self.read(path), f"{path} of {self.name}")

    def detections(self, arm: str) -> pd.DataFrame:
        """The table that `training.predict` wrote of an arm."""
        return pd.read_parquet(BytesIO(self.read(places.PREDICTIONS / arm / "detections.parquet")))


def _runs(table: pd.DataFrame, runs: Sequence[int]) -> pd.DataFrame:
    """A table's rows of some runs, which are numbered anew; one may come several times."""
    parts = [table[table["run"] == run].assign(run=number) for number, run in enumerate(runs)]
    return pd.concat(parts, ignore_index=True)
