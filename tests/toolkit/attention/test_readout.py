"""The embedded gaze predictor: what it is fed, what it gives, and that its weights are what the card says."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from toolkit.attention import readout
from toolkit.attention.bottom_up import centre_bias
from toolkit.attention.readout import MEMBERS, SIDE, STRIDE, WEIGHTS, Readouts


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


@given(st.integers(8, 700), st.integers(8, 700))
def test_the_network_sees_whole_strides_of_about_the_image_s_proportions(height: int, width: int) -> None:
    shown = readout.prepared(np.full((height, width, 3), 255, np.uint8))
    assert max(shown.shape[1:]) == SIDE
    assert all(length % STRIDE == 0 for length in shown.shape[1:])
    expected = min(height, width) / max(height, width) * SIDE
    assert abs(min(shown.shape[1:]) - max(expected, STRIDE)) <= STRIDE / 2 + 1
    assert (shown == 1).all()


def test_pixels_go_in_between_minus_one_and_one() -> None:
    shown = readout.prepared(np.array([[[0, 51, 255]]], np.uint8).repeat(8, 0).repeat(8, 1))
    assert shown[:, 0, 0].tolist() == pytest.approx([-1, -0.6, 1], abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(60, 80), (400, 200), (30, 900)])
def test_it_gives_a_density_of_eight_pixel_cells(height: int, width: int) -> None:
    (density,) = readout.gaze_lite0([photo(height, width)])
    assert density.shape == tuple(length // 8 for length in readout.prepared(photo(height, width)).shape[1:])
    assert density.sum() == pytest.approx(1, abs=1e-4)
    assert density.min() > 0


def test_threads_share_it_and_agree() -> None:
    images = [photo(96, 128, seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = [density for (density,) in pool.map(readout.gaze_lite0, [[image] for image in images])]
    for density, alone in zip(together, readout.gaze_lite0(images), strict=True):
        assert np.allclose(density, alone, atol=1e-6)


def test_the_mixture_is_the_mean_of_its_members_densities() -> None:
    members = torch.randn(2, MEMBERS, 5, 7).flatten(2).log_softmax(2).view(2, MEMBERS, 5, 7)
    assert torch.allclose(readout.mixed(members).exp(), members.exp().mean(1))


def test_the_blur_is_a_gaussian_for_each_member() -> None:
    maps, sigma = torch.rand(2, 3, 20, 30), torch.tensor([0.4, 1.0, 1.7])
    found = readout.blurred(maps, sigma)
    for member, width in enumerate(sigma.tolist()):
        for image in range(2):
            expected = gaussian_filter(maps[image, member].numpy(), width, mode="nearest", radius=readout.REACH)
            assert np.allclose(found[image, member].numpy(), expected, atol=1e-5)


def test_a_readout_that_knows_nothing_gives_the_centre_bias() -> None:
    centre = torch.from_numpy(centre_bias(64, 64))
    empty = Readouts(centre / centre.sum()).eval()
    empty.shown.data.zero_()
    features = [
        torch.randn(1, channels, 48 // s, 64 // s) for channels, s in zip(readout.CHANNELS, (1, 2, 4), strict=True)
    ]
    density = readout.mixed(empty(features))[0].exp()
    expected = torch.nn.functional.interpolate(empty.centre[None, None], (48, 64), mode="bilinear")[0, 0]
    assert torch.allclose(density, expected / expected.sum(), rtol=1e-4)


def test_the_weights_are_small_and_say_what_they_were_fitted_to() -> None:
    from safetensors import safe_open

    assert WEIGHTS.stat().st_size < 500_000
    with safe_open(WEIGHTS, "pt") as file:
        assert {"OSIE", "Scene"} == set(json.loads(file.metadata()["recordings"]))
    assert (Path(readout.__file__).parent / "MODEL_CARD.md").exists()
