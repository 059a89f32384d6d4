"""The table of detections: what goes in comes out, image by image."""

import numpy as np
import pandas as pd
import pytest

from training.detections import Detections, by_image, listed

CLASSES = ["cat", "dog"]
TWO = Detections(np.array([[1, 2, 3, 4], [5, 6, 7, 8.5]], np.float32), np.array([1, 0]), np.array([0.3, 0.29]))
SINGLE = Detections(np.array([[9, 10, 11, 12]], np.float32), np.array([0]), np.array([0.8]))
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0))


def test_a_row_is_a_box_with_its_label_and_score() -> None:
    assert listed("a", TWO, CLASSES).to_dict("records") == [
        {"id": "a", "label": "dog", "score": 0.3, "x0": 1, "y0": 2, "x1": 3, "y1": 4},
        {"id": "a", "label": "cat", "score": 0.29, "x0": 5, "y0": 6, "x1": 7, "y1": 8.5},
    ]


def test_detections_are_read_back_as_they_were_for_any_images_in_any_order() -> None:
    known = {"a": TWO, "b": NOTHING, "c": SINGLE}
    table = pd.concat([listed(image_id, found, CLASSES) for image_id, found in known.items()], ignore_index=True)
    for image_id, found in zip("cba", by_image(table, list("cba"), CLASSES), strict=True):
        assert np.array_equal(found.boxes, known[image_id].boxes)
        assert found.boxes.dtype == np.float32
        assert found.classes.tolist() == known[image_id].classes.tolist()
        assert found.scores == pytest.approx(known[image_id].scores)
