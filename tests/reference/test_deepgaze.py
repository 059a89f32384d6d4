"""DeepGaze IIE as salvoc loads and computes it equals its authors' package, on the same random weights."""

import shutil
import socket
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils import model_zoo

from toolkit.attention import deepgaze
from toolkit.attention.bottom_up import centre_bias
from toolkit.attention.deepgaze import URL, load, log_density
from toolkit.errors import BadInput

package = pytest.importorskip("deepgaze_pytorch", reason="the extra deepgaze is not installed")


def fresh(url: str, **_: object) -> dict:
    """Random weights in the place of a backbone's download."""
    if "efficientnet" in url:
        return package.features.efficientnet_pytorch.EfficientNet.from_name("efficientnet-b5").state_dict()
    return {"state_dict": nn.Sequential(OrderedDict(module=torchvision.models.resnet50())).state_dict()}


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """The package's own model by its own constructor; float64, its readouts' weights far from their initial ones."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "load", lambda _, name, pretrained: torchvision.models.get_model(name))
        patch.setattr(model_zoo, "load_url", fresh)
        model = package.DeepGazeIIE(pretrained=False)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".features." not in name:
                weight.mul_(torch.rand_like(weight) + 0.5).add_(torch.randn_like(weight), alpha=0.2)
    return model.double()


@pytest.fixture(scope="module")
def weights(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as a real file, like the download."""
    path = tmp_path_factory.mktemp("weights") / "deepgaze2e.pth"
    torch.save(
        {name: value.float() if value.is_floating_point() else value for name, value in theirs.state_dict().items()},
        path,
    )
    return path


@pytest.fixture(scope="module")
def ours(weights: Path) -> nn.Module:
    return load(weights, "cpu").double()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and no cache of an earlier download."""

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128), (97, 131), (66, 203)])
def test_the_log_density_is_the_package_s(theirs: nn.Module, ours: nn.Module, height: int, width: int) -> None:
    images = [photo(height, width, seed) for seed in range(2)]
    prior = np.log(centre_bias(height, width))
    pixels = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).double()
    centre = torch.from_numpy(prior - np.log(np.exp(prior).sum())).double().expand(2, -1, -1)
    with torch.inference_mode():
        expected = theirs(pixels, centre)[:, 0].numpy()
    found = np.stack(log_density(ours, images))
    assert np.abs(expected - centre.numpy()).max() > 0.1  # there is something to be equal to
    assert np.allclose(found, expected, atol=1e-5)


def test_a_batch_is_its_images_one_by_one(ours: nn.Module) -> None:
    images = [photo(64, 96, seed) for seed in range(3)]
    alone = [log_density(ours, [image])[0] for image in images]
    assert np.allclose(log_density(ours, images), alone, atol=1e-5)


def test_threads_share_a_model_without_mixing_up_their_images(ours: nn.Module) -> None:
    images = [photo(64, 96, seed) for seed in range(8)]
    alone = [log_density(ours, [image])[0] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: log_density(ours, [image])[0], images))
    assert np.allclose(together, alone, atol=1e-5)


@pytest.mark.usefixtures("offline")
def test_loading_downloads_nothing_where_the_package_s_own_constructor_does(weights: Path) -> None:
    with pytest.raises(OSError, match="the network was asked"):
        package.DeepGazeIIE(pretrained=False)
    load(weights, "cpu")


@pytest.mark.usefixtures("offline")
def test_the_predictor_gives_a_density_of_the_image_s_size(weights: Path, workplace: Path) -> None:
    (workplace / deepgaze.WEIGHTS).parent.mkdir(parents=True)
    shutil.copyfile(weights, workplace / deepgaze.WEIGHTS)
    deepgaze._model.cache_clear()
    for size in ((20, 480), (1300, 70), (9, 300)):
        (density,) = deepgaze.deepgaze2e([photo(*size)])
        assert density.shape == size
        assert np.isfinite(density).all()
        assert (density > 0).all()
    deepgaze._model.cache_clear()


def test_missing_weights_are_told_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    path = tmp_path / "deepgaze2e.pth"
    with pytest.raises(BadInput, match="weights are missing") as refused:
        load(path, "cpu")
    assert refused.value.problems[0].mend == f"curl -L --create-dirs -o {path} {URL}"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", {"weight": torch.zeros(1)}, Path("runs code")])
def test_a_file_that_is_not_the_weights_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "deepgaze2e.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(BadInput, match="holds no weights of DeepGaze IIE") as refused:
        load(path, "cpu")
    assert "\n" not in str(refused.value.problems[0])
