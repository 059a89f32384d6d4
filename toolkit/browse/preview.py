"""What `select` and `erasing` would do with other settings: shown in the App before anything runs.

The selection is `toolkit.selection`'s and the pixels are `toolkit.variants`'s own, of the maps that the stages read.
Masks are no files: the App asks its server for `.salvoc/preview/PERCENT/ID.png`, which draws it when it is looked at
(`drawn`), so that a slider costs much the same for 20 images and for 20,000.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from toolkit import maps, params, places
from toolkit.browse.looks import MASKS
from toolkit.browse.run import SOURCE
from toolkit.files import png
from toolkit.selection import select
from toolkit.variants.regions import most_salient
from toolkit.voc import Tree

if TYPE_CHECKING:
    import fiftyone

FIELD = "preview"  # of a sample: the pixels that would be erased
PLACE = Path(".salvoc") / "preview"
((ERASED, (NAME, _)),) = MASKS[FIELD].items()  # in a mask; 0 elsewhere
BIN = 0.02  # of IoU, about
SELECTED, OTHER = "#ff6d04", "#8a8f98"  # the histogram's bars; the first is the App's own accent


@dataclass(frozen=True)
class Knobs:
    """The settings of `aug` that the panel moves."""

    threshold: float
    erase_percent: float
    against: str


KNOBS = [field.name for field in fields(Knobs)]


def settings() -> Knobs:
    """params.yaml's."""
    aug = params.load(places.PARAMS).aug
    return Knobs(**{knob: getattr(aug, knob) for knob in KNOBS})


def selection(knobs: Knobs) -> pd.DataFrame:
    """What `select` would say of each train image."""
    return select(pd.read_parquet(places.AGREEMENT), knobs.threshold, knobs.against)


def show(dataset: "fiftyone.Dataset", knobs: Knobs) -> "fiftyone.DatasetView":
    """Lay what would be erased over the images that would be selected; these, the least agreement first."""
    import fiftyone as fo

    if not dataset.has_sample_field(FIELD):
        _declare(fo, dataset)
    dataset.clear_sample_field(FIELD)
    paths, ids = dataset.select_group_slices(SOURCE).values(["filepath", "id"])
    known = {Path(path).stem: sample for path, sample in zip(paths, ids, strict=True)}
    rows = selection(knobs)
    chosen = rows[rows["selected"]].sort_values("iou", kind="stable")["id"]
    masks = {known[image_id]: fo.Segmentation(mask_path=str(mask(image_id, knobs))) for image_id in chosen}
    dataset.set_values(FIELD, masks, key_field="id")
    drawn = fo.ViewField(f"{FIELD}.mask_path").contains_str(f"/{PLACE}/{knobs.erase_percent:g}/")
    return dataset.select(list(masks), ordered=True).match(drawn)  # of the same view the App would show the old masks


def clear(dataset: "fiftyone.Dataset") -> None:
    """Take the preview out of the dataset again."""
    if dataset.has_sample_field(FIELD):
        dataset.delete_sample_field(FIELD)
        dataset.mask_targets.pop(FIELD)
        dataset.save()


def _declare(fo: ModuleType, dataset: "fiftyone.Dataset") -> None:
    """The field; its colour is among the dataset's."""
    about = "What would be erased, by the settings of the panel Selection"
    dataset.add_sample_field(FIELD, fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation, description=about)
    dataset.mask_targets[FIELD] = {ERASED: NAME}
    dataset.save()


def mask(image_id: str, knobs: Knobs) -> Path:
    """Where the App asks for an image's mask."""
    return (PLACE / f"{knobs.erase_percent:g}" / f"{image_id}.png").absolute()


def drawn(path: Path) -> bytes | None:
    """The mask that lies at the path, as PNG of the image's size; None where that is no preview's."""
    if path.parent.parent != PLACE.absolute():
        return None
    with Image.open(Tree(places.SOURCE).image(path.stem)) as image:
        width, height = image.size
    saliency = maps.scale(maps.load(places.SALIENCY / path.name), height, width)
    region = most_salient(saliency, float(path.parent.name), path.stem)
    return png(np.where(region, np.uint8(ERASED), np.uint8(0)))


def told(rows: pd.DataFrame) -> str:
    """How many images would be selected."""
    count, total = int(rows["selected"].sum()), len(rows)
    return f"**{count:,} of {total:,}** train images ({count / max(total, 1):.0%}) would be selected."


def histogram(rows: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """The train images' IoU for Plotly: those that would be selected in another colour, the threshold a line."""
    size = threshold / max(round(threshold / BIN), 1) or BIN  # so that no bar straddles the line
    bars = {"type": "histogram", "xbins": {"start": 0, "end": 1 + size, "size": size}, "autobinx": False}
    data = [
        bars
        | {"x": rows["iou"][rows["selected"] == chosen].dropna().tolist(), "name": name, "marker": {"color": colour}}
        for chosen, name, colour in ((True, "selected", SELECTED), (False, "not selected", OTHER))
    ]
    line = {"type": "line", "x0": threshold, "x1": threshold, "yref": "paper", "y0": 0, "y1": 1}
    layout = {
        "barmode": "stack", "bargap": 0.05, "showlegend": False, "margin": {"t": 10, "l": 45, "r": 10, "b": 45},
        "xaxis": {"title": {"text": "IoU of attention and saliency"}}, "yaxis": {"title": {"text": "train images"}},
        "shapes": [line | {"line": {"color": SELECTED, "width": 2, "dash": "dash"}}],
    }  # fmt: skip
    return {"data": data, "layout": layout}


def command(knobs: Knobs) -> str:
    """What runs the pipeline with these settings."""
    line = f"dvc exp run -S aug.threshold={knobs.threshold:g} -S aug.erase_percent={knobs.erase_percent:g}"
    return line if knobs.against == settings().against else f"{line} -S aug.against={knobs.against}"
