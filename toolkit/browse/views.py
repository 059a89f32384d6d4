"""What the App shows when it opens: fields, colours, and the views in its list."""

from types import ModuleType
from typing import TYPE_CHECKING

from toolkit.agreement import TRUTHS

if TYPE_CHECKING:
    import fiftyone

COLOURS = {"human_attention": "#2ca02c", "gaze_attention": "#1f77ff", "saliency": "#ff2020", "ground_truth": "#d97706"}
SOURCE = "source"  # what `variant` says of an image that no variant changed


def declare(
    fo: ModuleType, dataset: "fiftyone.Dataset", heatmaps: list[str], predictions: list[str], scores: list[str]
) -> None:
    """The fields there are, in the order of the App's sidebar, whether or not an image has them."""
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for field in heatmaps:
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Heatmap)
    for field in predictions:
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.add_sample_field("variant", fo.StringField)
    dataset.add_sample_field("selected", fo.BooleanField)
    dataset.add_sample_field("reason", fo.StringField)
    for field in scores:
        dataset.add_sample_field(field, fo.FloatField)


def arrange(fo: ModuleType, dataset: "fiftyone.Dataset", variants: list[str]) -> None:
    """What the App shows when it opens, and the views in its list."""
    dataset.app_config.active_fields = fo.ActiveFields(paths=list(COLOURS))
    dataset.app_config.color_scheme = fo.ColorScheme(
        color_by="field", fields=[{"path": field, "fieldColor": colour} for field, colour in COLOURS.items()]
    )
    dataset.save()
    source = dataset.match(fo.ViewField("variant") == SOURCE)
    dataset.save_view("source", source)
    dataset.save_view("selected", source.match(fo.ViewField("selected")))
    for truth in TRUTHS:
        view = source.exists(f"{truth}_iou").sort_by(f"{truth}_iou")
        dataset.save_view(f"worst agreement, {truth}", view)
    for name in variants:
        dataset.save_view(f"variant {name}", dataset.match(fo.ViewField("variant") == name))
