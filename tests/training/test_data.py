"""A split as detectors are trained on it: pixels, boxes and labels, mirrored together."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.files import read_image
from toolkit.voc import VOC_CLASSES, Annotation, Object, Tree
from training.data import Examples, as_target, mirrored


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40), st.floats(50, 90), st.floats(50, 90)), max_size=4))
def test_mirroring_twice_is_the_identity(boxes: list[tuple[float, ...]]) -> None:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    assert np.allclose(mirrored(mirrored(corners, 100), 100), corners, atol=1e-4)


def test_a_mirrored_view_s_box_holds_the_same_pixels() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:10, 3:9] = 255
    view, target = as_target(
        image, Annotation("a.jpg", 30, 20, (Object("cat", (3, 5, 9, 10)),)), VOC_CLASSES, flip=True
    )
    x0, y0, x1, y1 = target["boxes"][0].int().tolist()
    assert view[:, y0:y1, x0:x1].min() == 255
    assert view.sum() == 3 * 30 * 255
    assert (x0, y0, x1, y1) == (21, 5, 27, 10)
    assert target["labels"].tolist() == [8]


def test_a_split_is_read_with_1_based_labels(sample: Tree) -> None:
    data = Examples(sample, sample.ids("train"), VOC_CLASSES)
    assert len(data) == 8
    image, target = data[0, False]
    assert image.shape == (3, 96, 96)
    assert image.dtype == torch.uint8
    for number, image_id in enumerate(sample.ids("train")):
        assert data[number, False][0].permute(1, 2, 0).numpy().tolist() == read_image(sample.image(image_id)).tolist()
    assert len(target["boxes"]) == len(target["labels"]) >= 1
    assert target["labels"].min() >= 1
