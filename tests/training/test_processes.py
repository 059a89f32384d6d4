"""Two processes train as one: the same losses, gradients and weights, whatever their images' sizes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import ROOT, part_of
from tests.training.together import FAMILIES, gradient, line
from toolkit import places
from toolkit.errors import BadInput
from toolkit.files import copy, read_image, write
from toolkit.params import Params, load
from toolkit.voc import Tree
from training import finetune

TOLERANCE = 1e-6  # of a weight after four steps
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="compares what two CPU processes round alike")


def environment() -> dict[str, str]:
    """This checkout's code, and a thread a process."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def started(*command: str) -> subprocess.CompletedProcess[str]:
    """A program that has run in the working folder."""
    command = (sys.executable, "-m", *command)
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240)


def torchrun(*command: str) -> subprocess.CompletedProcess[str]:
    return started("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *command)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As torchrun's processes have."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mixed(sample: Tree, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Four images of different sizes and shapes; the second half, one process's share, has smaller ones."""
    ids = sample.ids("train")[:4]
    tree = part_of(sample, tmp_path_factory.mktemp("mixed"), {"train": ids})
    for image_id, (down, right) in zip(ids, [(0, 70), (40, 0), (0, 0), (0, 20)], strict=True):
        padded = np.pad(read_image(tree.image(image_id)), ((0, down), (0, right), (0, 0)))
        Image.fromarray(padded).save(tree.image(image_id), "PNG")
    return tree


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def together(mixed: Tree, place: Path, one_thread: None) -> dict[str, tuple]:
    """What two processes have found, the first of which goes on from a state of one and leaves one of two."""
    with pytest.raises(InterruptedError):
        line(place / "one.pt", stop=4)
    done = torchrun("tests.training.together", str(place), str(mixed.root))
    assert done.stderr.count("raise InterruptedError") == 1, done.stderr
    return torch.load(place / "found.pt", weights_only=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_over_the_processes_is_the_whole_batch_s(family: str, together: dict, mixed: Tree) -> None:
    losses, moved = gradient(family, mixed)
    assert torch.allclose(together[family][0], losses, rtol=1e-5)
    assert (together[family][1] - moved).abs().max() < 1e-4 * moved.abs().max()
    assert moved.abs().max() > 0


@pytest.mark.parametrize("begun", ["whole", "resumed"])
def test_two_processes_end_as_one_and_go_on_from_the_state_of_one(begun: str, together: dict, tmp_path: Path) -> None:
    slope, history = line(tmp_path / "alone.pt")
    assert together[begun][0].item() == pytest.approx(slope.item(), rel=1e-6)
    assert pd.DataFrame(together[begun][1]).to_numpy() == pytest.approx(pd.DataFrame(history).to_numpy(), rel=1e-6)


def test_one_process_goes_on_from_the_state_of_two(together: dict, place: Path, tmp_path: Path) -> None:
    assert len(torch.load(place / "two.pt", weights_only=True)["history"]) == 4
    whole, history = line(tmp_path / "alone.pt")
    slope, again = line(place / "two.pt")
    assert slope.item() == pytest.approx(whole.item(), rel=1e-6)
    assert pd.DataFrame(again).to_numpy() == pytest.approx(pd.DataFrame(history).to_numpy(), rel=1e-6)


@pytest.fixture
def arm(mixed: Tree, settings: Params, workplace: Path) -> Callable[..., Params]:
    """Writes params by which so many processes train the arm `none` on the mixed images."""
    tree = Tree(places.VARIANTS / "none")
    part_of(mixed, tree.root, {"train": mixed.ids("train")})
    write(tree.root / "variant.json", json.dumps({"source": "here", "content": "mixed"}))
    copy(places.SAMPLE_BASE, places.BASE_WEIGHTS)

    def params(processes: int, steps: int = 4) -> Params:
        train = settings.train.model_copy(update={"steps": steps, "batch": 4, "processes": processes})
        params = settings.model_copy(update={"train": train})
        write(places.PARAMS, yaml.safe_dump(params.model_dump()))
        return params.with_weights(places.BASE_WEIGHTS)

    return params


def test_a_stage_of_two_processes_ends_in_the_weights_and_curves_of_one(
    arm: Callable[..., Params], one_thread: None
) -> None:
    finetune.build("none", Tree(places.VARIANTS / "none"), arm(1), Path("one"), Path("logs"))
    arm(2)
    done = started("commands", "finetune", "none")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(" 0/4 [00:00<?, ?step/s]") == 1  # one progress bar
    one, two = (load_file(folder / "seed-1.safetensors") for folder in (Path("one"), places.ARMS / "none"))
    base = load_file(places.BASE_WEIGHTS)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < TOLERANCE
    assert max(float((one[name] - base[name]).abs().max()) for name in one) > 1000 * TOLERANCE
    curves = [folder / "seed-1/plots/metrics/loss.tsv" for folder in (Path("logs"), places.CURVES / "none")]
    losses = [pd.read_csv(curve, sep="\t")["loss"].tolist() for curve in curves]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert len(list(Path(".salvoc").rglob("*.safetensors"))) == 2
    assert not list(Path(".salvoc").rglob("*.pt"))


def test_where_one_process_fails_all_end_and_one_says_why(arm: Callable[..., Params]) -> None:
    arm(2)
    tree = Tree(places.VARIANTS / "none")
    write(tree.image(tree.ids("train")[3]), "no image")
    done = started("commands", "finetune", "none")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "cannot identify image file" in done.stderr


def test_what_ends_a_stage_ends_its_processes(arm: Callable[..., Params]) -> None:
    arm(2, steps=400)
    command = [sys.executable, "-m", "commands", "finetune", "none"]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as stage:
        shown = ""
        while " 0/400 " not in shown:
            shown += stage.stderr.read(1)
            assert stage.poll() is None, shown
        workers = psutil.Process(stage.pid).children(recursive=True)
        stage.terminate()
        assert stage.wait(60) == 128 + signal.SIGTERM
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_bad_input_is_told_once_and_exits_with_two(arm: Callable[..., Params]) -> None:
    arm(4)
    done = torchrun("training.finetune", "none")
    assert done.returncode != 0
    assert done.stderr.count("train.processes: is 4, and the processes that train are 2") == 1
    alone = started("training.finetune", "none")
    assert alone.returncode == 2
    assert alone.stderr.startswith("1 problem:\n  train.processes: is 4, and the processes that train are 1")


def test_a_batch_that_the_processes_cannot_share_alike_is_refused(arm: Callable[..., Params]) -> None:
    arm(3)
    with pytest.raises(BadInput, match=r"train\.batch: is 4, which 3 processes .* use a multiple of 3"):
        load(places.PARAMS)
