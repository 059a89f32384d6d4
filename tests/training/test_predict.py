"""Predictions: tables and maps are what each detector gives on each image alone, and nothing is looked at twice."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import ROOT
from toolkit import detectors, maps, processes, spread, voc
from toolkit.detectors.batches import _in_batches, through
from toolkit.files import link, png, read_image, write
from toolkit.params import Params
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree
from training import predict
from training.detections import by_image


@pytest.fixture
def whole_float32() -> Iterator[None]:
    """A GPU's convolutions would round to TF32, each algorithm in its own way."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


@pytest.fixture
def mixed(sample: Tree, tmp_path: Path) -> Tree:
    """The sample's test split, its second image wider than the others: it comes in a batch of its own, after them."""
    tree, ids = Tree(tmp_path / "mixed"), sample.ids("test")
    for image_id in ids:
        link(sample.annotation(image_id), tree.annotation(image_id))
        link(sample.image(image_id), tree.image(image_id))
    write(tree.image(ids[1]), png(np.pad(read_image(sample.image(ids[1])), ((0, 0), (0, 32), (0, 0)))))
    voc.write_ids(tree.split("test"), ids)
    return tree


@pytest.fixture
def params(settings: Params) -> Params:
    """The committed detector at the size that it was trained at."""
    detector = settings.detector.model_copy(update={"size": 256})
    return settings.model_copy(update={"detector": detector})


@pytest.fixture
def arm(workplace: Path) -> Path:
    """An arm of one seed, whose weights are the committed ones."""
    (workplace / "arm").mkdir()
    shutil.copyfile(ROOT / "datasets" / "base.safetensors", workplace / "arm" / "seed-1.safetensors")
    return workplace / "arm"


def predicted(arm: Path, tree: Tree, params: Params, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    out.mkdir()
    predict.build("none", arm, tree, params, out, out / "heatmaps")
    return pd.read_parquet(out / "detections.parquet"), pd.read_parquet(out / "objects.parquet")


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("method", ["eigencam", "gradcam"])
@pytest.mark.parametrize("way", [through, _in_batches], ids=["this machine's way", "a GPU's, walked on what there is"])
def test_a_prediction_is_what_the_detector_gives_on_the_image_alone(
    arm: Path, mixed: Tree, params: Params, workplace: Path, monkeypatch: pytest.MonkeyPatch, way: Callable, method: str
) -> None:
    monkeypatch.setattr(predict, "through", way)
    explained = params.model_copy(update={"saliency": params.saliency.model_copy(update={"method": method})})
    table, _ = predicted(arm, mixed, explained, workplace / "out")
    adapter, ids = detectors.load(params.detector, params.data.classes), mixed.ids("test")
    assert list(table["id"].unique()) == ids
    assert table["split"].eq("test").all() and table["seed"].eq(1).all()
    for image_id, found in zip(ids, by_image(table, ids, params.data.classes), strict=True):
        image = to_tensor(read_image(mixed.image(image_id))).to(device())
        ((alone, _, heatmap),) = predict.examine(adapter, [image], explained.saliency)
        sure, known = found.scores > 0.3, alone["scores"].cpu().numpy() > 0.3
        assert sure.any()
        assert (found.classes[sure] + 1 == alone["labels"].cpu().numpy()[known]).all()
        assert found.boxes[sure] == pytest.approx(alone["boxes"].cpu().numpy()[known], abs=0.05)
        assert found.scores[sure] == pytest.approx(alone["scores"].cpu().numpy()[known], abs=1e-3)
        stored = maps.load(workplace / "out" / "heatmaps" / "seed-1" / f"{image_id}.png")
        assert stored == pytest.approx(heatmap, abs=1e-3)


def test_every_annotated_object_has_the_log_odds_of_its_class(
    arm: Path, sample: Tree, params: Params, workplace: Path
) -> None:
    table, objects = predicted(arm, sample, params, workplace / "out")
    assert list(objects["split"].unique()) == ["test", "test_matching", "test_random"]
    for image_id, rows in objects.groupby("id"):
        known = voc.read(sample.annotation(str(image_id))).objects
        assert list(rows["label"]) == [o.name for o in known]
        for o, log_odds in zip(known, rows["log_odds"], strict=True):
            found = table[(table["id"] == image_id) & (table["label"] == o.name)]
            left, top = np.maximum(found[["x0", "y0"]], o.box[:2]).T.to_numpy()
            right, bottom = np.minimum(found[["x1", "y1"]], o.box[2:]).T.to_numpy()
            shared = (right - left).clip(0) * (bottom - top).clip(0)
            sizes = (found["x1"] - found["x0"]) * (found["y1"] - found["y0"])
            own = (o.box[2] - o.box[0]) * (o.box[3] - o.box[1])
            over = found["score"][shared / (sizes + own - shared) >= 0.51]  # of what was found in the end
            if len(over):
                assert log_odds >= np.log(over.max() / (1 - over.max())) - 1e-3
    assert np.isfinite(objects["log_odds"]).mean() > 0.5


def test_no_image_is_looked_at_twice(
    arm: Path, sample: Tree, params: Params, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predicted(arm, sample, params, workplace / "out")

    def fail(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(detectors, "load", fail)
    again = predicted(arm, sample, params, workplace / "again")
    assert all(table.equals(other) for table, other in zip(first, again, strict=True))


def test_each_of_several_processes_keeps_its_chunks_and_the_stage_finds_them_all(
    arm: Path, mixed: Tree, params: Params, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (spread, predict):
        monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(processes, "count", lambda: 2)
    seen = []
    for rank in (0, 1):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        predict.keep("none", arm, mixed, params)
        seen.append({path.stem for path in Path(".salvoc/predictions").rglob("*.npz")})
    count = len(mixed.ids("test"))
    assert len(seen[0]) == sum(number // 2 % 2 == 0 for number in range(count))
    assert seen[0] < seen[1] and len(seen[1]) == count
    monkeypatch.setattr(predict, "through", lambda *_: pytest.fail("looked again"))
    table, _ = predicted(arm, mixed, params, workplace / "out")
    assert list(table["id"].unique()) == mixed.ids("test")
