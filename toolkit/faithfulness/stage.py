"""The stage `faithfulness`: the verdict on one detector's map, with tables and pictures of what it rests on."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit import detectors, maps, pictures, saliency
from toolkit.detectors.adapter import Adapter
from toolkit.faithfulness.cases import FILLS, rank
from toolkit.faithfulness.measured import measured
from toolkit.faithfulness.randomised import DEPTHS, randomised
from toolkit.faithfulness.rivals import INSIDE, MAP, RIVALS
from toolkit.faithfulness.trials import SPLIT, drawn, explained, read
from toolkit.faithfulness.verdict import Verdict, areas, by_image, summary, verdict
from toolkit.files import read_image, write
from toolkit.params import Detector, Faithfulness, Saliency
from toolkit.voc import Tree

PICTURED, HIDDEN = 6, 0.1  # images in the contact sheet, and the share of the pixels that it hides


def build(
    source: Tree, attention: Path, detector: Detector, explaining: Saliency, settings: Faithfulness,
    classes: Sequence[str], out: Path,
) -> Verdict:  # fmt: skip
    """Test the map on images of the test split and write what came of it into `out`; returns the verdict.

    `out` gets `verdict.json`, `summary.csv` (a row an order of the pixels, direction and fill), `curves.parquet` (a row
    an image besides), `trials/ID.json` (all that was measured of an image), `kept.csv` (how much of the map is left as
    weights are shuffled), `curves.png` and `maps.png`.
    """
    layer, ids = saliency.layer_of(detectors.find(detector.name), explaining), drawn(source.ids(SPLIT), settings.images)
    made = measured(source, ids, attention, detector, explaining.model_copy(update={"layer": layer}), settings, classes)
    curves = by_image(made, settings)
    found = verdict(made, curves, settings, explaining.method, layer, len(ids))
    known = {name: value for name, value in asdict(found).items() if made or name in ("method", "layer", "drawn")}
    write(out / "verdict.json", json.dumps({"says": str(found), "true": found.true, **known}, indent=2) + "\n")
    if not made:
        return found
    for trial in made:
        timeless = {name: value for name, value in trial.items() if name != "passes"}  # the same bytes whenever it runs
        write(out / "trials" / f"{trial['id']}.json", json.dumps(timeless))
    curves.to_parquet(out / "curves.parquet")
    summary(curves).to_csv(out / "summary.csv", index=False, float_format="%.4f")
    kept = pd.DataFrame([trial["kept"] for trial in made]).mean()
    kept.rename_axis("share of layers shuffled").rename("correlation").to_csv(out / "kept.csv", float_format="%.4f")
    pictures.falling(curves, settings.shares, out / "curves.png")
    gaps = (areas(curves, "deletion")[MAP] - areas(curves, "deletion")[INSIDE]).sort_values(kind="stable")
    chosen = gaps.iloc[np.linspace(0, len(gaps) - 1, min(PICTURED, len(gaps))).round().astype(int)]
    adapter = detectors.load(detector, classes)
    pair = adapter, randomised(adapter, max(DEPTHS))
    rows = [_row(*pair, source, str(image_id), explaining, classes) for image_id in chosen.index]
    pictures.sheet(
        rows, out / "maps.png", [f"{image_id}\nmap - inside: {gap:+.2f}" for image_id, gap in chosen.items()]
    )
    return found


def _row(
    adapter: Adapter, forgotten: Adapter, source: Tree, image_id: str, explaining: Saliency, classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """One image of the contact sheet: its map, what hiding the first pixels leaves of it, and of its rival's."""
    one = read(adapter, source, image_id, classes)
    assert one is not None  # it was tested
    image = read_image(source.image(image_id))
    heatmap, after = (explained(which, one, explaining) for which in (adapter, forgotten))
    filled = np.rint(FILLS["mean"](one.image).permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)

    def hidden(order: np.ndarray) -> np.ndarray:
        return np.where((rank(order, image_id) < HIDDEN)[..., None], filled, image)

    return {
        "image": pictures.framed(image, [one.box.tolist()]),
        "map": pictures.overlay(image, heatmap),
        f"map's first {HIDDEN:.0%} hidden": hidden(heatmap),
        "blobs inside the box hidden": hidden(RIVALS[INSIDE].heatmap(one)),
        "map, weights shuffled": pictures.overlay(image, maps.normalise(after)),
    }
