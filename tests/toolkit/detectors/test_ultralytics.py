"""YOLO: what is found is ultralytics' own; its evidence is where it sees something; its pickles run no code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import ROOT
from tests.toolkit.detectors.described import ULTRALYTICS
from tests.toolkit.detectors.test_checkpoint import Malicious
from tests.toolkit.detectors.test_contract import photos, targets
from toolkit import detectors
from toolkit.detectors.adapter import Adapter
from toolkit.detectors.convert import convert
from toolkit.detectors.published import checkpoints
from toolkit.errors import BadInput
from toolkit.params import Detector

pytest.importorskip("toolkit.detectors.ultralytics")  # not the package itself: it changes the process
family = detectors.find("ultralytics")
CLASSES = ("cat", "dog", "cow")


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    torch.manual_seed(0)
    adapter = family(len(CLASSES), 96, ULTRALYTICS).eval()
    with torch.no_grad():
        for name, parameter in adapter.named_parameters():
            if name.endswith("bias"):
                parameter += 2 * torch.randn_like(parameter)
    return adapter


def test_what_is_found_is_what_ultralytics_own_predictor_finds(adapter: Adapter) -> None:
    """Its letterbox, its suppression as it validates, its way back into the image."""
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    image = photos(60, 83)[0].mul(255).round()
    laid = LetterBox((96, 96), auto=True, stride=adapter.stride)(image=image.byte().permute(1, 2, 0).numpy())
    batch = torch.from_numpy(np.ascontiguousarray(laid)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        (own,) = adapter.detect([image / 255])
        ours, _ = adapter._batch([image / 255])
        (theirs,) = non_max_suppression(adapter.model(ours), 0.001, 0.7, multi_label=True, max_det=300)
    assert ours.shape == batch.shape
    assert torch.allclose(ours, batch, atol=0.01)  # it rounds to eight bits
    assert len(own["scores"]) == len(theirs) > 3
    assert torch.equal(own["scores"], theirs[:, 4])
    assert torch.equal(own["labels"], theirs[:, 5].long() + 1)
    boxes = scale_boxes(ours.shape[2:], theirs[:, :4].clone(), (60, 83))
    assert torch.allclose(own["boxes"], boxes, atol=0.6)  # it scales both sides alike, though each was rounded


def test_a_true_box_and_its_way_back_are_the_same(adapter: Adapter) -> None:
    image = photos(60, 83)[0]
    _, (frame,) = adapter._batch([image])
    boxes = torch.tensor([[3.0, 5.0, 40.0, 50.0], [0.0, 0.0, 83.0, 60.0]])
    assert torch.allclose(frame.cut(frame.lay(boxes)), boxes, atol=1e-4)
    assert frame.covered((96, 96), (12, 12)) == pytest.approx((frame.top / 8, 0, (frame.top + frame.rows) / 8, 12))


def test_the_evidence_is_the_largest_logit_of_the_scale_that_is_nearest(adapter: Adapter) -> None:
    image = photos()[0]
    with torch.no_grad():
        raw = adapter.model(image[None])[1]
    logits = raw["scores"][0].split([level[0, 0].numel() for level in raw["feats"]], dim=1)
    for layer, level in (("model.5", 1), ("model.8", 0)):
        look = adapter.look([image], layer, detections=False)
        assert torch.allclose(look.evidence[0], logits[level].amax(dim=0).view(look.evidence.shape[1:]), atol=1e-5)


def test_the_evidence_changes_where_something_is(adapter: Adapter) -> None:
    """What the head sees is planted: nothing, and then something in one cell. It looks at 5 x 5 of them."""

    def evidence(planted: Tensor) -> Tensor:
        hook = adapter.model.model[8].register_forward_hook(lambda _module, _given, _output: planted)
        try:
            return adapter.look([torch.zeros(3, 96, 96)], "model.8", detections=False).evidence[0]
        finally:
            hook.remove()

    nothing = torch.zeros(1, 64, 12, 12)
    something = nothing.clone()
    something[0, :, 3, 8] = 9.0
    rows, columns = (evidence(something) - evidence(nothing)).abs().gt(1e-4).nonzero().T
    assert {3} <= {*rows.tolist()} <= {*range(1, 6)}
    assert {8} <= {*columns.tolist()} <= {*range(6, 11)}


def test_its_losses_are_ultralytics_own(adapter: Adapter) -> None:
    torch.manual_seed(0)
    learner = family(len(CLASSES), 96, ULTRALYTICS).train()
    images = photos()
    truth = {
        "img": torch.stack(images), "batch_idx": torch.tensor([0]), "cls": torch.tensor([1]),
        "bboxes": torch.tensor([[34 / 96, 55 / 96, 52 / 96, 70 / 96]]),
    }  # fmt: skip
    theirs, _ = learner.model.loss(truth)
    ours = learner.losses(images, targets())
    assert torch.allclose(torch.stack([*ours.values()]), theirs, rtol=1e-5)


def own_yaml(name: str) -> str:
    from ultralytics.utils import ROOT as PACKAGE

    return (PACKAGE / "cfg" / "models" / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "layer"), [("v5/yolov5.yaml", 9), ("v8/yolov8.yaml", 9), ("v9/yolov9t.yaml", 9), ("11/yolo11.yaml", 10)]
)
def test_ultralytics_own_models_are_built_and_explained_at_their_backbone_s_deepest_layer(
    name: str, layer: int
) -> None:
    adapter = family(2, 64, own_yaml(name) + "\nscale: n\n").eval()
    with adapter.outputs(f"model.{layer}") as kept:
        look = adapter.look(photos()[:1], "deepest")
    assert torch.equal(kept[0], look.activations)
    assert look.candidates[0].log_odds.shape == (64 + 16 + 4, 2)


@pytest.mark.parametrize("name", ["v10/yolov10n.yaml", "26/yolo26.yaml", "v8/yolov8-seg.yaml", "rt-detr/rtdetr-l.yaml"])
def test_those_with_other_heads_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="ends in another head than YOLOv8's"):
        family(2, 64, own_yaml(name))


def test_a_look_without_gradients_leaves_one_with_them_possible(adapter: Adapter) -> None:
    """Its head keeps anchors, which autograd could not use once they were made in inference mode."""
    adapter.look(photos(), "deepest")
    with adapter.outputs("deepest") as kept:
        boxes = adapter.look(photos(), "deepest", gradients=True).candidates[0].boxes
    (gradient,) = torch.autograd.grad(boxes.sum(), kept)
    assert gradient.abs().max() > 0


def published(folder: Path) -> dict[str, Tensor]:
    """A random model of COCO's shape, stored as ultralytics stores the real one, where torch keeps its downloads."""
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    categories = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov5s.yaml", nc=80, verbose=False)
    model.names = dict(enumerate(name for name in categories[1:] if name != "N/A"))
    folder.mkdir(parents=True)
    torch.save({"epoch": -1, "model": model.half(), "ema": None, "train_args": {"imgsz": 640}}, folder / "yolov5su.pt")
    return model.float().state_dict()


def test_the_published_weights_are_loaded_and_no_code_of_theirs_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = published(checkpoints())
    allowed = torch.serialization.get_safe_globals()
    settings = Detector(name="yolov5s", weights="coco", checkpoint="none", size=96, at_once=1)
    ours = detectors.load(settings, ["dog", "unheard-of", "sofa"]).model.state_dict()
    rows = state["model.24.cv3.0.2.weight"]
    assert torch.equal(ours["model.24.cv3.0.2.weight"].cpu()[[0, 2]], rows[[16, 57]])
    assert torch.equal(ours["model.0.conv.weight"].cpu(), state["model.0.conv.weight"])
    assert {*torch.serialization.get_safe_globals()} == {*allowed}
    convert(checkpoints() / "yolov5su.pt", tmp_path / "yolov5su.safetensors")
    converted = settings.model_copy(
        update={"weights": "checkpoint", "checkpoint": str(tmp_path / "yolov5su.safetensors")}
    )
    again = detectors.load(converted, ["dog", "unheard-of", "sofa"]).model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in ours.items())


def test_what_is_not_ultralytics_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    checkpoints().mkdir(parents=True)
    torch.save({"model": Malicious()}, checkpoints() / "yolov5su.pt")
    kind = detectors.find("yolov5s")
    assert kind.coco is not None
    with pytest.raises(BadInput, match=r"yolov5su\.pt: cannot be had"):
        kind.coco.load()
    assert not Path("ran").exists()


IMPORT = """
import os, socket, warnings, cv2, numpy, torch
from PIL import Image
socket.getaddrinfo = socket.socket.connect = lambda *_, **__: 1 / 0
def state():
    printed = repr(vars(torch._tensor_str.PRINT_OPTS)), repr(numpy.get_printoptions())
    threads = cv2.getNumThreads(), torch.get_num_threads()
    functions = torch.save, torch.load, Image.open, cv2.imread
    return dict(os.environ), threads, functions, printed, list(warnings.filters)
from toolkit import detectors
before = state()
detectors.find("yolov5s")
after = state()
for number, (old, new) in enumerate(zip(before, after, strict=True)):
    assert old == new, (number, old, new)
"""


def test_the_import_of_ultralytics_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """Nor does it look up a host, print, or write but into its own folder of settings."""
    home = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "MPLCONFIGDIR": str(tmp_path / "m"),
    }
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=tmp_path, env=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parent for path in written if path.parts[0] != "m"} <= {Path(".config/Ultralytics")}
