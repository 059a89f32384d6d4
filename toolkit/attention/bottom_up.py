"""Where people look by what stands out: gaze predictors that need no weights.

A predictor maps images [H, W, 3] uint8 RGB to densities [h, w] of any grid, larger where people look more.
"""

from collections.abc import Sequence

import cv2
import numpy as np

SIDE = 96  # cells along the image's longer side: finer than human attention is
SPREAD = 0.28  # of the side: the width of the centre bias


def centre_bias(height: int, width: int) -> np.ndarray:
    """People look at the middle whatever is shown: a Gaussian of the image's proportions, [H, W], 1 at its centre."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * SPREAD**2)).astype(np.float32)


def bottom_up(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Lab contrast at several scales (centre minus surround, as in Itti, Koch & Niebur 1998), times the centre bias."""
    return [_contrast(image) for image in images]


def spectral_residual(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What an image's log spectrum has beyond a smooth one (Hou & Zhang 2007), times the centre bias."""
    return [_residual(image) for image in images]


def centre(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The centre bias alone: what a predictor must beat."""
    return [centre_bias(*_shrunk(image).shape[:2]) for image in images]


def _contrast(image: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(_shrunk(image).astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    contrast = np.zeros(lab.shape[:2], np.float32)
    for fine in (0.01, 0.02, 0.04):
        centre, surround = (cv2.GaussianBlur(lab, (0, 0), sigma * SIDE) for sigma in (fine, 5 * fine))
        contrast += np.linalg.norm(centre - surround, axis=2)
    return cv2.GaussianBlur(contrast, (0, 0), 0.03 * SIDE) * centre_bias(*contrast.shape)


def _residual(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(_shrunk(image), cv2.COLOR_RGB2GRAY).astype(np.float32)
    spectrum = np.fft.fft2(grey)
    amplitude = np.log(np.abs(spectrum) + 1e-8)
    residual = amplitude - cv2.blur(amplitude.astype(np.float32), (3, 3))
    shown = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    return cv2.GaussianBlur(shown.astype(np.float32), (0, 0), 0.04 * SIDE) * centre_bias(*grey.shape)


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = SIDE / max(height, width)
    return cv2.resize(
        image, (max(round(width * factor), 1), max(round(height * factor), 1)), interpolation=cv2.INTER_AREA
    )
