"""DeepGaze IIE's contract, on a model that needs no package; tests/reference has the package's own."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from toolkit.attention.bottom_up import centre_bias
from toolkit.attention.deepgaze import COMMIT, load, log_density
from toolkit.errors import BadInput

sides = st.integers(64, 90)
few = settings(max_examples=15, deadline=None)


class Bright(nn.Module):
    """People look at bright pixels, and in the middle: called as DeepGaze is."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, pixels: Tensor, centre: Tensor) -> Tensor:
        logits = self.weight * pixels.mean(1) + centre
        return (logits - logits.logsumexp((1, 2), keepdim=True))[:, None]


class Unnormalised(Bright):
    def forward(self, pixels: Tensor, centre: Tensor) -> Tensor:
        return super().forward(pixels, centre) + 1


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def normalised(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


@few
@given(sides, sides)
def test_the_model_sees_pixels_of_0_to_255_and_the_centre_bias_of_the_image_s_size(height: int, width: int) -> None:
    image = photo(height, width)
    expected = normalised(image.mean(2) + np.log(centre_bias(height, width)))
    (found,) = log_density(Bright(), [image])
    assert (found.shape, found.dtype) == ((height, width), np.float32)
    assert np.allclose(found, expected, atol=1e-3)


@few
@given(sides, sides, st.integers(1, 3))
def test_every_density_of_a_batch_sums_to_1(height: int, width: int, count: int) -> None:
    found = log_density(Bright(0.01), [photo(height, width, seed) for seed in range(count)])
    assert len(found) == count
    assert [np.exp(logs, dtype=np.float64).sum() for logs in found] == pytest.approx([1] * count, abs=1e-4)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_a_centre_bias_of_one_s_own_takes_its_place_normalised_or_not(offset: float) -> None:
    own = normalised(np.linspace(0, 4, 70 * 80).reshape(70, 80))
    (found,) = log_density(Bright(), [np.full((70, 80, 3), 9, np.uint8)], own + offset)
    assert np.allclose(found, own, atol=1e-4)


@pytest.mark.parametrize("shape", [(80, 70), (71, 80), (1, 70, 80), (80,)])
def test_a_centre_bias_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"centre bias .* must have the images' size \(70, 80\)"):
        log_density(Bright(), [photo(70, 80)], np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "images",
    [
        [photo(70, 80).astype(np.float32) / 255],
        [photo(70, 80), photo(80, 70)],
        [photo(70, 80)[..., 0]],
        [photo(63, 80)],
    ],
    ids=["0 to 1", "two sizes", "grey", "too small"],
)
def test_images_that_the_model_would_misread_are_refused(images: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="uint8 of one size, from 64 pixels on"):
        log_density(Bright(), images)


@pytest.mark.parametrize("model", [Unnormalised(), Bright(float("nan"))], ids=["sums to e", "nan"])
def test_an_answer_that_is_no_density_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="gave no density"):
        log_density(model, [photo(70, 80)])


@pytest.mark.skipif(find_spec("deepgaze_pytorch") is not None, reason="the extra deepgaze is installed")
def test_without_the_package_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(tmp_path / "deepgaze2e.pth", "cpu")
    (problem,) = refused.value.problems
    assert problem.file == "attention.predictor"
    assert problem.mend == f"pip install git+https://github.com/matthias-k/DeepGaze@{COMMIT}"
    assert "\n" not in str(problem)
