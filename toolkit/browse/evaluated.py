"""Which predictions are true: FiftyOne's own evaluation, registered, so that the App and its panels know it."""

from typing import TYPE_CHECKING

from toolkit.browse import fields
from toolkit.browse.run import CONDITIONS, SOURCE

if TYPE_CHECKING:
    import fiftyone

IOU = 0.5  # what a prediction must overlap an object of its label by, as COCO matches them


def evaluate(dataset: "fiftyone.Dataset", arm: str) -> None:
    """Mark an arm's predictions and the objects `tp`, `fp` or `fn` by the key `eval_ARM`, in every test condition."""
    prediction = fields.of("prediction", arm)
    if not dataset.has_field(prediction):
        return
    tested = [name for name in (SOURCE, *CONDITIONS.values()) if name in dataset.group_slices]
    view = dataset.select_group_slices(tested).exists(prediction)
    view.evaluate_detections(
        prediction, gt_field="ground_truth", eval_key=fields.of("eval", arm), method="coco", iou=IOU, progress=False
    )
