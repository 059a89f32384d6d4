"""Which layer and method explain a detector best: `salvoc layers` ranks them by what hiding their pixels costs."""

from collections.abc import Sequence

import pandas as pd

from toolkit import saliency
from toolkit.detectors.adapter import Adapter
from toolkit.faithfulness.cases import Case
from toolkit.faithfulness.rivals import RIVALS
from toolkit.faithfulness.trials import SPLIT, Measure, Trial, costed, drawn, probed, trials
from toolkit.faithfulness.verdict import as_read, by_image, side_by_side, summary
from toolkit.params import Detector, Faithfulness, Saliency
from toolkit.voc import Tree


def ways(kind: type[Adapter], settings: Saliency, methods: Sequence[str], layers: Sequence[str] = ()) -> list[Saliency]:
    """Every method at each of these layers, by default at the detector's stages and at the method's own (`default`).

    Layers joined by + are for those methods that can join them: not for EigenCAM. D-RISE explains no layer: it comes
    once.
    """
    found = []
    for method in methods:
        way = settings.model_copy(update={"method": method, "layer": "default"})
        own = saliency.layer_of(kind, way)
        named = dict.fromkeys(own if layer == "default" else layer for layer in layers or (*kind.stages, "default"))
        chosen = [own] if method == "drise" else [one for one in named if method != "eigencam" or "+" not in one]
        found += [way.model_copy(update={"layer": layer}) for layer in chosen]
    return found


def ranking(
    source: Tree, detector: Detector, ways: Sequence[Saliency], settings: Faithfulness,
    classes: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """A row a way to explain (method and layer) and a rival, the truest first.

    Columns as `verdict.as_read` has them, and `passes`: what the map costs, in passes of the detector over the image
    (on a CPU; on a GPU it means nothing).
    """
    ids = drawn(source.ids(SPLIT), settings.images)
    named = {f"{way.method} {way.layer}": way for way in ways}

    def prepare(adapter: Adapter) -> Measure:
        for way in ways:
            saliency.require_layer(adapter, way)

        def measure(one: Case) -> Trial:
            orders, passes = {}, {}
            for name, way in named.items():
                orders[name], passes[name] = costed(adapter, one, way)
            orders |= {name: rival.heatmap(one) for name, rival in RIVALS.items()}
            return probed(adapter, one, orders, settings, detector.at_once) | {"passes": passes}

        return measure

    made_of = [way.model_dump() for way in ways], settings.model_dump(exclude={"images"})
    made = trials(source, dict.fromkeys(ids), detector, classes, made_of, prepare, "layers", __name__)
    if not made:
        return pd.DataFrame()
    passes = pd.DataFrame([trial["passes"] for trial in made]).median()
    table = summary(by_image(made, settings))
    order = side_by_side(table).sort_values("area").index
    return as_read(table).loc[order].assign(passes=[f"{passes[name]:.1f}" if name in passes else "" for name in order])
