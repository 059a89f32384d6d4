"""All that is measured of one image: the map's curves beside its rivals', and what else tells whether it is true."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit import maps, saliency
from toolkit.detectors.adapter import Adapter
from toolkit.faithfulness.cases import Case, inside
from toolkit.faithfulness.randomised import DEPTHS, randomised
from toolkit.faithfulness.rivals import MAP, RIVALS
from toolkit.faithfulness.trials import Measure, Trial, costed, explained, probed, trials
from toolkit.files import sha256
from toolkit.metrics import cc
from toolkit.params import Detector, Faithfulness, Saliency
from toolkit.shards import exists
from toolkit.voc import Tree

TRUTHS = {"human": "people", "gaze": "gaze predictor"}  # the first that is known of an image is an order too


def measured(
    source: Tree, ids: Sequence[str], attention: Path, detector: Detector, explaining: Saliency,
    settings: Faithfulness, classes: Sequence[str],
) -> list[Trial]:  # fmt: skip
    """What is measured of each image (see `_measured`) in which the detector finds an object."""
    truths = {image_id: _truth(attention, image_id) for image_id in ids}

    def prepare(adapter: Adapter) -> Measure:
        saliency.require_layer(adapter, explaining)
        forgotten = {depth: randomised(adapter, depth) for depth in DEPTHS}

        def measure(one: Case) -> Trial:
            return _measured(adapter, forgotten, one, truths[one.id], explaining, settings, detector.at_once)

        return measure

    known = {image_id: (name, path and sha256(path)) for image_id, (name, path) in truths.items()}
    made_of = explaining.model_dump(), settings.model_dump(exclude={"images"})
    return trials(source, known, detector, classes, made_of, prepare, "faithfulness", __name__)


def _measured(
    adapter: Adapter, forgotten: Mapping[float, Adapter], one: Case, truth: tuple[str, Path | None],
    explaining: Saliency, settings: Faithfulness, at_once: int,
) -> Trial:  # fmt: skip
    """One image: what `probed` gives for the map and all that it is compared with, and what else tells of its truth.

    `inside` is the share of the map's sum in the box, `box` the box's share of the image; `kept` by depth the
    correlation of the map with that of a detector that has forgotten; `passes` what the map costs (see `costed`).
    """
    size = one.image.shape[-2:]
    heatmap, passes = costed(adapter, one, explaining)
    after = {depth: explained(other, one, explaining) for depth, other in forgotten.items()}
    orders = {MAP: heatmap} | {name: rival.heatmap(one) for name, rival in RIVALS.items()}
    name, path = truth
    if path:
        orders[name] = maps.scale(maps.load(path), *size)
    orders["weights shuffled"] = after[max(after)]
    if settings.drise:
        orders["D-RISE"] = explained(adapter, one, explaining.model_copy(update={"method": "drise"}))
    box = [float(side) for side in one.box]
    return {
        **probed(adapter, one, orders, settings, at_once),
        "inside": inside(heatmap, box),
        "box": (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1]),
        "passes": passes,
        "kept": {str(depth): cc(heatmap, other) for depth, other in after.items()},
    }


def _truth(attention: Path, image_id: str) -> tuple[str, Path | None]:
    """Where people look, by what is known of it: its name, and the map's file."""
    paths = {name: attention / folder / f"{image_id}.png" for folder, name in TRUTHS.items()}
    return next(((name, path) for name, path in paths.items() if exists(path)), ("", None))
