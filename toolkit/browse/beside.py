"""Two revisions of a run as one dataset: an image is a group, its two versions stand side by side in it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from toolkit import places
from toolkit.browse.database import load, project

if TYPE_CHECKING:
    import fiftyone

SAME = 0.5  # IoU from which on two boxes of a class are the same prediction


def beside(roots: Mapping[str, Path]) -> "fiftyone.Dataset":
    """One dataset of two runs' exports, by revision; a slice a revision.

    New fields: `revision`, `file` (the image's, from the run's root), and where both revisions have the image
    `change_SCORE` (the second's less the first's IoU) and `differs_ARM` (predictions that the other has not).
    """
    fo = project()
    from bson import ObjectId

    dataset = fo.Dataset(" beside ".join(roots), overwrite=True, persistent=True)
    dataset.add_group_field("group", default=next(iter(roots)))
    for field in ("revision", "file"):
        dataset.add_sample_field(field, fo.StringField)
    groups: defaultdict[str, ObjectId] = defaultdict(ObjectId)
    for revision, root in roots.items():
        part = load(root / places.FIFTYONE, f"{revision} alone", root=root)
        fields = {name: field for name, field in part.get_field_schema().items() if name != "group"}
        dataset._sample_doc_cls.merge_field_schema(fields)
        # As the database has them: to make samples of them takes a hundred times as long.
        documents = list(part._sample_collection.find())
        for document in documents:
            file = str(Path(document["filepath"]).relative_to(root.absolute()))
            group = {"_cls": "Group", "_id": groups[file], "name": revision}
            document |= {"_id": ObjectId(), "_dataset_id": dataset._doc.id, "group": group}
            document |= {"revision": revision, "file": file}
        dataset._sample_collection.insert_many(documents)
        dataset.app_config, dataset.mask_targets = part.app_config.copy(), dict(part.mask_targets)
        part.delete()
    shown = dataset.app_config.active_fields
    dataset.app_config.active_fields = fo.ActiveFields(paths=[*(shown.paths if shown else []), "revision"])
    dataset._doc.group_media_types = dict.fromkeys(roots, "image")
    dataset.save()
    dataset.reload()
    _compare(dataset, *roots)
    return dataset


def _compare(dataset: "fiftyone.Dataset", first: str, second: str) -> None:
    """Add the differences, and views that sort by them."""
    import fiftyone as fo

    views = [dataset.select_group_slices(revision) for revision in (first, second)]
    files = [dict(zip(view.values("file"), view.values("id"), strict=True)) for view in views]
    both = [file for file in files[0] if file in files[1]]

    def of_both(path: str) -> list[list]:
        """What each revision has there, image by image."""
        known = [dict(zip(view.values("id"), view.values(path), strict=True)) for view in views]
        return [[values[ids[file]] for file in both] for ids, values in zip(files, known, strict=True)]

    def add(field: str, values: Sequence[float | None], question: str) -> None:
        """A field of both versions, and the view that sorts by it; neither where nothing differs."""
        if not any(values):
            return
        for view, ids in zip(views, files, strict=True):
            found = {ids[file]: value for file, value in zip(both, values, strict=True) if value is not None}
            view.set_values(field, found, key_field="id")
        size = fo.ViewField(field).abs()
        dataset.save_view(question, dataset.match(size > 0).sort_by(size, reverse=True))

    in_turn = dataset.select_group_slices([first, second]).sort_by([("file", 1), ("revision", 1)])
    dataset.save_view(f"{first}, {second} in turn", in_turn)
    for score in [name for name in dataset.get_field_schema(fo.FloatField) if "_iou" in name]:
        changes = [None if a is None or b is None else b - a for a, b in zip(*of_both(score), strict=True)]
        add(f"change_{score}", changes, f"{score} changed most")
    for name in [name for name in dataset.get_field_schema() if name.startswith("prediction_")]:
        arm = name.removeprefix("prediction_")
        boxes, labels = (of_both(f"{name}.detections.{part}") for part in ("bounding_box", "label"))
        versions = zip(*boxes, *labels, strict=True)
        counts = [None if a is None or b is None else differing(a, b, of_a, of_b) for a, b, of_a, of_b in versions]
        add(f"differs_{arm}", counts, f"{arm} predicts most differently")


def differing(first: Sequence, second: Sequence, first_labels: Sequence[str], second_labels: Sequence[str]) -> int:
    """How many boxes of either have no partner in the other, of the same label and an IoU of `SAME` or more.

    A box is left, top, width, height.
    """
    if not first or not second:
        return len(first) + len(second)
    a, b = np.array(first)[:, None], np.array(second)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    iou = shared / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared)
    same = (iou >= SAME) & (np.array(first_labels)[:, None] == np.array(second_labels)[None])
    pairs = int(same[linear_sum_assignment(same, maximize=True)].sum())
    return len(first) + len(second) - 2 * pairs
