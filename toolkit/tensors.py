"""Where torch computes, and images as it takes them."""

import os

import numpy as np
import torch
from torch import Tensor

from toolkit import ARITHMETIC


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic() -> str:
    """What computes here, as far as it may round differently elsewhere: part of the key of what torch made."""
    if device().type == "cuda":
        return f"{torch.cuda.get_device_name()}, {torch.get_float32_matmul_precision()}"
    chosen = {name: os.environ.get(name) for name in (*ARITHMETIC, "OMP_NUM_THREADS")}
    return f"{torch.backends.cpu.get_cpu_capability()}, {chosen}"


def channels_first(image: np.ndarray) -> Tensor:
    """[H, W, C] -> [C, H, W], a copy of the same type."""
    return torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)


def to_tensor(image: np.ndarray) -> Tensor:
    """[H, W, 3] uint8 -> [3, H, W] float32 in 0..1, as detectors take it."""
    return channels_first(image).float() / 255
