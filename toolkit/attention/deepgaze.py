"""DeepGaze IIE, a learned gaze predictor (Linardos, Kümmerer, Press & Bethge 2021, ICCV), by its authors' own package.

An optional extra: the package is neither on PyPI nor licensed for copying, and its weights are a download. Its four
backbones are built here, empty, as its own constructors download ImageNet weights that `deepgaze2e.pth` replaces.
"""

import math
import pickle
from collections import OrderedDict, UserDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import Any

import cv2
import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.attention.bottom_up import centre_bias
from toolkit.errors import BadInput, Problem

WEIGHTS = Path("datasets/weights/deepgaze2e.pth")
URL = "https://github.com/matthias-k/DeepGaze/releases/download/v1.0.0/deepgaze2e.pth"
COMMIT = "874f12e1ee519860f49860638cf7f6375956d45a"  # 0.2.0; the newest does not import without `clip`
INSTALL = f"pip install git+https://github.com/matthias-k/DeepGaze@{COMMIT}"
SIDE = 1024  # pixels of the longer side: it learned from MIT1003, mostly of this size at 35 pixels a degree
THINNEST = 64  # pixels: the backbones cannot take a shorter side
COMPONENTS = 30  # readouts of each backbone: 3 trainings of 10 folds
Foreign = Any  # a module of the package, which has no types
_loading = Lock()


def deepgaze2e(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The densities [H, W] of fixations on images [H, W, 3] uint8 RGB, up to a factor, by the weights at `WEIGHTS`.

    Each is scaled to the longer side that DeepGaze learned at, as if it filled the same part of the view. The backbones
    see every second pixel of that: a VOC image of 500 pixels reaches them nearly as it is.
    """
    with _loading:
        model = _model()
    return [_scaled_density(model, image) for image in images]


def _scaled_density(model: nn.Module, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = SIDE / max(height, width)
    size = max(round(width * factor), THINNEST), max(round(height * factor), THINNEST)
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    density = np.exp(log_density(model, [scaled])[0])
    return cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR if factor < 1 else cv2.INTER_AREA)


@cache
def _model() -> nn.Module:
    return load(WEIGHTS, "cuda" if torch.cuda.is_available() else "cpu")


def load(weights: Path, device: torch.device | str) -> nn.Module:
    """DeepGaze IIE in evaluation mode, from a local `deepgaze2e.pth` alone; threads may share it.

    Raises `BadInput` where the package or the file is missing, or the file holds anything else.
    """
    try:
        from deepgaze_pytorch.deepgaze2e import BACKBONES, build_deepgaze_mixture
        from deepgaze_pytorch.modules import MixtureModel
    except ImportError as error:
        raise BadInput(Problem("attention.predictor", f"deepgaze2e needs a package ({error})", INSTALL)) from None
    download = f"curl -L --create-dirs -o {weights} {URL}"
    if not weights.exists():
        raise BadInput(Problem(str(weights), "DeepGaze IIE's weights are missing", download))
    empty = [backbone | {"type": f"{__name__}.{_EMPTY[backbone['type']]}"} for backbone in BACKBONES]
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        model = MixtureModel([build_deepgaze_mixture(backbone, COMPONENTS) for backbone in empty])
        model.load_state_dict(state)
    except (pickle.UnpicklingError, EOFError, RuntimeError, TypeError) as error:
        fault = f"holds no weights of DeepGaze IIE ({' '.join(str(error).split())[:150]})"
        raise BadInput(Problem(str(weights), fault, download)) from None
    for mixture in model.models:
        mixture.features.outputs = _PerThread()
        _join(mixture)
    return model.eval().to(device)


@torch.inference_mode()
def log_density(model: nn.Module, images: Sequence[np.ndarray], centre: np.ndarray | None = None) -> list[np.ndarray]:
    """The log densities [H, W] float32 of fixations on images [H, W, 3] uint8 RGB of one size; exp of each sums to 1.

    `centre` is the log density [H, W] of fixations whatever is shown, by default `centre_bias`. Raises ValueError where
    images are not uint8, differ in size or are too small, and where the model gives no density.
    """
    size = images[0].shape[:2]
    if min(size) < THINNEST or any(image.dtype != np.uint8 or image.shape != (*size, 3) for image in images):
        found = ", ".join(f"{image.shape} {image.dtype}" for image in images)
        raise ValueError(f"images must be [H, W, 3] uint8 of one size, from {THINNEST} pixels on: {found}")
    bias = np.log(centre_bias(*size)) if centre is None else centre
    if bias.shape != size:  # the package would answer in the centre bias's size
        raise ValueError(f"the centre bias {bias.shape} must have the images' size {size}")
    like = next(model.parameters())
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(like)
    prior = torch.from_numpy(bias).to(like).expand(len(images), -1, -1)
    densities = model(pixels, prior - prior.logsumexp((1, 2), keepdim=True))[:, 0]
    if not (densities.logsumexp((1, 2)).abs() < 1e-3).all():
        raise ValueError("DeepGaze IIE gave no density: its weights are broken")
    return list(densities.float().cpu().numpy())


class _PerThread(local, UserDict):
    """A dict of each thread's own: the package's hooks leave a model's features in one that threads would share."""


# ------------------------------------------------------------------------------------------------ empty backbones

_EMPTY = {  # the package looks constructors up by name: name these instead of its own
    "deepgaze_pytorch.features.shapenet.RGBShapeNetC": "_resnet50",
    "deepgaze_pytorch.features.efficientnet.RGBEfficientNetB5": "_efficientnet_b5",
    "deepgaze_pytorch.features.densenet.RGBDenseNet201": "_densenet201",
    "deepgaze_pytorch.features.resnext.RGBResNext50": "_resnext50",
}


def _resnet50() -> nn.Module:
    return _normalised(nn.Sequential(OrderedDict(module=torchvision.models.resnet50())))


def _efficientnet_b5() -> nn.Module:
    from deepgaze_pytorch.features.efficientnet_pytorch import EfficientNet

    return _normalised(EfficientNet.from_name("efficientnet-b5"))


def _densenet201() -> nn.Module:
    return _normalised(torchvision.models.densenet201())


def _resnext50() -> nn.Module:
    return _normalised(torchvision.models.resnext50_32x4d())


def _normalised(backbone: nn.Module) -> nn.Module:
    from deepgaze_pytorch.features.normalizer import Normalizer

    return nn.Sequential(Normalizer(), backbone)


# ------------------------------------------------------------------------------------------------ joined readouts


def _join(mixture: Foreign) -> None:
    """Let a backbone's components be computed side by side, as groups of channels, not one after the other.

    The same function in exact arithmetic; a loop over all 120 costs more than the four backbones.
    """
    norms, convolutions, *rest = zip(*mixture.saliency_networks, strict=True)
    selection = zip(*mixture.fixation_selection_networks, strict=True)
    saliency = nn.Sequential(*_joined_first(norms, convolutions), *(_joined(layers) for layers in rest))
    mixture.saliency_networks = nn.ModuleList([saliency])
    mixture.fixation_selection_networks = nn.ModuleList([_Selection(*(_joined(layers) for layers in selection))])
    mixture.finalizers = nn.ModuleList([_Finalizers(mixture.finalizers)])


def _joined_first(norms: Sequence[Foreign], convolutions: Sequence[nn.Conv2d]) -> tuple[nn.Module, nn.Module]:
    """The first two layers; all see the same channels, so that one norm serves, its affine part in the convolution."""
    channels, outputs = convolutions[0].in_channels, sum(layer.out_channels for layer in convolutions)
    joined = nn.Conv2d(channels, outputs, 1)
    pairs = list(zip(norms, convolutions, strict=True))
    weight = torch.cat([layer.weight * norm.weight[:, None, None] for norm, layer in pairs])
    bias = torch.cat([layer.weight[:, :, 0, 0] @ norm.bias for norm, layer in pairs])
    joined.load_state_dict({"weight": weight, "bias": bias})
    return nn.GroupNorm(1, channels, norms[0].eps, affine=False), joined


def _joined(layers: Sequence[Foreign]) -> nn.Module:
    """One layer that does to groups of channels what each of `layers` does to its own."""
    first, count = layers[0], len(layers)
    if part := dict(first.named_children()):  # the package's layers for two inputs, of which one is absent
        (name,) = part
        return _joined([layer.get_submodule(name) for layer in layers])
    if isinstance(first, nn.Softplus):
        return first
    joined: nn.Module
    if isinstance(first, nn.Conv2d):
        joined = nn.Conv2d(count * first.in_channels, count * first.out_channels, 1, groups=count, bias=False)
    elif hasattr(first, "eps"):  # over a group's channels and all cells, as GroupNorm
        joined = nn.GroupNorm(count, count * first.features, first.eps)
    else:
        joined = type(first)(count * first.channels)
    states = [layer.state_dict() for layer in layers]
    joined.load_state_dict({name: torch.cat([state[name] for state in states]) for name in states[0]})
    return joined


class _Selection(nn.Sequential):
    def forward(self, inputs: tuple[Tensor, None]) -> Tensor:
        return super().forward(inputs[0])  # the other would be a scanpath


class _Finalizers(nn.Module):
    """The package's finalizers and their mixture: from readouts [B, K, h, w] and centre bias to log density, [B, H, W].

    Each scales its readout to half the image's size (nearest), blurs it, adds the centre bias times a weight, scales
    that to the image (nearest) and normalises. Up to the blur that is linear and separable, a matrix for each axis; and
    as the last scaling only repeats pixels, the mixture is taken before it.
    """

    def __init__(self, finalizers: Foreign) -> None:
        super().__init__()
        self.finalizers: Foreign = finalizers

    def forward(self, readouts: Tensor, centre: Tensor) -> Tensor:
        height, width = centre.shape[1:]
        factor = 1 / self.finalizers[0].saliency_map_factor
        half = F.interpolate(centre[:, None], scale_factor=factor, recompute_scale_factor=False)
        rows, columns = (self._spread(readouts.shape[axis], half.shape[axis]) for axis in (2, 3))
        weights = torch.stack([finalizer.center_bias_weight for finalizer in self.finalizers])[:, :, None]
        logits = rows @ readouts @ columns.mT + weights * half
        repeats = torch.outer(*(_repeats(half.shape[axis], centre.shape[axis - 1], centre.device) for axis in (2, 3)))
        logits = logits - (logits + repeats.log()).logsumexp((2, 3), keepdim=True)
        mixed = logits.logsumexp(1, keepdim=True) - math.log(len(self.finalizers))
        return F.interpolate(mixed, size=(height, width))[:, 0]

    def _spread(self, cells: int, pixels: int) -> Tensor:
        """Along one axis, how much of each cell reaches each pixel; [K, pixels, cells]."""
        from deepgaze_pytorch.layers import gaussian_filter_1d

        blurs = [finalizer.gauss for finalizer in self.finalizers]
        steps = F.interpolate(torch.eye(cells).to(blurs[0].sigma)[None], size=pixels)[0].T
        return torch.stack([gaussian_filter_1d(steps, 0, blur.sigma, blur.truncate) for blur in blurs])


def _repeats(small: int, large: int, device: torch.device) -> Tensor:
    """How often nearest-neighbour scaling repeats each of `small` pixels among `large`; [small]."""
    places = F.interpolate(torch.arange(float(small), device=device)[None, None], size=large)
    return torch.bincount(places.flatten().long(), minlength=small)
