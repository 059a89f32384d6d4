"""Our EigenCAM equals pytorch-grad-cam's up to sign, on the same detector, layer and input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_grad_cam import EigenCAM
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn

from tests.toolkit.detectors.test_contract import built, installed
from toolkit import detectors
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.errors import BadInput
from toolkit.params import Detector, Saliency
from toolkit.saliency import explain, require_layer
from toolkit.saliency.eigencam import projection

COCO = FasterRCNN_ResNet50_FPN_Weights.COCO_V1


def library_grid(adapter: Adapter, image: Tensor, layer: str) -> np.ndarray:
    """The library's signed projection of the layer's cells, before it is rectified and scaled."""
    grids = []

    class Kept(EigenCAM):
        def get_cam_image(self, *arguments: object) -> np.ndarray:
            grids.append(super().get_cam_image(*arguments))
            return grids[-1]

    with Kept(adapter, [adapter.model.get_submodule(layer)]) as cam:
        cam(image[None], targets=[lambda found: torch.zeros(())])
    return grids[0][0]


def photo(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 9, height), torch.linspace(0, 7, width), indexing="ij")
    waves = torch.stack([(y + 2 * x).sin(), (3 * y - x).cos(), (y * x / 5).sin()])
    return waves / 2 + 0.5


@pytest.mark.parametrize("size", [(96, 96), (96, 128)])
@pytest.mark.parametrize(
    ("name", "layer"), [*((name, "") for name in detectors.names()), ("fasterrcnn_lite0", "backbone.body.blocks.6")]
)
def test_equal_up_to_sign(name: str, layer: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    adapter = built(installed(name), classes=20)
    image, layer = photo(*size), layer or adapter.layer
    ours = projection(adapter.look([image], layer, detections=False).activations)[0].numpy().ravel()
    theirs = library_grid(adapter, image, layer).ravel()
    cosine = abs(ours @ theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > 0.999999
    assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(theirs), rel=1e-4)


@pytest.mark.parametrize("method", ["eigencam", "gradcam", "layercam", "eigengradcam"])
def test_any_library_method_is_reached(method: str) -> None:
    torch.manual_seed(0)
    settings = Saliency(method=method, layer="backbone.body.blocks.4", sign="raw")
    (heatmap,) = explain(FasterRCNNLite0(20, 96).eval(), [photo(96, 96)], settings)
    assert heatmap.shape == (96, 96)
    assert 0 <= heatmap.min() <= heatmap.max() <= 1


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    settings = Saliency(method="eigenkam", layer="default", sign="objectness")
    with pytest.raises(BadInput, match=r"knows no method 'eigenkam' -- choose one of: .*eigencam.*odam"):
        require_layer(FasterRCNNLite0(20, 96).eval(), settings)


def test_resnet50_is_torchvision_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both load one file where torchvision keeps its downloads; it holds random weights, laid out as the real ones."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    fresh = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    file = tmp_path / "hub" / "checkpoints" / Path(COCO.url).name
    file.parent.mkdir(parents=True)
    frozen = {name: tensor for name, tensor in fresh.state_dict().items() if "num_batches" not in name}
    torch.save(frozen, file)
    theirs = fasterrcnn_resnet50_fpn(weights=COCO).eval().to(memory_format=torch.channels_last)
    ours = detectors.load(
        Detector(name="fasterrcnn_resnet50_fpn", weights="coco", checkpoint="none", size=800, at_once=1),
        ["dog", "unheard-of"],
    ).model.cpu()  # where theirs is
    image = photo(96, 128)
    for level, features in theirs.backbone(image[None]).items():
        assert torch.equal(features, ours.backbone(image[None])[level])
    own, their = (dict(model.named_parameters()) for model in (ours, theirs))
    assert {n: p.requires_grad for n, p in own.items()} == {n: p.requires_grad for n, p in their.items()}
    dog = COCO.meta["categories"].index("dog")
    row = theirs.roi_heads.box_predictor.cls_score.weight[dog]
    assert torch.equal(ours.roi_heads.box_predictor.cls_score.weight[1], row)
    assert (ours.transform.min_size, ours.transform.max_size) == ((800,), 1333)


def test_the_embedded_backbone_is_the_package_s_network() -> None:
    settings = Detector(name="fasterrcnn_lite0", weights="imagenet", checkpoint="none", size=96, at_once=1)
    adapter = detectors.load(settings, ["a"])
    assert adapter.model.backbone.body.conv_stem.weight.std() > 0.1  # trained weights, not timm's initial ones
