"""A rule, a metric and a gaze predictor are each told in one place: a row more is seen in the report and in the App."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from toolkit import agreement, attention, browse, maps, places, selection, variants, voc
from toolkit.attention import PREDICTORS, Predictor
from toolkit.files import new_folder, write
from toolkit.metrics import METRICS, Metric
from toolkit.params import Arm, Params
from toolkit.variants.rules import RULES, Changed, Rule
from toolkit.voc import Tree
from training import report, score
from training.score import Predictions

ARMS = {"base": Arm(variant="none", steps=0), "none": Arm(variant="none"), "white": Arm(variant="whitening")}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that paints selected images white, a metric that is always .123, a predictor that sees the left edge."""

    def whitened(originals: list, settings: object) -> list[Changed]:
        return [Changed(np.full_like(o.image, 255), o.xml, np.ones(o.image.shape[:2], bool)) for o in originals]

    def left(images: list[np.ndarray]) -> list[np.ndarray]:
        return [np.array([[1.0, 0.0], [1.0, 0.0]]) for _ in images]

    monkeypatch.setitem(RULES, "whitening", Rule("all white", whitened))
    monkeypatch.setitem(METRICS, "steady", Metric("Steady", lambda heatmap, truth: 0.123, higher_is_better=False))
    monkeypatch.setitem(sys.modules, "lefty", SimpleNamespace(left=left))
    monkeypatch.setitem(PREDICTORS, "left", Predictor("lefty", "the left edge"))


@pytest.fixture
def params(settings: Params) -> Params:
    return settings.model_copy(
        update={"arms": ARMS, "attention": settings.attention.model_copy(update={"predictor": "left"})}
    )


def study(sample: Tree, params: Params) -> None:
    """All stages but those that need a detector, which looks at random places and finds every object."""
    places.SOURCE.symlink_to(sample.root)
    places.HUMAN.mkdir()
    source, rng = Tree(places.SOURCE), np.random.default_rng(0)
    with new_folder(places.ATTENTION) as out:
        attention.build(source, params.attention.predictor, places.HUMAN, out)
    for image_id in source.all_ids():
        write(places.SALIENCY / f"{image_id}.png", maps.encode(maps.normalise(rng.random((6, 6)))))
    agreement.build(source, places.SALIENCY, places.ATTENTION).to_parquet(places.AGREEMENT)
    chosen = selection.build(pd.read_parquet(places.AGREEMENT), {arm: params.aug_of(arm) for arm in params.arms})
    chosen.to_parquet(places.SELECTION)
    objects = {i: voc.read(source.annotation(i)).objects for i in source.ids("test")}
    found = [("test", 1, i, o.name, 0.9, *o.box) for i, known in objects.items() for o in known]
    table = pd.DataFrame(found, columns=["split", "seed", "id", "label", "score", "x0", "y0", "x1", "y1"])
    write(places.FAITHFULNESS / "verdict.json", json.dumps({"says": "Is the map true? Not tested."}))
    for arm, row in params.arms.items():
        own, aug = chosen[chosen["arm"] == arm], params.aug_of(arm)
        variants.build(arm, row.variant, source, places.SALIENCY, own, aug, places.VARIANTS / arm)
        (places.PREDICTIONS / arm).mkdir(parents=True)
        table.to_parquet(places.PREDICTIONS / arm / "detections.parquet")
        (places.HEATMAPS / arm).mkdir(parents=True)
        (places.HEATMAPS / arm / "seed-1").symlink_to(places.SALIENCY.absolute())
        write(places.CURVES / arm / "seed-1" / "plots" / "metrics" / "loss.tsv", "step\tloss\n0\t1\n1\t0\n")
        predictions = Predictions(places.PREDICTIONS / arm / "detections.parquet", places.HEATMAPS / arm, [1])
        with new_folder(places.SCORES / arm) as out:
            file = places.METRICS / f"{arm}.json"
            score.build(predictions, source, places.ATTENTION, params.data.classes, params.score, file, out)


@pytest.mark.usefixtures("workplace", "rows")
def test_a_row_more_is_seen_in_the_report_and_in_the_app(
    sample: Tree, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(sample, params)
    scores = pd.read_csv(places.SCORES / "white" / "scores.csv", index_col=["of", "metric"])["value"]
    assert scores["detector", "human.steady"] == scores["centre", "human.steady"] == 0.123
    with new_folder(places.STUDY) as out:
        text = report.build(params, out)
    assert "| white " in text
    for truth in agreement.TRUTHS:
        assert f"Steady {truth} ↓" in text
    assert "The gaze predictor is `left`: the left edge." in text

    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "")
    white = browse.Arm(
        Tree(places.VARIANTS / "white"), places.HEATMAPS / "white" / "seed-1",
        pd.read_parquet(places.PREDICTIONS / "white" / "detections.parquet"),
        pd.read_parquet(places.SCORES / "white" / "images.parquet"),
    )  # fmt: skip
    table, chosen = pd.read_parquet(places.AGREEMENT), pd.read_parquet(places.SELECTION)
    run = browse.Run(Tree(places.SOURCE), places.ATTENTION, places.SALIENCY, table, chosen, {"white": white})
    with new_folder(places.FIFTYONE) as out:
        browse.build(run, out, place=places.FIFTYONE)
    dataset = browse.load(places.FIFTYONE, "rows")
    import fiftyone  # connected by now

    first = dataset.match(fiftyone.ViewField("split") == "train").first()
    assert (first.human_steady, first.gaze_steady) == (0.123, 0.123)
    painted = dataset.select_group_slices("white")
    assert len(painted) == chosen[chosen["arm"] == "white"]["selected"].sum() > 0
    shown = maps.load(Path(first.gaze_attention.map_path))
    assert shown[:, 0].min() == 1 and shown[:, -1].max() == 0
