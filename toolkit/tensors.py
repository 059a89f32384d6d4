"""Where torch computes, and images as it takes them."""

import os

import numpy as np
import torch
from torch import Tensor

from toolkit import ARITHMETIC


def device() -> torch.device:
    """The GPU where there is one; of several processes that torchrun has started, each one's own."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if "LOCAL_RANK" in os.environ else torch.device("cuda")


def arithmetic(processes: int = 1) -> str:
    """What computes here, as far as it may round differently elsewhere: part of the key of what torch made.

    Each of several processes has one thread unless OMP_NUM_THREADS says otherwise, as torchrun has it.
    """
    if device().type == "cuda":
        return f"{torch.cuda.get_device_name()}, {torch.get_float32_matmul_precision()}"
    chosen = {name: os.environ.get(name) for name in (*ARITHMETIC, "OMP_NUM_THREADS")}
    if processes > 1:
        chosen["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    return f"{torch.backends.cpu.get_cpu_capability()}, {chosen}"


def channels_first(image: np.ndarray) -> Tensor:
    """[H, W, C] -> [C, H, W], a copy of the same type."""
    return torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)


def to_tensor(image: np.ndarray) -> Tensor:
    """[H, W, 3] uint8 -> [3, H, W] float32 in 0..1, as detectors take it."""
    return channels_first(image).float() / 255
