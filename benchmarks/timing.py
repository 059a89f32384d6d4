"""What the benchmarks share: the device, the clock, and the line that each prints."""

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer

Device = Annotated[str, typer.Option(help="cpu, or cuda where there is a GPU.")]


def use(device: str) -> None:
    """Make salvoc, which takes a GPU where it sees one, take this device."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read when torch first looks for a GPU
    elif not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use: leave out --device cuda")


def seconds(call: Callable[[], object], repeats: int = 3, within: float = math.inf) -> float:
    """The median time of a call, after one that warms up; once `within` seconds are over, no more than one is timed."""
    times: list[float] = []
    while len(times) <= repeats and (len(times) < 2 or sum(times) < within):
        wait()
        start = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def wait() -> None:
    """Until a GPU has done all that it was given: calls return before that."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def report(benchmark: str, **found: object) -> None:
    """Print the one line: what was compared, on what, and what was found."""
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    machine = {"device": where, "cores": os.cpu_count(), "torch": torch.__version__}
    print(json.dumps({"benchmark": benchmark} | machine | found))


def rounded(value: float) -> float:
    """Three significant digits: more would be noise."""
    return float(f"{value:.3g}")
