"""python -m benchmarks.gpu: what salvoc makes of one GPU, in ten minutes at most.

It needs a CUDA device, the repository and its packages, and no run before it. Each part is a process of its own that is
stopped when its budget is over: a part that fails is told with its error, and the others go on. The parts: the
machine's limits (products of matrices, a copy), the GPU's maps beside the CPU's, EigenCAM beside pytorch-grad-cam and
the backbone alone, inpainting, fine-tuning beside torchvision's reference loop, prediction, and `pytest -m gpu`.

A page with the goals, whether they are met, and how far each stage is from the machine's limit goes to `gpu.md` and to
the screen; `gpu.json` has the same, unrounded.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import torch
import typer

from benchmarks.gpu.figures import Figure, Part, page, told
from benchmarks.gpu.parts import MEASURES, Sizes
from benchmarks.gpu.study import in_hours
from toolkit.errors import BadInput, Problem, require_known
from toolkit.files import write

BUDGETS = {  # seconds, of which a part's start takes up to ten
    "limits": 40,
    "maps": 50,
    "eigencam": 120,
    "inpainting": 80,
    "fine-tuning": 110,
    "prediction": 60,
    "tests": 120,
}


def main(
    out: Annotated[Path, typer.Option(help="The folder of gpu.md and gpu.json.", file_okay=False)] = Path("reports"),
    part: Annotated[str | None, typer.Option(help="Measure this part alone, here, and print its figures.")] = None,
) -> None:
    """Test and measure one GPU in ten minutes at most. Example: `python -m benchmarks.gpu`"""
    try:
        require_gpu()
        if part:
            require_known("--part", "part", part, MEASURES)
            for figure in MEASURES[part](Sizes()):
                print(json.dumps(asdict(figure)), flush=True)
            return
    except BadInput as error:
        typer.secho(str(error), fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from None
    machine, parts = described(), []
    for name, budget in BUDGETS.items():
        print(f"{name}: at most {budget} s", file=sys.stderr, flush=True)
        parts.append(measured(name, [sys.executable, "-m", "benchmarks.gpu", "--part", name], budget))
        print(f"{name}: {parts[-1].seconds:.0f} s {parts[-1].error}", file=sys.stderr, flush=True)
    hours = in_hours(parts)
    shown = page(machine, parts, hours)
    write(out / "gpu.json", json.dumps(told(machine, parts, hours), indent=2) + "\n")
    write(out / "gpu.md", shown)
    print(shown)


def require_gpu() -> None:
    """Raise `BadInput` where torch has no GPU to compute on."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        fault = f"torch can use no CUDA device ({str(error).splitlines()[0]})"
        mend = "run it on a machine with one; here `python -m benchmarks.limits` measures the CPU"
        raise BadInput(Problem("python -m benchmarks.gpu", fault, mend)) from None


def measured(name: str, command: Sequence[str], budget: int) -> Part:
    """Run a part, which prints its figures as lines of JSON; after `budget` seconds it and all it started is stopped.

    What it had found until it failed or was stopped is kept.
    """
    start, error = time.perf_counter(), ""
    with TemporaryFile("w+") as found, TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=found, stderr=said, start_new_session=True) as process:
            try:
                code = process.wait(budget)
            except subprocess.TimeoutExpired:
                error = f"stopped after {budget} s"
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        taken = time.perf_counter() - start
        found.seek(0), said.seek(0)
        figures = [Figure(**json.loads(line)) for line in found if line.startswith("{")]
        if not error and code:
            error = ([line.strip() for line in said if line.strip()] or [f"ended with {code}"])[-1]
    return Part(name, budget, taken, figures, error)


def described() -> dict[str, object]:
    """The machine and what computes on it."""
    gpu = torch.cuda.get_device_properties(0)
    return {
        "GPU": gpu.name,
        "memory": f"{gpu.total_memory / 2**30:.0f} GiB",
        "driver": _driver(),
        "torch": torch.__version__,
        "CUDA": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version(),
        "cores": os.cpu_count(),
    }


def _driver() -> str:
    if not shutil.which("nvidia-smi"):
        return "unknown (no nvidia-smi)"
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return (subprocess.run(ask, capture_output=True, text=True).stdout.splitlines() or ["unknown"])[0]


if __name__ == "__main__":
    typer.run(main)
