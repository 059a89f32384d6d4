"""Which map one may believe: the test of `toolkit.faithfulness` for each method of explanation of one detector."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit import detectors, saliency
from toolkit.bootstrap import Estimate
from toolkit.faithfulness.measured import measured
from toolkit.faithfulness.trials import drawn
from toolkit.faithfulness.verdict import by_image, summary, verdict
from toolkit.files import write
from toolkit.params import Detector, Faithfulness, Saliency
from toolkit.voc import Tree
from training.study.images import SPLIT

ANSWERS = {True: "yes", False: "no", None: "cannot tell"}
COLUMNS = {  # of the table, by what `toolkit.faithfulness.verdict` calls them
    "deletion": "deletion less blobs inside ↓",
    "insertion": "insertion less blobs inside ↑",
    "inside": "of the map in the box ↑",
    "box": "the box, of the image",
    "kept": "kept with weights shuffled ↓",
}


def build(
    folder: Path, detector: Detector, methods: Sequence[Saliency], settings: Faithfulness, classes: Sequence[str],
    out: Path,
) -> None:  # fmt: skip
    """Write a table `out` (CSV), a row a method: the verdict on its map, and what it costs in passes of the detector.

    It is tested on the images of `folder` (see `images.build`) in which the detector finds an annotated object. With
    `settings.drise` D-RISE, the black-box reference, has a row of its own.
    """
    source, kind, rows = Tree(folder / "source"), detectors.find(detector.name), []
    ids = drawn(source.ids(SPLIT), settings.images)
    for number, method in enumerate(methods):
        layer = saliency.layer_of(kind, method)
        own = settings.model_copy(update={"drise": settings.drise and not number})  # once is enough
        way = method.model_copy(update={"layer": layer})
        made = measured(source, ids, folder / "attention", detector, way, own, classes)
        curves = by_image(made, own)
        said = verdict(made, curves, own, method.method, layer, len(ids))
        cells = {title: getattr(said, name) for name, title in COLUMNS.items()}
        passes = float(np.median([one["passes"] for one in made])) if made else np.nan
        rows.append(_row(method.method, layer, said.images, ANSWERS[said.true], cells, f"{passes:.1f}"))
        if own.drise and made:
            rows.append(_reference(summary(curves), said.images))
    write(out, pd.DataFrame(rows).to_csv(index=False))


def _reference(table: pd.DataFrame, images: int) -> dict[str, object]:
    """D-RISE's row: it was an order of the pixels beside the map's."""
    whole = table[(table["order"] == "D-RISE") & (table["fill"] == "all")].set_index("direction")
    gaps = {name: Estimate(*whole.loc[name, ["difference", "difference_lo", "difference_hi"]]) for name in whole.index}
    return _row("drise", "", images, "", {COLUMNS[name]: gap for name, gap in gaps.items()}, "300")


def _row(
    method: str, layer: str, images: int, answer: str, cells: dict[str, Estimate], passes: str
) -> dict[str, object]:
    signed = {COLUMNS["deletion"], COLUMNS["insertion"]}
    told = {
        title: "" if np.isnan(known.value) else known.told("+" if title in signed else "")
        for title, known in cells.items()
    }
    return {"method": method, "layer": layer, "images": images, "true?": answer, **told, "passes": passes}
