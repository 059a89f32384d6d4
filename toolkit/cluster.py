"""The images of a stage, many chunks at a time: on the machines of a cluster, by Ray Data (an extra).

Every machine has the repository at the same path, with the same packages, and reaches the same store (docs/scale.md).
"""

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic

from tqdm import tqdm

from toolkit import ARITHMETIC, spread
from toolkit.errors import BadInput, Problem
from toolkit.spread import Spread, Value, Work
from toolkit.store import home
from toolkit.workers import batches

DECIDING = (*ARITHMETIC, "OMP_NUM_THREADS")  # what `toolkit.tensors.arithmetic` tells of the environment


def joined(address: str | None) -> Spread:
    """Work spread over the cluster at `address`, `auto` or HOST:PORT; None: over this machine, by a Ray of its own.

    This process stays in the cluster until it ends. Raises `BadInput` without the extra, and where no cluster answers.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # whatever its name says: all of it stays on loopback
    try:
        import ray
        from ray.data import DataContext
    except ModuleNotFoundError:
        mend = "`uv pip install -e '.[ray]'` in the clone, or set workers.engine to local"
        raise BadInput(Problem("workers.engine", "ray is not installed", mend)) from None
    path = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]  # first, this checkout's own code
    environment = {name: os.environ[name] for name in DECIDING if name in os.environ}
    environment |= {"SALVOC_STORE": str(home()), "PYTHONPATH": os.pathsep.join(path)}
    try:
        if address and address != "auto":
            host, _, port = address.rpartition(":")
            if not port.isdigit():
                raise ValueError("it is no HOST:PORT")
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray would try for minutes
        ray.init(
            **({"address": address} if address else {"address": "local", "include_dashboard": False}),
            runtime_env={"env_vars": environment},
            logging_level=logging.WARNING,
        )
    except (OSError, ValueError) as error:
        mend = "`ray start --head` starts one and says where; with null this machine is enough"
        raise BadInput(Problem("workers.address", f"no cluster answers at {address} ({error})", mend)) from None
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it tells that its bars are off
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    return _over_cluster


def _over_cluster(prepare: Callable[[], Work[Value]], ids: Sequence[str], title: str) -> Iterator[tuple[str, Value]]:
    """As `Spread` says. Chunks travel to actors and values back; that of an actor that died is made by another."""
    import ray

    chunks = batches(ids, spread.CHUNK)
    if not chunks:
        return
    actors, each = _room([machine["Resources"] for machine in ray.nodes() if machine["Alive"]])
    unset = [name for name in DECIDING if name not in os.environ]
    rows = ray.data.from_items([{"ids": pickle.dumps(chunk)} for chunk in chunks], override_num_blocks=len(chunks))
    made = rows.map_batches(  # which restarts actors and tries their chunks again by itself, however often they die
        _Actor,
        fn_constructor_args=(prepare, Path.cwd(), each["num_cpus"], unset),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(chunks)), max_tasks_in_flight_per_actor=1),
        **each,
    )
    with tqdm(desc=title, total=len(ids), unit="image", mininterval=1) as bar:
        for row in made.iter_rows():
            values = pickle.loads(row["values"])
            if isinstance(values, BadInput):
                raise values
            bar.update(len(values))
            yield from values


def _room(machines: Sequence[Mapping[str, float]]) -> tuple[int, dict[str, int]]:
    """How many actors there is room for, and what each takes: a CPU, or a GPU with its share of the machine's CPUs.

    `machines` has what each machine of the cluster has, by Ray's names.
    """
    cpus, gpus = (int(sum(machine.get(kind, 0) for machine in machines)) for kind in ("CPU", "GPU"))
    if gpus:
        shares = [int(machine["CPU"] // machine["GPU"]) for machine in machines if machine.get("GPU")]
        return gpus, {"num_gpus": 1, "num_cpus": max(min(shares), 1)}
    return cpus, {"num_cpus": 1}


class _Actor(Generic[Value]):
    """Works in the driver's folder with the driver's arithmetic, on as many threads as it has CPUs."""

    def __init__(self, prepare: Callable[[], Work[Value]], folder: Path, threads: int, unset: Sequence[str]) -> None:
        os.chdir(folder)
        self.prepare, self.threads, self.unset = prepare, threads, unset
        self.work: Work[Value] | None = None

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, list[bytes]]:
        """A chunk's ids with their values, in order, or the `BadInput` that there is instead: no error to Ray."""
        for name in self.unset:
            os.environ.pop(name, None)  # Ray sets the number of threads before each task
        import torch  # only now: it reads them

        torch.set_num_threads(self.threads)
        ids = pickle.loads(rows["ids"][0])
        try:
            self.work = self.work or self.prepare()
            values = dict(self.work(ids))
        except BadInput as error:
            return {"values": [pickle.dumps(error)]}
        return {"values": [pickle.dumps([(image_id, values[image_id]) for image_id in ids])]}
