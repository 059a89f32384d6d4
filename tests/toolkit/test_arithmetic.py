"""One arithmetic: what a CPU computes hangs on neither its maker, its newest instructions nor its number of cores."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

import toolkit
from tests.conftest import ROOT, shrunk
from toolkit import detectors, params, saliency, sources
from toolkit.attention.readout import gaze_lite0
from toolkit.files import read_image
from toolkit.tensors import arithmetic, to_tensor
from toolkit.variants import deep_image_prior
from toolkit.voc import Tree
from toolkit.workers import mapped
from training.data import Examples
from training.engine import fit
from training.objectives import OBJECTIVES

pytestmark = [
    pytest.mark.skipif("avx2" not in toolkit.FLAGS, reason="the processor has no AVX2"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes"),
]


def tell_what_computes() -> None:
    """Print what each library chose."""
    module = np._core._multiarray_umath
    chosen = [name for name in module.__cpu_dispatch__ if module.__cpu_features__[name]]
    blas = [single for single in threadpool_info() if single["user_api"] == "blas"]
    print("torch:", torch.backends.cpu.get_cpu_capability())
    print("numpy:", [name for name in chosen if "AVX512" in name])
    print("OpenBLAS:", {(single["architecture"], single["num_threads"]) for single in blas})
    with torch.backends.mkldnn.verbose(1), torch.backends.mkl.verbose(1):
        torch.conv2d(torch.ones(2, 32, 16, 16), torch.ones(32, 32, 3, 3))
        torch.ones(64, 64) @ torch.ones(64, 64)


def tell_what_stages_make() -> None:
    """Print the hashes of a scene, of what each step makes of it, and of trained weights."""
    settings = shrunk(params.load())
    classes = settings.data.classes
    with tempfile.TemporaryDirectory() as folder:
        sample = settings.sample.model_copy(update={"train_scenes": 2, "test_scenes": 1})
        sources.build(settings.model_copy(update={"sample": sample}), Path(folder))
        tree = Tree(Path(folder))
        image = read_image(tree.image(tree.ids("test")[0]))
        adapter = detectors.load(settings.detector, classes)

        def seen(image: np.ndarray) -> dict[str, np.ndarray]:
            shown = [to_tensor(image)]
            look = adapter.look(shown, adapter.layer)
            (heatmap,) = saliency.explain(adapter, shown, settings.saliency, look)
            hole = np.zeros(image.shape[:2], bool)
            hole[30:50, 40:60] = True
            filled = deep_image_prior.fill(image, hole, 1, iterations=5)
            boxes = {name: tensor.numpy() for name, tensor in look.found[0].items()}
            return {"scene": image, "map": heatmap, "gaze": gaze_lite0([image])[0], "filled": filled, **boxes}

        told_of = next(mapped(lambda: seen, [image]))
        data, solver = Examples(tree, tree.ids("train"), classes), settings.train.model_copy(update={"steps": 2})
        fit(adapter, OBJECTIVES["detection"], data, len(data), solver, 1, Path(folder) / "state.pt", "test")
    weights = {name: tensor.numpy() for name, tensor in adapter.model.state_dict().items()}
    for name, array in (told_of | weights).items():
        print(name, hashlib.sha256(array.tobytes()).hexdigest())


def told(tell: Callable[[], None], *before: str, **environment: str) -> list[str]:
    """The lines that a fresh Python tells, with none of `ARITHMETIC` set from outside."""
    bare = {name: value for name, value in os.environ.items() if name not in (*toolkit.ARITHMETIC, "OMP_NUM_THREADS")}
    code = f"import toolkit; from {__name__} import {tell.__name__} as tell; tell()"
    done = subprocess.run(
        [*before, sys.executable, "-c", code], cwd=ROOT, env=bare | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_library_computes_with_what_all_processors_with_avx2_have() -> None:
    lines = told(tell_what_computes)
    assert "torch: AVX2" in lines
    assert "numpy: []" in lines
    assert "OpenBLAS: {('Haswell', 1)}" in lines
    assert any(line.startswith("onednn_verbose") and line.endswith("isa:Intel AVX2") for line in lines)
    assert any(line.startswith("MKL_VERBOSE SGEMM") and "CNR:COMPATIBLE" in line for line in lines)


def test_what_the_environment_says_goes_before() -> None:
    lines = told(tell_what_computes, MKL_CBWR="AUTO")
    assert any(line.startswith("MKL_VERBOSE SGEMM") and "CNR:AUTO" in line for line in lines)


def test_what_another_arithmetic_made_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = arithmetic()
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    assert arithmetic() != usual


def test_several_processes_have_a_thread_each_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun says, so that a stage finds what processes that were started by hand have stored."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    usual = arithmetic(processes=2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert arithmetic(processes=2) == usual


@pytest.fixture(scope="module")
def made_here() -> list[str]:
    return told(tell_what_stages_make)


@pytest.mark.skipif(shutil.which("taskset") is None or (os.cpu_count() or 1) < 2, reason="needs two cores to leave one")
def test_stages_make_the_same_bytes_on_any_number_of_cores(made_here: list[str]) -> None:
    single = str(min(os.sched_getaffinity(0)))
    assert told(tell_what_stages_make, "taskset", "-c", single) == made_here


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="needs qemu-user, which emulates other processors")
def test_stages_make_the_same_bytes_on_the_other_maker_s_processors(made_here: list[str]) -> None:
    """Intel's first with AVX2 where this is AMD's, else AMD's Zen."""
    other = "Haswell" if "AuthenticAMD" in Path("/proc/cpuinfo").read_text() else "EPYC"
    assert told(tell_what_stages_make, "qemu-x86_64", "-cpu", other) == made_here
