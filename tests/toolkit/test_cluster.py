"""Work on a real Ray cluster of two machines (two raylets on loopback): the plain loop's bytes, whoever is killed."""

import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.servers import bucket
from tests.toolkit.serving import content
from toolkit import agreement, attention, cluster, saliency, spread, variants
from toolkit.errors import BadInput, Problem
from toolkit.files import write
from toolkit.params import Params
from toolkit.spread import Spread, Work, here
from toolkit.store import home
from toolkit.tensors import arithmetic
from toolkit.voc import Tree
from training import predict

ray = pytest.importorskip("ray")
MACHINE = {"num_cpus": 1, "object_store_memory": 80 << 20}
SWIFT = {  # a raylet's own settings: its workers give way to nobody, and a dead one is missed after seconds
    "RAY_worker_niceness": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    """The folder that all machines share: the tests work in it, and its store is theirs."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "arm").mkdir()
    for copy in ("datasets/base.safetensors", "arm/seed-1.safetensors"):
        (folder / copy).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "datasets" / "base.safetensors", folder / copy)
    patch.chdir(folder)
    patch.delenv("SALVOC_STORE", raising=False)
    patch.delenv("OMP_NUM_THREADS", raising=False)
    return folder


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Iterator[str]:
    with bucket(tmp_path_factory.mktemp("s3"), patch) as address:
        patch.setenv("AWS_ENDPOINT_URL", address)
        yield "s3://bucket/store"


@pytest.fixture(scope="module")
def machines(place: Path, s3: str, patch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two machines of one CPU each; they know the bucket as any machine does, by its environment."""
    from ray.cluster_utils import Cluster

    for name, value in SWIFT.items():
        patch.setenv(name, value)
    found = Cluster(initialize_head=True, head_node_args={**MACHINE, "include_dashboard": False})
    found.add_node(**MACHINE)
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def over_two(machines: Any) -> Iterator[Spread]:
    yield cluster.joined(machines.address)
    ray.shutdown()


@pytest.fixture(autouse=True)
def chunks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "CHUNK", 3)


Stage = Callable[[Path, Spread], object]  # writes its output into a new folder


@pytest.fixture(scope="module")
def stages(settings: Params, sample: Tree, place: Path) -> dict[str, Stage]:
    """The stages whose images are spread, in their order; they read what the plain loop made before."""
    plain, classes = place / "plain", settings.data.classes
    train = sample.ids("train")
    selection = pd.DataFrame({"id": train, "selected": [n % 2 == 0 for n in range(len(train))]})

    def table(out: Path, over: Spread) -> None:
        compared = agreement.build(sample, plain / "saliency", plain / "attention", over)
        write(out / "table", pickle.dumps(compared.to_dict()))

    return {
        "attention": lambda out, over: attention.build(sample, "gaze_lite0", None, out, over),
        "saliency": lambda out, over: saliency.build(
            sample, settings.detector, settings.saliency, classes, out, over
        ),
        "agreement": table,
        "variant": lambda out, over: variants.build(
            "erasing", "erasing", sample, plain / "saliency", selection, settings.aug, out, over
        ),
        "predict": lambda out, over: predict.build(
            "none", place / "arm", sample, settings, out, out / "heatmaps", over
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def plain(stages: dict[str, Stage], place: Path) -> dict[str, dict[str, bytes]]:
    """What the plain loop makes, in a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALVOC_STORE", str(place / "store of the plain loop"))
        for name, stage in stages.items():
            (place / "plain" / name).mkdir(parents=True)
            stage(place / "plain" / name, here)
    return {name: content(place / "plain" / name) for name in stages}


def stored() -> dict[Path, int]:
    """The files of the machines' store; one that is made again is another inode."""
    return {path: path.stat().st_ino for path in home().rglob("*") if path.is_file()}


def emptied() -> None:
    shutil.rmtree(home(), ignore_errors=True)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_a_cluster_that_does_not_answer_is_refused_at_once(address: str) -> None:
    with pytest.raises(BadInput, match=f"workers.address: no cluster answers at {address} .* `ray start --head`"):
        cluster.joined(address)


def test_without_the_extra_its_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"ray is not installed -- `uv pip install -e '\.\[ray\]'` in the clone"):
        cluster.joined(None)


@pytest.mark.parametrize(
    ("machines", "room"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}], (6, {"num_cpus": 1})),
        ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 32.0, "GPU": 1.0}, {"CPU": 64.0}], (3, {"num_gpus": 1, "num_cpus": 8})),
        ([{"CPU": 4.0, "GPU": 8.0}], (8, {"num_gpus": 1, "num_cpus": 1})),
    ],
)
def test_an_actor_takes_a_cpu_or_a_gpu_with_its_share_of_them(
    machines: list[dict[str, float]], room: tuple[int, dict[str, int]]
) -> None:
    assert cluster._room(machines) == room


@pytest.mark.parametrize("name", ["attention", "saliency", "agreement", "variant", "predict"])
def test_its_bytes_are_the_plain_loop_s_which_finds_all_of_it_in_the_store(
    stages: dict[str, Stage], plain: dict[str, dict[str, bytes]], over_two: Spread, tmp_path: Path, name: str
) -> None:
    """So keys are the same, too: the machines' arithmetic is the driver's."""
    emptied()
    (tmp_path / "here").mkdir()
    stages[name](tmp_path, over_two)
    made = stored()
    assert bool(made) == (name != "agreement")
    assert content(tmp_path) == plain[name]
    stages[name](tmp_path / "here", here)
    assert stored() == made


def test_both_machines_work_at_once_where_the_driver_does_and_on_a_cpu_each(over_two: Spread, place: Path) -> None:
    def prepare() -> Work[tuple[Path, str, int]]:
        import torch

        (place / ray.get_runtime_context().get_node_id()).touch()
        while not all((place / machine["NodeID"]).exists() for machine in ray.nodes()):
            time.sleep(0.02)
        about = Path.cwd(), arithmetic(), torch.get_num_threads()
        return lambda ids: [(image_id, about) for image_id in reversed(ids)]

    assert list(over_two(prepare, "dacbefg", "told")) == [(i, (place, arithmetic(), 1)) for i in "dacbefg"]


def test_a_killed_worker_s_chunk_is_made_by_another_but_bad_input_arrives_as_it_was_raised(
    over_two: Spread, place: Path
) -> None:
    bad = BadInput(Problem(f"{name}.jpg", "is no image", "remove it") for name in "gh")

    def prepare() -> Work[str]:
        def work(ids: Sequence[str]) -> Iterator[tuple[str, str]]:
            if "d" in ids and not (place / "killed").exists():
                (place / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if "g" in ids:
                with (place / "tries").open("a") as tries:
                    tries.write("x")
                raise bad
            yield from zip(ids, ids, strict=True)

        return work

    values = over_two(prepare, "abcdefgh", "letters")
    assert [next(values) for _ in "abcdef"] == [(i, i) for i in "abcdef"]
    assert (place / "killed").exists()
    with pytest.raises(BadInput) as caught:
        next(values)
    assert (caught.value.problems, str(caught.value)) == (bad.problems, str(bad))
    assert (place / "tries").read_text() == "x"


def test_a_killed_machine_loses_nothing_that_is_in_the_store(
    stages: dict[str, Stage], plain: dict[str, dict[str, bytes]], over_two: Spread, machines: Any, place: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """It is killed with an image of its first chunk stored; the run ends on the machine that is left."""
    emptied()
    second, held = machines.list_all_nodes()[1], place / "held"

    def over(prepare: Callable[[], Work[Path]], ids: Sequence[str], title: str) -> Iterator[tuple[str, Path]]:
        doomed = second.node_id

        def preparing() -> Work[Path]:
            work = prepare()

            def hold(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
                for made in work(ids):
                    yield made
                    held.touch()
                    time.sleep(3600)

            if ray.get_runtime_context().get_node_id() == doomed:
                return hold
            while not held.exists():
                time.sleep(0.02)
            return work

        return over_two(preparing, ids, title)

    before: dict[Path, int] = {}

    def kill() -> None:
        while not held.exists():
            time.sleep(0.02)
        before.update(stored())
        machines.remove_node(second, allow_graceful=False)

    killer = Thread(target=kill, daemon=True)
    killer.start()
    stages["saliency"](tmp_path, over)
    killer.join()
    assert 0 < len(before) < len(stored())
    assert before.items() <= stored().items()
    assert content(tmp_path) == plain["saliency"]
    assert second.node_id not in {machine["NodeID"] for machine in ray.nodes() if machine["Alive"]}


def test_the_store_may_be_a_bucket(
    stages: dict[str, Stage], plain: dict[str, dict[str, bytes]], machines: Any, s3: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("s3fs")
    ray.shutdown()
    emptied()
    monkeypatch.setenv("SALVOC_STORE", s3)
    (tmp_path / "heatmaps").mkdir()
    stages["predict"](tmp_path, cluster.joined(machines.address))
    assert content(tmp_path) == plain["predict"]
    assert len(list(home().rglob("*.npz"))) == len(list((tmp_path / "heatmaps").rglob("*.png"))) > 0
