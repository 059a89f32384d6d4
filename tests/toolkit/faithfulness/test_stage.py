"""The stage on real scenes with the committed detector, and the ranking of layers and methods."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from toolkit import detectors, maps, params, sources
from toolkit.errors import BadInput
from toolkit.faithfulness.layers import ranking, ways
from toolkit.faithfulness.rivals import MAP, RIVALS
from toolkit.faithfulness.stage import build
from toolkit.faithfulness.trials import drawn
from toolkit.files import write
from toolkit.params import Faithfulness, Params
from toolkit.voc import VOC_CLASSES, Tree

FEW = Faithfulness(images=2, fills=["mean"], shares=[0.2], drise=False)


@pytest.fixture(scope="module")
def own() -> Params:
    """The project's own params: the detector at the size that it was trained at, and three test scenes."""
    known = params.load(ROOT / "params.yaml")
    sample = known.sample.model_copy(update={"train_scenes": 1, "test_scenes": 3})
    detector = known.detector.model_copy(update={"checkpoint": str(ROOT / "datasets" / "base.safetensors")})
    return known.model_copy(update={"sample": sample, "detector": detector})


@pytest.fixture(scope="module")
def scenes(own: Params, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("scenes"))
    sources.build(own, tree.root)
    return tree


def test_the_verdict_comes_with_what_it_rests_on(scenes: Tree, own: Params, workplace: Path) -> None:
    for image_id in scenes.ids("test"):
        write(workplace / "human" / f"{image_id}.png", maps.encode(maps.load(scenes.attention(image_id))))
    out = workplace / "out"
    out.mkdir()
    made_of = scenes, workplace, own.detector, own.saliency, FEW, VOC_CLASSES
    found = build(*made_of, out)
    assert {path.name for path in out.iterdir()} == {
        "verdict.json", "summary.csv", "curves.parquet", "kept.csv", "curves.png", "maps.png", "trials",
    }  # fmt: skip
    told = json.loads((out / "verdict.json").read_text())
    assert (told["method"], told["layer"], told["drawn"]) == ("eigencam", "backbone.body.blocks.6", 2)
    assert told["says"] == str(found)
    assert found.true is None  # of two images nothing is decided
    assert -1 < found.kept.value < 0.5
    table = pd.read_csv(out / "summary.csv")
    assert list(dict.fromkeys(table["order"])) == [MAP, *RIVALS, "people", "weights shuffled"]
    assert set(table["fill"]) == {"all", "mean"}
    curves = pd.read_parquet(out / "curves.parquet")
    assert (curves.loc[curves["direction"] == "deletion", "at 0"] >= 0.5).all()  # only what is found is tested

    stored = {path: path.stat().st_mtime_ns for path in (workplace / ".salvoc").rglob("*.json")}
    assert len(stored) == 2
    assert build(*made_of, out) == found
    assert {path: path.stat().st_mtime_ns for path in (workplace / ".salvoc").rglob("*.json")} == stored


def test_a_detector_that_finds_nothing_leaves_a_verdict_that_says_so(
    scenes: Tree, own: Params, workplace: Path
) -> None:
    blind = own.detector.model_copy(update={"weights": "imagenet"})
    found = build(scenes, workplace, blind, own.saliency, FEW, VOC_CLASSES, workplace)
    assert found.images == 0
    assert "Not tested" in json.loads((workplace / "verdict.json").read_text())["says"]
    assert not (workplace / "summary.csv").exists()


def test_an_unknown_layer_stops_it(scenes: Tree, own: Params, workplace: Path) -> None:
    wrong = own.saliency.model_copy(update={"layer": "backbone.body.blocks.9"})
    with pytest.raises(BadInput, match=r"cannot be explained at 'backbone\.body\.blocks\.9'"):
        build(scenes, workplace, own.detector, wrong, FEW, VOC_CLASSES, workplace)


def test_images_are_drawn_by_their_ids() -> None:
    ids = [f"{n:03}" for n in range(50)]
    first = drawn(ids, 10)
    assert drawn(ids[::-1], 10) == first
    assert first != ids[:10]
    assert drawn(ids, 20)[:10] == first
    assert set(drawn(ids, 100)) == set(ids)


def test_layers_and_methods_are_ranked_the_truest_first(scenes: Tree, own: Params, workplace: Path) -> None:
    layers = ["backbone.body.blocks.3", "backbone.body.blocks.6"]
    chosen = ways(detectors.find(own.detector.name), own.saliency, ["eigencam", "odam"], layers)
    assert [(way.method, way.layer) for way in chosen] == [(m, layer) for m in ("eigencam", "odam") for layer in layers]
    table = ranking(scenes, own.detector, chosen, FEW, VOC_CLASSES)
    assert set(table.index) == {*(f"{way.method} {way.layer}" for way in chosen), *RIVALS}
    deletion = [float(cell.split()[0]) for cell in table["deletion ↓"]]
    assert deletion == sorted(deletion)
    assert (table["passes"] != "").sum() == len(chosen)


def test_every_method_is_ranked_at_the_stages_and_at_its_own_layer(own: Params) -> None:
    kind = detectors.find(own.detector.name)
    chosen = ways(kind, own.saliency, ["eigencam", "odam"])
    by_method = {m: [way.layer for way in chosen if way.method == m] for m in ("eigencam", "odam")}
    assert by_method == {"eigencam": list(kind.stages), "odam": [*kind.stages, kind.joined]}
    default = ways(kind, own.saliency, ["eigencam", "odam", "drise"], ["default"])
    assert [way.layer for way in default] == [kind.layer, kind.joined, kind.layer]
    assert len(ways(kind, own.saliency, ["drise"])) == 1  # it explains no layer
