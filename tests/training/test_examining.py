"""Evaluating in a GPU's batches: the same results as image by image, in the split's order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from toolkit import detectors, maps, voc
from toolkit.detectors.batches import _in_batches
from toolkit.files import link, png, read_image, write
from toolkit.params import Params
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree
from training import evaluate


@pytest.fixture
def whole_float32() -> Iterator[None]:
    """A GPU's convolutions would round to TF32, each algorithm in its own way."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


@pytest.fixture
def mixed(sample: Tree, tmp_path: Path) -> Tree:
    """The sample's test split, its second image wider than the others: it comes in a batch of its own, after them."""
    made, ids = Tree(tmp_path / "mixed"), sample.ids("test")
    for image_id in ids:
        link(sample.annotation(image_id), made.annotation(image_id))
        link(sample.image(image_id), made.image(image_id))
    write(made.image(ids[1]), png(np.pad(read_image(sample.image(ids[1])), ((0, 0), (0, 32), (0, 0)))))
    voc.write_ids(made.split("test"), ids)
    return made


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("method", ["eigencam", "gradcam"])
def test_batches_give_what_each_image_gives_alone_in_the_split_s_order(
    mixed: Tree, settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(evaluate, "through", _in_batches)  # the way of the GPU, walked on what there is
    explained = settings.saliency.model_copy(update={"method": method})
    checkpoint = str(ROOT / settings.detector.checkpoint)
    detector = settings.detector.model_copy(update={"checkpoint": checkpoint, "size": 256})  # what it was trained at
    params = settings.model_copy(update={"detector": detector, "saliency": explained})
    adapter, kept = detectors.load(detector, params.data.classes), tmp_path / "kept"
    done = evaluate.run(adapter, mixed, tmp_path / "attention", "test", params, kept)
    assert list(done.images["id"]) == mixed.ids("test")
    for image_id, found in zip(mixed.ids("test"), done.found, strict=True):
        image = to_tensor(read_image(mixed.image(image_id))).to(device())
        ((alone, heatmap),) = evaluate.examine(adapter, [image], params)
        sure, known = found.scores > 0.3, alone.scores > 0.3
        assert sure.any()
        assert (found.classes[sure] == alone.classes[known]).all()
        assert found.boxes[sure] == pytest.approx(alone.boxes[known], abs=0.05)
        assert found.scores[sure] == pytest.approx(alone.scores[known], abs=1e-3)
        assert maps.load(kept / f"{image_id}.png") == pytest.approx(heatmap, abs=1e-3)
