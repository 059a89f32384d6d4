"""What holds for every detector there is: whoever adds one adds no test."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.toolkit.detectors.described import OWN
from toolkit import maps, saliency
from toolkit.detectors import find, names
from toolkit.detectors.adapter import Adapter, Look, Target
from toolkit.detectors.candidates import best_log_odds
from toolkit.detectors.checkpoint import load_checkpoint, save_checkpoint
from toolkit.detectors.precision import mixed_precision
from toolkit.errors import BadInput
from toolkit.params import Params, Solver
from toolkit.saliency.eigencam import eigencam

CLASSES = ("cat", "dog", "cow")
SIZE = 96
KEYS = ("boxes", "labels", "scores")


def installed(name: str) -> type[Adapter]:
    """The detector, where its packages are; a test without them is skipped."""
    try:
        return find(name)
    except BadInput as error:
        pytest.skip(str(error))


def built(kind: type[Adapter], classes: int = len(CLASSES), size: int = SIZE) -> Adapter:
    """One with fresh heads, in evaluation mode; of a family, the small model that is described for the tests."""
    own = [OWN[kind.__module__.rpartition(".")[2]]] if kind.described else []
    return kind(classes, max(size, kind.smallest), *own).eval()


@pytest.fixture(scope="module", params=names())
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """An untrained one: of random biases, since a fresh head may be sure of nothing and find nothing."""
    kind = installed(request.param)
    torch.manual_seed(0)
    adapter = built(kind)
    with torch.no_grad():
        for name, parameter in adapter.named_parameters():
            if name.endswith("bias"):
                parameter += 2 * torch.randn_like(parameter)
    return adapter


def fresh(adapter: Adapter) -> Adapter:
    """Another of its kind, with other weights."""
    torch.manual_seed(1)
    return built(type(adapter))


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    """Wider than high, so that they are scaled and padded."""
    return photos(96, 131)


@pytest.fixture(scope="module")
def look(adapter: Adapter, images: list[Tensor]) -> Look:
    return adapter.look(images, adapter.layer)


def photos(height: int = 96, width: int = 96) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, height, width, generator=generator) for _ in range(2)]


def targets() -> list[Target]:
    """An object in one image and none in the other."""
    mask = torch.zeros(1, 96, 96, dtype=torch.uint8)
    mask[0, 20:90, 8:60] = 1
    seen = {"boxes": torch.tensor([[8.0, 20.0, 60.0, 90.0]]), "labels": torch.tensor([2]), "masks": mask}
    return [seen, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": mask[:0]}]


def test_it_says_what_it_is(adapter: Adapter) -> None:
    assert adapter.licence
    assert adapter.smallest <= adapter.usual <= (adapter.largest or adapter.usual)
    assert adapter.layer in adapter.layers()


def test_what_is_looked_at_is_found_as_the_detector_itself_says(
    adapter: Adapter, images: list[Tensor], look: Look
) -> None:
    with torch.no_grad():
        expected = adapter.detect(images)
    assert any(len(found["scores"]) for found in look.found)
    for found, other, image in zip(look.found, expected, images, strict=True):
        assert all(torch.equal(found[key], other[key]) for key in KEYS)
        assert found["labels"].dtype == torch.int64
        assert set(found["labels"].tolist()) <= set(range(1, len(CLASSES) + 1))
        assert inside(found["boxes"], image)


def inside(boxes: Tensor, image: Tensor) -> bool:
    """Whether boxes [..., 4] lie in the image, but for rounding."""
    height, width = image.shape[-2:]
    return bool((boxes > -1e-3).all() and (boxes < torch.tensor([width, height] * 2) + 1e-3).all())


def test_every_detection_is_a_candidate_with_the_odds_of_its_score(images: list[Tensor], look: Look) -> None:
    for found, candidates, image in zip(look.found, look.candidates, images, strict=True):
        assert candidates.boxes.shape == (*candidates.log_odds.shape, 4)
        assert candidates.log_odds.shape[1] == len(CLASSES)
        assert candidates.log_odds.isfinite().all()
        assert inside(candidates.boxes, image)
        for box, label, score in zip(*(found[key] for key in KEYS), strict=True):
            same = torch.isclose(candidates.boxes[:, label - 1], box, atol=1e-3).all(dim=1)
            odds = candidates.log_odds[same, label - 1]
            assert torch.isclose(odds.sigmoid(), score, atol=1e-5).any()
            if (box[2:] > box[:2]).all():  # an untrained one finds some beside the image, which are cut to nothing
                (best,) = best_log_odds(candidates, box[None], label[None] - 1)
                assert best >= odds.max()


def test_each_cell_of_the_explained_layer_has_its_evidence(images: list[Tensor], look: Look) -> None:
    count, _, rows, columns = look.activations.shape
    assert count == len(images)
    assert look.evidence.shape == (count, rows, columns)
    assert all(cells.isfinite().all() and not cells.requires_grad for cells in (look.activations, look.evidence))
    assert (look.evidence.flatten(1).std(dim=1) > 0).all()  # or it could turn no map the right way
    top, left, bottom, right = look.covered
    assert 0 <= top < bottom <= rows
    assert 0 <= left < right <= columns


def test_a_look_for_a_map_alone_gives_the_same_map(adapter: Adapter, images: list[Tensor], look: Look) -> None:
    part = adapter.look(images, adapter.layer, detections=False)
    assert part.found == part.candidates == []
    assert torch.equal(look.activations, part.activations)
    assert torch.equal(look.evidence, part.evidence)
    assert look.covered == part.covered


def test_a_batch_is_looked_at_as_each_image_alone(adapter: Adapter, images: list[Tensor], look: Look) -> None:
    for number, image in enumerate(images):
        alone = adapter.look([image], adapter.layer, detections=False)
        assert alone.covered == look.covered
        for own, beside in ((alone.activations, look.activations), (alone.evidence, look.evidence)):
            assert torch.allclose(own[0], beside[number], rtol=1e-3, atol=1e-3 * float(own.abs().max()))  # rounding


def test_images_of_two_sizes_are_not_looked_at_together(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="one image size"):
        adapter.look([*photos(), *photos(96, 120)], adapter.layer)


def test_every_layer_that_may_be_explained_is(adapter: Adapter) -> None:
    known = sorted(adapter.layers())
    for layer in known[:: len(known) // 4]:
        look = adapter.look(photos()[:1], layer, detections=False)
        (heatmap,) = eigencam(look.activations, look.evidence, look.covered)
        assert heatmap.shape <= look.evidence.shape[1:]


@pytest.mark.parametrize("method", ["layercam", "eigencam"])
def test_pytorch_grad_cam_explains_it(adapter: Adapter, settings: Params, method: str) -> None:
    raw = settings.saliency.model_copy(update={"method": method, "sign": "raw", "layer": "default"})
    (heatmap,) = saliency.explain(adapter, photos(96, 131)[:1], raw)
    assert heatmap.shape == (96, 131)
    assert np.array_equal(heatmap, maps.normalise(heatmap))
    assert heatmap.max() == 1  # it has gradients, then


def test_its_losses_are_finite_and_teach_what_is_trained(adapter: Adapter) -> None:
    learner = fresh(adapter).train()
    optimizer = learner.optimizer(Solver(steps=1, batch=2, lr=1e-4, momentum=0.9, weight_decay=0.0))
    moved = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in moved} == {id(p) for p in learner.parameters() if p.requires_grad}
    before = [parameter.detach().clone() for parameter in moved]
    buffers = {name: buffer.clone() for name, buffer in learner.named_buffers()}
    losses = learner.losses(photos(), targets())
    assert all(torch.equal(buffers[name], buffer) for name, buffer in learner.named_buffers())  # BatchNorm's statistics
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    optimizer.step()
    assert any(not torch.equal(new, old) for new, old in zip(moved, before, strict=True))
    assert all(parameter.isfinite().all() for parameter in moved)


def test_the_modules_that_may_compute_in_bfloat16_are_there(adapter: Adapter) -> None:
    dense = [adapter.model.get_submodule(name) for name in adapter.dense]
    with mixed_precision(adapter, "cpu"):
        assert all("forward" in vars(module) for module in dense)
    assert not any("forward" in vars(module) for module in dense)


def test_a_checkpoint_brings_back_what_it_finds(adapter: Adapter, tmp_path: Path) -> None:
    save_checkpoint(adapter, tmp_path / "a.safetensors", CLASSES)
    other = fresh(adapter)
    load_checkpoint(other, tmp_path / "a.safetensors", CLASSES)
    for name, tensor in adapter.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name


def test_a_checkpoint_s_classes_are_found_in_any_order(adapter: Adapter, tmp_path: Path) -> None:
    save_checkpoint(adapter, tmp_path / "a.safetensors", CLASSES)
    load_checkpoint(other := fresh(adapter), tmp_path / "a.safetensors", ("cow", "cat", "dog"))
    (usual,), (turned,) = (each.look(photos()[:1], adapter.layer).candidates for each in (adapter, other))
    for own, again in zip(usual, turned, strict=True):
        assert torch.allclose(own[:, [2, 0, 1]], again, atol=1e-3)


def test_a_checkpoint_of_other_classes_leaves_fresh_what_it_does_not_know(adapter: Adapter, tmp_path: Path) -> None:
    save_checkpoint(adapter, tmp_path / "a.safetensors", ("unicorn", "dragon", "cow"))
    load_checkpoint(other := fresh(adapter), tmp_path / "a.safetensors", CLASSES)
    loaded, untouched = other.model.state_dict(), fresh(adapter).model.state_dict()
    kept = {name for name, tensor in adapter.model.state_dict().items() if torch.equal(tensor, loaded[name])}
    heads = set(loaded) - kept
    assert heads  # they have rows of both
    assert all(any((loaded[name] == untouched[name]).flatten()) for name in heads)
