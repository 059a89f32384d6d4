"""DETR: what is found is transformers' own; what its queries see is painted where they see it; weights from the hub."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.toolkit.detectors.described import TRANSFORMERS
from tests.toolkit.detectors.test_contract import photos, targets
from toolkit import detectors
from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput
from toolkit.params import Detector, Solver

transformers = pytest.importorskip("transformers")
hub = pytest.importorskip("huggingface_hub")
family = detectors.find("transformers")
painted = pytest.importorskip("toolkit.detectors.transformers").painted
CLASSES = ("cat", "dog", "cow")
WHOLE = (0.0, 0.0, 8.0, 8.0)  # covered of 8 x 8 cells


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    torch.manual_seed(0)
    return family(len(CLASSES), 96, TRANSFORMERS).eval()


def test_what_is_found_is_what_transformers_own_post_processing_gives(adapter: Adapter) -> None:
    images = photos(96, 131)
    processor = transformers.DetrImageProcessor()
    batch, _ = adapter.transform(images)
    with torch.no_grad():
        outputs = adapter.model(batch.tensors)
        found = adapter.detect(images)
    theirs = processor.post_process_object_detection(outputs, threshold=0, target_sizes=[(96, 131)] * 2)
    limit = torch.tensor([131, 96, 131, 96])
    for own, other in zip(found, theirs, strict=True):
        assert torch.equal(own["scores"], other["scores"])
        assert torch.equal(own["labels"], other["labels"] + 1)
        assert torch.allclose(own["boxes"], other["boxes"].clamp(min=0).minimum(limit), atol=1e-4)


def test_an_image_is_scaled_and_normalised_as_transformers_does_it(adapter: Adapter) -> None:
    ramp = torch.linspace(0, 255, 64).round().expand(3, 48, 64)  # smooth, for transformers also filters
    ours, _ = adapter.transform([ramp / 255])
    processor = transformers.DetrImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    theirs = processor(ramp.byte(), return_tensors="pt")["pixel_values"]
    assert ours.tensors.shape == theirs.shape
    assert torch.allclose(ours.tensors, theirs, atol=0.02)  # it rounds to eight bits


def test_padding_beside_a_larger_image_is_masked(adapter: Adapter) -> None:
    small, large = photos(96, 96)[0], photos(96, 140)[0]
    with torch.no_grad():
        (alone,), (beside, _) = adapter.detect([small]), adapter.detect([small, large])
    assert torch.allclose(alone["scores"], beside["scores"], atol=0.02)
    assert torch.allclose(alone["boxes"], beside["boxes"], atol=2)


def test_the_encoder_s_sequence_is_a_grid_on_the_way_to_the_detections(adapter: Adapter) -> None:
    (image,) = photos(96, 131)[:1]
    with adapter.outputs("model.encoder") as encoded:
        look = adapter.look([image], "model.encoder.cells")
    assert look.activations.shape == (1, 32, 3, 5)
    assert torch.equal(look.activations.flatten(2).mT, encoded[0].last_hidden_state)
    assert look.covered == (0, 0, 3, 131 / 32)
    with adapter.outputs("model.encoder.cells") as kept:
        odds = adapter.look([image], "deepest", gradients=True).candidates[0].log_odds
    (gradient,) = torch.autograd.grad(odds.sum(), kept)
    assert gradient.abs().max() > 0


def test_a_query_s_probability_is_painted_into_its_box() -> None:
    """The middles of cells are at sixteenths."""
    boxes = torch.tensor([[[13 / 16, 3 / 16, 0.375, 0.375], [5 / 16, 11 / 16, 0.25, 0.25]]])
    evidence = painted(boxes, torch.tensor([[0.9, 0.3]]), WHOLE, (8, 8))[0]
    assert evidence[1, 6] == pytest.approx(0.9)
    assert evidence[5, 2] == pytest.approx(0.3)
    assert evidence[1, 5] == pytest.approx(0.9 * math.exp(-0.5 * (1 / 0.75) ** 2))  # a cell away, of a box 3 cells wide
    assert evidence[7, 7] < 0.01  # nobody's


def test_a_box_as_large_as_the_image_still_varies_and_a_small_one_is_seen() -> None:
    large = painted(torch.tensor([[[0.5, 0.5, 1.0, 1.0]]]), torch.ones(1, 1), WHOLE, (8, 8))[0]
    assert large[3:5, 3:5].min() > 2 * large[0, 0]
    tiny = painted(torch.tensor([[[0.3, 0.3, 0.001, 0.001]]]), torch.ones(1, 1), WHOLE, (8, 8))[0]
    assert tiny.argmax() == 2 * 8 + 2
    assert tiny.max() > 0.5


def test_what_is_painted_is_laid_on_the_part_that_the_image_covers() -> None:
    left_half = painted(torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]), torch.ones(1, 1), (0.0, 0.0, 8.0, 4.0), (8, 8))[0]
    assert left_half.amax(dim=0).argmax() in (1, 2)
    assert left_half[:, 5:].max() < 0.01


def test_its_losses_are_those_of_transformers_where_there_is_one_layer() -> None:
    """With more, transformers' own switch for the layers' losses changes what the decoder computes."""
    torch.manual_seed(0)
    text = json.dumps(json.loads(TRANSFORMERS) | {"decoder_layers": 1, "dropout": 0.0})
    adapter = family(len(CLASSES), 96, text).train()
    images = photos()
    truth = [
        {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[34 / 96, 55 / 96, 52 / 96, 70 / 96]])},
        {"class_labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)},
    ]
    batch, _ = adapter.transform(images)
    theirs = adapter.model(batch.tensors, labels=truth).loss
    ours = sum(adapter.losses(images, targets()).values())
    assert torch.allclose(ours, theirs, rtol=1e-5)


def test_every_decoder_layer_has_losses_of_its_own(adapter: Adapter) -> None:
    """The paper's auxiliary losses: two layers, twice as much where they give the same."""
    one = json.dumps(json.loads(TRANSFORMERS) | {"decoder_layers": 1, "dropout": 0.0})
    two = json.dumps(json.loads(TRANSFORMERS) | {"decoder_layers": 2, "dropout": 0.0})
    single, double = (family(len(CLASSES), 96, text).train() for text in (one, two))
    state = single.model.state_dict()
    double.model.load_state_dict(state, strict=False)
    second = double.model.model.decoder.layers[1]
    with torch.no_grad():  # it passes on what it gets: normalised already, and nothing is added
        for part in (second.self_attn.o_proj, second.encoder_attn.o_proj, second.mlp.fc2):
            part.weight.zero_()
            part.bias.zero_()
    once, twice = (sum(each.losses(photos(), targets()).values()) for each in (single, double))
    assert torch.allclose(twice, 2 * once, rtol=1e-3)


def test_it_learns_as_slowly_as_the_paper_says_at_the_other_detectors_usual_rate(adapter: Adapter) -> None:
    optimizer = adapter.optimizer(Solver(steps=1, batch=1, lr=0.005, momentum=0.9, weight_decay=1e-4))
    rest, backbone = optimizer.param_groups
    assert (rest["lr"], backbone["lr"]) == pytest.approx((1e-4, 1e-5))
    assert {id(p) for p in backbone["params"]} <= {id(p) for p in adapter.model.model.backbone.parameters()}
    assert isinstance(optimizer, torch.optim.AdamW)


def test_what_transformers_has_stored_is_loaded(adapter: Adapter, tmp_path: Path) -> None:
    """By the names that it stores, which are not those of the model that it builds."""
    torch.manual_seed(1)
    theirs = transformers.DetrForObjectDetection(transformers.DetrConfig.from_dict(json.loads(TRANSFORMERS))).eval()
    theirs.save_pretrained(tmp_path)
    settings = Detector(name="transformers", weights="checkpoint", checkpoint=str(tmp_path), size=96, at_once=1)
    ours = detectors.load(settings, CLASSES).cpu()
    batch, _ = ours.transform(photos())
    with torch.no_grad():
        assert torch.allclose(ours.model(batch.tensors).logits, theirs(batch.tensors).logits, atol=1e-4)


def of_coco() -> dict[str, Tensor]:
    """Random weights, laid out as the real ones: by the names of older versions."""
    kind = detectors.find("detr_resnet50")
    torch.manual_seed(1)
    state = kind(91, 96).model.state_dict()
    renamed = {}
    for name, tensor in state.items():
        old = name.replace("backbone.model", "backbone.conv_encoder.model").replace("o_proj", "out_proj")
        renamed[old.replace("mlp.fc", "fc")] = tensor.contiguous()
    return renamed


def test_the_published_weights_are_loaded_from_where_the_hub_s_library_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    published = detectors.find("detr_resnet50").coco
    assert published is not None
    state = of_coco()
    published.file().parent.mkdir(parents=True)
    save_file(state, published.file())
    settings = Detector(name="detr_resnet50", weights="coco", checkpoint="none", size=96, at_once=1)
    ours = detectors.load(settings, ["dog", "sofa"]).model.state_dict()
    rows = state["class_labels_classifier.weight"]
    assert torch.equal(ours["class_labels_classifier.weight"].cpu(), rows[[18, 63, 91]])  # COCO's dog, couch; no object
    queries = "model.query_position_embeddings.weight"
    assert torch.equal(ours[queries].cpu(), state[queries])


def test_without_a_connection_it_is_said_where_the_file_may_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    published = detectors.find("detr_resnet50").coco
    assert published is not None
    with pytest.raises(BadInput, match=rf"model\.safetensors: cannot be had .*put the file at {published.file()}"):
        published.load()
