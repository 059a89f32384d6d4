"""Models of a user's own: a folder with weights and the file that says what they are of, named in params alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.toolkit.detectors.described import OWN, TORCHVISION
from tests.toolkit.detectors.test_contract import built, inside, installed, photos, targets
from toolkit import detectors, saliency
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.errors import BadInput
from toolkit.params import Detector, Params
from toolkit.tensors import device

BUILDERS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "backbone.body.16",
    "maskrcnn_resnet50_fpn": "backbone.body.layer4",
    "retinanet_resnet50_fpn_v2": "backbone.body.layer4",
    "fcos_resnet50_fpn": "backbone.body.layer4",
    "ssd300_vgg16": "backbone.extra.1",
    "ssdlite320_mobilenet_v3_large": "backbone.features.1",
}
SIZES = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}


@pytest.fixture(params=OWN)
def family(request: pytest.FixtureRequest) -> str:
    installed(request.param)
    return request.param


def folder(family: str, path: Path, text: str = "") -> Detector:
    """A user's folder, described by the text, or as the tests' small model of the family."""
    (path / detectors.find(family).described).write_text(text or OWN[family])
    return Detector(name=family, weights="none", checkpoint=str(path), size=96, at_once=1)


def test_it_is_built_without_weights_and_explained(family: str, settings: Params, tmp_path: Path) -> None:
    adapter = detectors.load(folder(family, tmp_path), ["dog", "unicorn"])
    images = [image.to(device()) for image in photos()[:1]]
    look = adapter.look(images, adapter.layer)
    assert look.candidates[0].log_odds.shape[1] == 2
    for method in ("eigencam", "odam"):
        (heatmap,) = saliency.explain(adapter, images, settings.saliency.model_copy(update={"method": method}))
        assert heatmap.min() >= 0
        assert np.isfinite(heatmap).all()


@pytest.mark.parametrize("named", [True, False])
def test_its_weights_are_loaded_and_their_classes_found_by_name(family: str, named: bool, tmp_path: Path) -> None:
    """Where the weights name none, by its description; COCO's names are those that VOC has for them."""
    text = re.sub(r"\bcat\b", "tv", re.sub(r"\bcow\b", "couch", OWN[family]))
    wanted = ["sofa", "tvmonitor", "dog", "unicorn"]
    torch.manual_seed(1)
    state = {name: tensor.contiguous() for name, tensor in built(installed(family)).model.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"classes": '["tv", "dog", "couch"]'} if named else {})
    settings = folder(family, tmp_path, text)
    loaded = detectors.load(settings.model_copy(update={"weights": "checkpoint"}), wanted).model.state_dict()
    fresh = detectors.load(settings, wanted)
    matched = fresh.with_classes(state, ["tvmonitor", "dog", "sofa"], wanted)
    assert loaded.keys() == matched.keys()
    for name, tensor in matched.items():
        assert torch.equal(loaded[name].cpu(), tensor.cpu()), name


def test_what_salvoc_has_stored_of_it_says_itself_what_it_is(family: str, tmp_path: Path) -> None:
    settings = folder(family, tmp_path)
    adapter = detectors.load(settings, ["dog"]).cpu()
    save_checkpoint(adapter, tmp_path / "stored.safetensors", ["dog"])
    stored = settings.model_copy(update={"weights": "checkpoint", "checkpoint": str(tmp_path / "stored.safetensors")})
    again = detectors.load(stored, ["dog"]).cpu()
    for name, tensor in adapter.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_another_description_is_another_detector(family: str, tmp_path: Path) -> None:
    settings = folder(family, tmp_path)
    first = detectors.fingerprint(settings, ["dog"])
    folder(family, tmp_path, OWN[family] + "\n")
    assert detectors.fingerprint(settings, ["dog"]) != first


def test_without_its_description_a_folder_is_refused(family: str, tmp_path: Path) -> None:
    settings = folder(family, tmp_path)
    described = tmp_path / detectors.find(family).described
    described.unlink()
    with pytest.raises(BadInput, match=rf"{described.name}: does not exist -- name a folder .* docs/detectors\.md"):
        detectors.load(settings, ["dog"])


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_of_torchvision_is_explained_and_trained(builder: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    adapter = detectors.find("torchvision")(
        3,
        SIZES.get(builder, 96),
        TORCHVISION.replace("fasterrcnn_mobilenet_v3_large_320_fpn", builder).replace("box_detections_per_img: 20", ""),
    )
    images = photos()[:1]
    adapter.eval()
    with adapter.outputs(BUILDERS[builder]) as known:
        look = adapter.look(images, "deepest")
    assert torch.equal(known[-1], look.activations)
    assert torch.equal(adapter.detect(images)[0]["boxes"], look.found[0]["boxes"])
    assert inside(look.candidates[0].boxes, images[0])
    assert look.candidates[0].log_odds.isfinite().all()
    losses = adapter.train().losses(photos(), targets())
    assert all(loss.isfinite() for loss in losses.values())


def test_an_fcos_s_odds_are_those_of_its_scores() -> None:
    torch.manual_seed(0)
    text = "{builder: fcos_resnet50_fpn, arguments: {score_thresh: 0.0}}"
    adapter = detectors.find("torchvision")(3, 96, text).eval()
    look = adapter.look(photos()[:1], "deepest")
    (found,), (candidates,) = look.found, look.candidates
    assert len(found["scores"])
    for box, label, score in zip(found["boxes"], found["labels"], found["scores"], strict=True):
        same = torch.isclose(candidates.boxes[:, label - 1], box, atol=1e-3).all(dim=1)
        assert torch.isclose(candidates.log_odds[same, label - 1].sigmoid(), score, atol=1e-5).any()


def test_the_masks_of_a_mask_rcnn_s_weights_are_left_out(tmp_path: Path) -> None:
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=4)
    torch.save(theirs.state_dict(), tmp_path / "mine.pth")
    text = "{builder: maskrcnn_resnet50_fpn, classes: [cat, dog, cow]}"
    settings = folder("torchvision", tmp_path, text).model_copy(update={"weights": "checkpoint"})
    ours = detectors.load(settings, ["cow"]).cpu()
    assert torch.equal(ours.model.rpn.head.cls_logits.weight, theirs.rpn.head.cls_logits.weight)
    head, row = ours.model.roi_heads.box_predictor.cls_score, theirs.roi_heads.box_predictor.cls_score.weight[3]
    assert torch.equal(head.weight[1], row)


BAD = [
    ("torchvision", "builder: [", "is no description of a model"),
    ("torchvision", "{builder: fcos_resnet50_fpn, clases: [a]}", "is no description of a model"),
    ("torchvision", "classes: [a]", "is no description of a model"),
    ("torchvision", "{builder: yolo, classes: [a]}", "knows no builder 'yolo' -- choose one of: fasterrcnn_"),
    ("torchvision", "{builder: keypointrcnn_resnet50_fpn}", "knows no builder"),
    ("torchvision", "{builder: fcos_resnet50_fpn, arguments: {weights: DEFAULT}}", "has arguments"),
    ("torchvision", "{builder: fcos_resnet50_fpn, arguments: {nonsense: 3}}", "has arguments that .*: nonsense"),
    ("torchvision", "{builder: ssd300_vgg16}", "ssd300_vgg16 cannot take 96 pixels -- use 300"),
    ("ultralytics", "nc: 3", "is no model's YAML"),
    ("ultralytics", "[1, 2]", "is no model's YAML"),
    ("ultralytics", "backbone: {", "is no model's YAML"),
    ("ultralytics", OWN["ultralytics"].replace("SPPF", "torch_safe_load"), "names layers .*: torch_safe_load"),
    ("ultralytics", OWN["ultralytics"].replace("SPPF", "nn.functional"), r"names layers .*: nn\.functional"),
    ("ultralytics", OWN["ultralytics"] + "activation: exit()", "has the activation 'exit\\(\\)'"),
    ("ultralytics", OWN["ultralytics"] + "activation: 3", "has the activation 3"),
    ("ultralytics", OWN["ultralytics"] + "activation: nn.SiLU(exit())", "has the activation"),
    ("ultralytics", OWN["ultralytics"] + "end2end: true", "ends in another head than YOLOv8's"),
    ("ultralytics", OWN["ultralytics"].replace("Detect", "Segment"), "ends in another head than YOLOv8's"),
    ("ultralytics", OWN["ultralytics"].replace("nc: 3", "nc: 4"), "names 3 classes, and counts 4"),
    ("ultralytics", OWN["ultralytics"].replace("[8, 5]", "[8, 99]"), "describes no model that ultralytics can build"),
    ("transformers", "{", "is no model's JSON"),
    ("transformers", "[]", "is no model's JSON"),
    ("transformers", '{"model_type": "yolos"}', "of the type 'yolos', which is not detr"),
    ("transformers", '{"model_type": "detr"}', "names no classes"),
    ("transformers", OWN["transformers"].replace('"resnet18"', "3"), "describes no "),
    ("transformers", OWN["transformers"].replace('backbone": true', 'backbone": false'), "that is not timm's"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "text", "fault"), BAD)
def test_a_bad_description_is_refused(family: str, text: str, fault: str, tmp_path: Path) -> None:
    installed(family)
    with pytest.raises(BadInput, match=fault):
        detectors.load(folder(family, tmp_path, text), ["dog"])


def test_an_activation_of_torch_is_built(tmp_path: Path) -> None:
    installed("ultralytics")
    text = OWN["ultralytics"] + "activation: nn.LeakyReLU(0.1)"
    adapter = detectors.load(folder("ultralytics", tmp_path, text), ["dog"])
    assert any(isinstance(module, torch.nn.LeakyReLU) for module in adapter.modules())
    plain = built(detectors.find("ultralytics"))
    assert not any(isinstance(module, torch.nn.LeakyReLU) for module in plain.modules())


def test_a_small_model_of_many_classes_keeps_its_width(tmp_path: Path) -> None:
    """ultralytics' branches are as wide as its classes are many: those of 80 must hold the weights of 80."""
    installed("ultralytics")
    text = OWN["ultralytics"].replace("nc: 3", "nc: 80").replace("names: [cat, dog, cow]", "")
    kind = detectors.find("ultralytics")
    assert built(kind).head.cv3[0][-1].in_channels == 64
    assert kind(3, 96, text).head.cv3[0][-1].in_channels == 80
