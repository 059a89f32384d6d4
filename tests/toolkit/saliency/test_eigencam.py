"""EigenCAM: the first principal component, with the detector's own sign, whatever the batch."""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import ROOT
from toolkit import detectors, maps, params, saliency, sources, voc
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.batches import _in_batches, through
from toolkit.errors import BadInput
from toolkit.files import read_image, sha256
from toolkit.params import Params
from toolkit.saliency import explain
from toolkit.saliency.cells import laid_on_image
from toolkit.saliency.eigencam import eigencam, leading, oriented, projection
from toolkit.tensors import device, to_tensor
from toolkit.voc import VOC_CLASSES, Tree

LAYER = "backbone.body.blocks.4"

BRIGHT = torch.zeros(4, 6, dtype=torch.float64)  # how strongly each cell is active: two are, all else not at all
BRIGHT[1, 1], BRIGHT[1, 2] = 4, 2
DIRECTION = torch.tensor([1.0, -2.0, 0.5])  # of the channels, in an active cell


@pytest.fixture(autouse=True)
def whole_float32() -> Iterator[None]:
    """A GPU's convolutions would round to TF32, each algorithm in its own way: maps could only be compared roughly."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


@pytest.fixture(scope="module")
def adapter(settings: Params) -> Adapter:
    checkpoint = str(ROOT / settings.detector.checkpoint)
    return detectors.load(settings.detector.model_copy(update={"checkpoint": checkpoint}), VOC_CLASSES)


def photos(count: int, height: int = 96, width: int = 96) -> list[Tensor]:
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]
    return [to_tensor(image).to(device()) for image in pixels]  # where the model is


@pytest.mark.parametrize(("channels", "cells"), [(5, (8, 8)), (100, (4, 6))])
def test_the_projection_is_the_first_principal_component_s(channels: int, cells: tuple[int, int]) -> None:
    activations = torch.randn(3, channels, *cells, generator=torch.Generator().manual_seed(0))
    for found, single in zip(projection(activations), activations, strict=True):
        flat = single.flatten(1).T.double().numpy()
        flat = flat - flat.mean(axis=0)
        _, _, directions = np.linalg.svd(flat, full_matrices=False)
        expected = (flat @ directions[0]).reshape(cells)
        assert min(np.abs(found.numpy() - expected).max(), np.abs(found.numpy() + expected).max()) < 1e-8


@pytest.mark.parametrize("second", [0.0, 0.5, 0.95])
def test_the_leading_eigenvector_of_a_large_matrix(second: float) -> None:
    rng = torch.Generator().manual_seed(1)
    axes, _ = torch.linalg.qr(torch.randn(2, 400, 400, generator=rng, dtype=torch.float64))
    spectrum = torch.cat([torch.tensor([1.0, second]), 0.5 * torch.rand(398, generator=rng)]).double() * 7
    gram = axes * spectrum @ axes.transpose(1, 2)
    value, vector = leading(gram)
    assert torch.allclose(value, torch.full((2,), 7.0, dtype=torch.float64))
    assert ((vector * axes[..., 0]).sum(1).abs() > 1 - 1e-6).all()


def test_constant_activations_have_an_empty_projection() -> None:
    assert projection(torch.ones(1, 4, 5, 5)).abs().max() == 0


def test_the_sign_follows_the_evidence() -> None:
    grid = torch.tensor([[[3.0, -1.0], [-1.0, -1.0]]], dtype=torch.float64)
    evidence = torch.tensor([[[0.9, 0.1], [0.1, 0.2]]])
    assert (oriented(grid, evidence) == grid).all()
    assert (oriented(-grid, evidence) == grid).all()
    assert (oriented(grid + 5, 1 - evidence) == -grid - 5).all()  # what counts is correlation, not both being positive


@pytest.mark.parametrize("sign", [1, -1])
def test_a_map_is_the_active_cells_where_the_detector_sees_an_object(sign: int) -> None:
    """From activations to the finished map, by hand: whatever sign the activations have, the evidence decides."""
    activations = sign * DIRECTION[:, None, None] * BRIGHT
    (heatmap,) = eigencam(activations[None], BRIGHT[None], (0, 0, 4, 6))
    above = (BRIGHT - BRIGHT.mean()).clamp(min=0).numpy()  # what is less active than the mean is not looked at
    assert heatmap == pytest.approx(above / above.max(), abs=1e-4)


def test_where_the_detector_sees_objects_in_the_quiet_cells_these_are_the_map() -> None:
    activations = DIRECTION[:, None, None] * BRIGHT
    (heatmap,) = eigencam(activations[None], -BRIGHT[None], (0, 0, 4, 6))
    assert np.array_equal(heatmap, BRIGHT.numpy() == 0)


def test_the_stored_maps_of_scenes_are_high_on_their_objects(workplace: Path) -> None:
    """The whole chain, with the committed detector at its own size: no link may turn its map round or empty it."""
    own = params.load(ROOT / "params.yaml")
    few = own.model_copy(update={"sample": own.sample.model_copy(update={"train_scenes": 4, "test_scenes": 1})})
    source = Tree(workplace / "source")
    sources.build(few, source.root)
    saliency.build(source, own.detector, own.saliency, VOC_CLASSES, workplace / "maps")
    for image_id in source.all_ids():
        known = voc.read(source.annotation(image_id))
        heatmap = maps.scale(maps.load(workplace / "maps" / f"{image_id}.png"), known.height, known.width)
        boxed = np.zeros(heatmap.shape, bool)
        for x0, y0, x1, y1 in (np.array(single.box).astype(int) for single in known.objects):
            boxed[y0:y1, x0:x1] = True
        assert heatmap[boxed].mean() > 2 * heatmap[~boxed].mean()
        assert heatmap[boxed].mean() > 0.2


@pytest.mark.parametrize("size", [(96, 96), (96, 131)])
def test_a_batch_gives_what_each_image_gives_alone(adapter: Adapter, settings: Params, size: tuple[int, int]) -> None:
    images = photos(5, *size)
    alone = [explain(adapter, [image], settings.saliency)[0] for image in images]
    for single, other in zip(alone, explain(adapter, images, settings.saliency), strict=True):
        assert np.abs(single - other).max() < 1e-3  # but for rounding


@pytest.mark.parametrize("size", [(96, 96), (96, 131)])
@pytest.mark.parametrize("sign", ["objectness", "raw"])
def test_a_look_that_is_there_already_is_explained_alike(
    adapter: Adapter, settings: Params, size: tuple[int, int], sign: str
) -> None:
    images, how = photos(1, *size), settings.saliency.model_copy(update={"sign": sign})
    look = adapter.look(images, saliency.layer_of(adapter, how))
    assert (explain(adapter, images, how, look)[0] == explain(adapter, images, how)[0]).all()


def test_who_brings_a_look_does_not_look_again(adapter: Adapter, settings: Params) -> None:
    images = photos(1)
    look = adapter.look(images, adapter.layer)
    assert explain(None, images, settings.saliency.model_copy(update={"layer": adapter.layer}), look)


def test_looking_at_a_batch_is_looking_at_each_image(sample: Tree, settings: Params) -> None:
    checkpoint = str(ROOT / settings.detector.checkpoint)
    seeing = settings.detector.model_copy(update={"checkpoint": checkpoint, "size": 256})  # what it was trained at
    adapter = detectors.load(seeing, VOC_CLASSES)
    images = [to_tensor(read_image(sample.image(image_id))).to(device()) for image_id in sample.ids("test")]
    for image, found in zip(images, adapter.look(images, LAYER).found, strict=True):
        (alone,) = adapter.look([image], LAYER).found
        sure, known = found["scores"] > 0.3, alone["scores"] > 0.3
        assert sure.any()
        assert (found["labels"][sure] == alone["labels"][known]).all()
        assert torch.allclose(found["boxes"][sure], alone["boxes"][known], atol=0.05)


@pytest.mark.parametrize(
    "layer", ["backbone.body.blocks.2", LAYER, "backbone.body.blocks.6", "backbone.fpn.layer_blocks.1"]
)
def test_any_layer_can_be_explained(adapter: Adapter, settings: Params, layer: str) -> None:
    (heatmap,) = explain(adapter, photos(1), settings.saliency.model_copy(update={"layer": layer}))
    assert heatmap.min() == 0
    assert heatmap.max() == 1


def test_cells_of_the_padding_are_left_out(adapter: Adapter, settings: Params) -> None:
    # padded to 96 x 160: of five columns of cells 4.1 are the image's
    (heatmap,) = explain(adapter, photos(1, 96, 131), settings.saliency)
    assert heatmap.shape == (3, 5)
    (upright,) = explain(adapter, photos(1, 131, 96), settings.saliency)
    assert upright.shape == (5, 3)


def test_an_image_in_the_middle_of_its_grid_has_the_map_that_it_has_in_the_corner() -> None:
    """As letterboxing puts it there."""
    generator = torch.Generator().manual_seed(0)
    activations, evidence = torch.rand(1, 5, 4, 6, generator=generator), torch.rand(1, 4, 6, generator=generator)
    (expected,) = eigencam(activations, evidence, (0, 0, 4, 6))
    padded = [torch.nn.functional.pad(cells, (2, 1, 3, 0), value=7.0) for cells in (activations, evidence)]
    (heatmap,) = eigencam(*padded, (3, 2, 7, 8))
    assert (heatmap == expected).all()


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_covering_the_image_keeps_a_linear_map_linear(start: float) -> None:
    covered = laid_on_image(np.tile(np.arange(9.0), (4, 1)), (0, 2 + start, 4, 2 + start + 8.25))
    centres = start + (np.arange(9) + 0.5) * 8.25 / 9 - 0.5
    assert np.allclose(covered[0], np.clip(centres, 0, 8), atol=0.05)


@pytest.mark.skipif(device().type == "cuda", reason="a GPU rounds differently in a batch of another size")
@pytest.mark.parametrize(("batch", "threads"), [(5, 1), (1, 3)])
def test_no_stored_map_depends_on_batch_size_or_threads(
    sample: Tree, settings: Params, workplace: Path, monkeypatch: pytest.MonkeyPatch, batch: int, threads: int
) -> None:
    saliency.build(sample, settings.detector, settings.saliency, VOC_CLASSES, workplace / "out")
    monkeypatch.setenv("SALVOC_STORE", str(workplace / "another"))  # so that the second run makes its own
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    changed = settings.saliency.model_copy(update={"batch": batch})
    saliency.build(sample, settings.detector, changed, VOC_CLASSES, workplace / "again")
    assert torch.get_num_threads() == threads
    torch.set_num_threads(usual)
    for image_id in sample.all_ids():
        assert sha256(workplace / "out" / f"{image_id}.png") == sha256(workplace / "again" / f"{image_id}.png")
        assert maps.load(workplace / "out" / f"{image_id}.png").max() == 1


def test_a_gpu_s_batches_give_the_maps_of_single_images(adapter: Adapter, sample: Tree, settings: Params) -> None:
    """The way of the GPU, walked on what there is."""
    ids = sample.all_ids()
    batched = dict(_in_batches(adapter, partial(explain, settings=settings.saliency), sample, ids, ids, 5))
    assert sorted(batched) == ids
    for image_id, heatmap in batched.items():
        image = to_tensor(read_image(sample.image(image_id))).to(device())
        (alone,) = explain(adapter, [image], settings.saliency)
        assert np.abs(heatmap - alone).max() < 1e-3  # but for rounding


@pytest.mark.gpu
def test_a_killed_run_on_a_gpu_goes_on_to_the_same_maps(sample: Tree, settings: Params, workplace: Path) -> None:
    saliency.build(sample, settings.detector, settings.saliency, VOC_CLASSES, workplace / "out")
    for number, path in enumerate(sorted((workplace / ".salvoc" / "saliency").rglob("*.png"))):
        if number % 3:
            path.unlink()
    saliency.build(sample, settings.detector, settings.saliency, VOC_CLASSES, workplace / "again")
    for image_id in sample.all_ids():
        assert sha256(workplace / "out" / f"{image_id}.png") == sha256(workplace / "again" / f"{image_id}.png")


@pytest.mark.gpu
def test_a_gpu_s_maps_are_a_cpu_s_but_for_rounding(adapter: Adapter, settings: Params) -> None:
    images = photos(5, 96, 131)
    on_cpu = deepcopy(adapter).cpu()
    for image, heatmap in zip(images, explain(adapter, images, settings.saliency), strict=True):
        assert np.abs(heatmap - explain(on_cpu, [image.cpu()], settings.saliency)[0]).max() < 1e-3


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["eigencam", "gradcam"])
def test_the_library_explains_on_a_gpu(adapter: Adapter, sample: Tree, settings: Params, method: str) -> None:
    raw = partial(explain, settings=settings.saliency.model_copy(update={"method": method, "sign": "raw"}))
    ids = sample.ids("test")
    for _, heatmap in through(adapter, raw, sample, ids, ids, 4):
        assert heatmap.shape == (96, 96)


def test_eigencam_refuses_several_layers(sample: Tree, settings: Params, workplace: Path) -> None:
    two = settings.saliency.model_copy(update={"layer": f"{LAYER}+backbone.body.blocks.6"})
    with pytest.raises(BadInput, match="EigenCAM explains one layer"):
        saliency.build(sample, settings.detector, two, VOC_CLASSES, workplace / "out")


@pytest.mark.parametrize("layer", ["backbone.blocks", "backbone.body.blocks", "backbone", "rpn.head.conv"])
def test_an_unknown_layer_is_refused(sample: Tree, settings: Params, workplace: Path, layer: str) -> None:
    bad = settings.saliency.model_copy(update={"layer": layer})
    with pytest.raises(BadInput, match=r"saliency\.layer: the detector cannot be explained at"):
        saliency.build(sample, settings.detector, bad, VOC_CLASSES, workplace / "out")
