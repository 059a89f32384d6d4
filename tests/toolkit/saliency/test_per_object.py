"""The maps of chosen objects: ODAM finds what their scores hang on, and D-RISE confirms it from outside."""

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tests.toolkit.faithfulness.toy import BOX, PATCH, SIDE, Toy, seen
from toolkit import detectors, maps, saliency, voc
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.candidates import Candidates
from toolkit.files import read_image
from toolkit.maps import normalise
from toolkit.params import Params, Saliency
from toolkit.saliency import Objects, confident, drise, explain, odam
from toolkit.saliency.drise import similarity
from toolkit.saliency.odam import SIDE as CELLS
from toolkit.tensors import device, to_tensor
from toolkit.voc import VOC_CLASSES, Tree

THE_BOX: Objects = (torch.tensor([BOX], dtype=torch.float32), torch.tensor([0]))


@pytest.fixture(scope="module")
def adapter(settings: Params) -> Adapter:
    """The committed base detector at the size that it was trained at."""
    checkpoint = str(ROOT / "datasets" / "base.safetensors")
    return detectors.load(settings.detector.model_copy(update={"checkpoint": checkpoint, "size": 256}), VOC_CLASSES)


def in_patch(heatmap: np.ndarray) -> float:
    scaled = maps.scale(heatmap, SIDE, SIDE)
    return float(scaled[PATCH].sum() / scaled.sum())


def test_odam_is_gradient_times_activation() -> None:
    """The toy's log-odds are linear in the patch's pixels: the map is their brightness there, and 0 elsewhere."""
    case = seen(1)
    expected = np.zeros((SIDE, SIDE), np.float32)
    expected[PATCH] = case.image[:, PATCH[0], PATCH[1]].sum(dim=0).numpy()
    expected = normalise(cv2.resize(normalise(expected), (CELLS, CELLS), interpolation=cv2.INTER_LINEAR))
    assert np.abs(odam(Toy().eval(), case.image, ["shown"], *THE_BOX) - expected).max() < 1e-3


def test_odam_needs_no_gradients_to_be_on() -> None:
    toy, case = Toy().eval(), seen(1)
    with torch.inference_mode():
        without = odam(toy, case.image.clone(), ["shown"], *(part.clone() for part in THE_BOX))
    assert (without == odam(toy, case.image, ["shown"], *THE_BOX)).all()


@pytest.mark.parametrize("method", ["odam", "drise"])
def test_an_object_that_the_detector_does_not_think_of_has_a_constant_map(method: str) -> None:
    settings = Saliency(method=method, layer="shown", sign="objectness")
    away = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([0])
    (heatmap,) = explain(Toy().eval(), [seen(1).image], settings, asked=[away])
    assert not np.ptp(heatmap)


def test_drise_finds_the_patch_from_outside() -> None:
    case = seen(1)
    chance = (PATCH[0].stop - PATCH[0].start) * (PATCH[1].stop - PATCH[1].start) / SIDE**2
    heatmap = drise(Toy().eval(), case.image, ["shown"], *THE_BOX)
    assert in_patch(heatmap) > 1.5 * chance
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert PATCH[0].start - 4 <= y < PATCH[0].stop + 4
    assert PATCH[1].start - 4 <= x < PATCH[1].stop + 4


def test_similarity_is_iou_times_cosine_times_objectness() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 2.0, 2.0]] * 2, [[0.0, 0.0, 2.0, 1.0]] * 2])
    probabilities = torch.tensor([[0.1, 0.1], [0.6, 0.3]])
    found = similarity(Candidates(boxes, probabilities.logit()), boxes[0, :1], torch.tensor([0]))
    assert found.tolist() == pytest.approx([max(0.2 / 2**0.5, 0.5 * 0.9 * 0.6 / 0.45**0.5)])


def test_each_object_has_a_map_of_its_own(adapter: Adapter, sample: Tree) -> None:
    """Of two objects in an image each one's map lies more in its own box than the other's does.

    GradCAM is not held to it: it pools the gradients over the whole map, and its maps of two objects are much alike.
    """
    settings = Saliency(method="odam", layer="default", sign="objectness")
    pairs = 0
    for image_id in sample.all_ids():
        known = voc.read(sample.annotation(image_id)).objects[:2]
        if len(known) < 2:
            continue
        image = to_tensor(read_image(sample.image(image_id))).to(device())
        boxes = torch.tensor([o.box for o in known], dtype=torch.float32, device=image.device)
        labels = torch.tensor([VOC_CLASSES.index(o.name) for o in known], device=image.device)
        each = [(boxes[[n]], labels[[n]]) for n in range(2)]
        first, second = (
            maps.scale(explain(adapter, [image], settings, asked=[one])[0], *image.shape[-2:]) for one in each
        )
        if not (first.any() and second.any()):
            continue  # the detector does not think of it
        pairs += 1
        x0, y0, x1, y1 = (round(side) for side in known[0].box)
        box = (slice(y0, y1), slice(x0, x1))
        assert first[box].sum() / first.sum() > second[box].sum() / second.sum()
    assert pairs


def test_the_objects_explained_by_default_are_those_found_with_some_confidence() -> None:
    boxes, labels = torch.rand(3, 4), torch.tensor([3, 1, 2])
    found = {"boxes": boxes, "labels": labels, "scores": torch.tensor([0.9, 0.2, 0.4])}
    assert confident(found)[1].tolist() == [2, 1]
    unsure = found | {"scores": torch.tensor([0.1, 0.2, 0.05])}
    assert confident(unsure)[1].tolist() == [0]  # or nothing would be explained
    nothing = {name: tensor[:0] for name, tensor in found.items()}
    assert not len(confident(nothing)[0])


def test_every_method_is_known_by_its_name() -> None:
    assert {"eigencam", "odam", "drise", "gradcam", "layercam"} <= set(saliency.methods())
