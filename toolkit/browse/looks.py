"""How the App shows the dataset: colours, what is on at first, and the sidebar's order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit.agreement import TRUTHS
from toolkit.browse import fields
from toolkit.browse.run import REFERENCE
from toolkit.metrics import METRICS
from toolkit.sources.masks import CUE, OBJECT

if TYPE_CHECKING:
    import fiftyone

# Colours from dark to light: attention is cold, saliency is warm. Where a map is 0 the App draws nothing.
COLD = ((20, 40, 130), (30, 90, 200), (30, 150, 230), (80, 215, 240), (215, 250, 235))
WARM = ((90, 0, 20), (170, 10, 20), (230, 60, 20), (255, 155, 30), (255, 245, 130))
EVALUATED = {"tp": "#2fbf71", "fp": "#ff3b3b", "fn": "#ffb000"}
TRUE = "#ffffff"  # the objects' frame: on any picture a colour that no map has
MASKS = {  # of each field a name and a colour for its values
    "parts": {OBJECT: ("object", "#3fa7d6"), CUE: ("cue", "#ff2fd0")},
    "changed": {1: ("changed", "#ff2fd0")},
    "preview": {1: ("would be erased", "#ff2fd0")},  # the panel's: the App learns of colours only as it opens
}
LEVELS = 64  # of a scale
OPACITY = 0.6


def arrange(dataset: "fiftyone.Dataset", arms: list[str]) -> None:
    """Write what the App opens with into the dataset."""
    import fiftyone as fo

    present = dataset.get_field_schema()
    config = dataset.app_config
    active = ["ground_truth", "saliency", "changed", fields.of("prediction", REFERENCE)]
    config.active_fields = fo.ActiveFields(paths=[path for path in active if path in present])
    config.sidebar_groups = [
        fo.SidebarGroupDocument(name=name, paths=shown, expanded=expanded)
        for name, paths, expanded in _groups(arms)
        if (shown := [path for path in paths if path.partition(".")[0] in present or path == "_label_tags"])
    ]
    config.color_scheme = _colours(dataset, arms)
    for field, parts in MASKS.items():
        if field in present:
            dataset.mask_targets[field] = {value: name for value, (name, _) in parts.items()}
    dataset.save()


def _groups(arms: list[str]) -> list[tuple[str, list[str], bool]]:
    """The sidebar's groups: name, paths, whether it is open at first."""
    scores = [f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS]
    own = [*(f"{truth}_gain" for truth in TRUTHS), *scores, "pointed", "cue_looked_at"]
    counts = ("tp", "fp", "fn")
    return [
        ("image", ["image", "split", "condition", "variant", "selected", "reason"], True),
        ("where", ["saliency", *map(fields.attention, TRUTHS), *(fields.of("saliency", arm) for arm in arms)], True),
        ("what", ["ground_truth", "changed", "parts", *(fields.of("prediction", arm) for arm in arms)], True),
        ("agreement of the base", scores, True),
        *(
            (
                f"arm {arm}",
                [f"{fields.of('eval', arm)}_{count}" for count in counts] + [fields.of(name, arm) for name in own],
                arm == REFERENCE,
            )
            for arm in arms
        ),
        ("tags", ["tags", "_label_tags"], False),
        ("metadata", [f"metadata.{name}" for name in ("width", "height", "size_bytes", "mime_type")], False),
    ]


def _colours(dataset: "fiftyone.Dataset", arms: list[str]) -> "fiftyone.ColorScheme":
    """Predictions by whether they are true, maps by their scales; the objects all alike."""
    import fiftyone as fo

    present = dataset.get_field_schema()
    values: dict[str, tuple[str, dict[str, str]]] = {
        "ground_truth": ("label", dict.fromkeys(dataset.distinct("ground_truth.detections.label"), TRUE)),
        **{fields.of("prediction", arm): (fields.of("eval", arm), EVALUATED) for arm in arms},
    }
    scales = dict.fromkeys(map(fields.attention, TRUTHS), COLD)
    scales |= dict.fromkeys(["saliency", *(fields.of("saliency", arm) for arm in arms)], WARM)
    return fo.ColorScheme(
        color_by="value",
        opacity=OPACITY,
        fields=[
            *(
                {
                    "path": path,
                    "fieldColor": next(iter(colours.values()), TRUE),
                    "colorByAttribute": attribute,
                    "valueColors": [{"value": value, "color": colour} for value, colour in colours.items()],
                }
                for path, (attribute, colours) in values.items()
            ),
            *(
                {"path": path, "fieldColor": "#{:02x}{:02x}{:02x}".format(*colours[2])}
                for path, colours in scales.items()
            ),
            *(
                {
                    "path": path,
                    "fieldColor": max(parts.items())[1][1],
                    "maskTargetsColors": [{"intTarget": value, "color": c} for value, (_, c) in parts.items()],
                }
                for path, parts in MASKS.items()
            ),
        ],
        colorscales=[_scale(path, colours) for path, colours in scales.items() if path in present],
    )


def _scale(path: str, colours: Sequence[tuple[int, int, int]]) -> dict[str, object]:
    """A field's colour scale, also spelled out (`rgb`): the App does so by itself only once a person edits it."""
    from fiftyone.core.plots.plotly import get_colormap

    stops = np.linspace(0, 1, len(colours)).tolist()
    listed = [{"value": value, "color": f"rgb{colour}"} for value, colour in zip(stops, colours, strict=True)]
    spelled = get_colormap([[stop["value"], stop["color"]] for stop in listed], n=LEVELS)
    return {"path": path, "list": listed, "rgb": [list(colour) for colour in spelled]}
