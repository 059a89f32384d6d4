"""Several processes that train as one: torchrun starts them, and each takes its share of every batch.

A process that torchrun did not start is the only one there is, and talks to nobody.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from toolkit.errors import BadInput, Problem
from toolkit.tensors import device

Item = TypeVar("Item")


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0: the first alone writes and shows how far it has come."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(batch: Sequence[Item]) -> Sequence[Item]:
    """This process's part of a batch that all know, whose length is a multiple of their number."""
    own = len(batch) // count()
    return batch[rank() * own : (rank() + 1) * own]


def average(tensors: Sequence[Tensor]) -> None:
    """Put the mean over all processes in the place of each tensor; they are of one type and on the `device`."""
    if count() == 1:
        return
    together = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(together)
    parts = (together / count()).split([tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, parts, strict=True):
        tensor.copy_(mean.view_as(tensor))


def gathered(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers of every process, by rank; all give as many."""
    if count() == 1:
        return [list(numbers)]
    own = torch.tensor(numbers, device=device())
    every = [torch.empty_like(own) for _ in range(count())]
    dist.all_gather(every, own)
    return [one.tolist() for one in every]


def first(make: Callable[[], Item]) -> Item:
    """What `make` gives in the first process, the only one that calls it."""
    if count() == 1:
        return make()
    told: list[Any] = [make() if rank() == 0 else None]
    dist.broadcast_object_list(told, device=device())
    return told[0]


def require(expected: int, key: str) -> None:
    """Refuse to train unless so many processes run, for all of which the work has the same `key`."""
    if count() != expected:
        fault = f"is {expected}, and the processes that train are {count()}"
        mend = f"start as many: `torchrun --nproc-per-node {expected}` on one machine"
        raise BadInput(Problem("train.processes", fault, mend))
    if first(lambda: key) != key:
        fault = f"process {rank()} has other code, params, data or another kind of device than the first one"
        raise BadInput(Problem("torchrun", fault, "give all machines the same commit and `dvc pull` it"))


def run(work: Callable[[], None]) -> None:
    """Do `work` as one of the processes that torchrun has started, if it has, and exit with 2 where input is bad.

    Of processes that fail, since one did and the others miss it, the first says why.
    """
    launched = dist.is_torchelastic_launched()
    if launched:
        where = device()
        if where.type == "cuda":
            torch.cuda.set_device(where)
        store, own, every = next(rendezvous("env://"))
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo", store=store, rank=own, world_size=every)
    try:
        work()
    except Exception as error:
        if launched and store.add("failed", 1) > 1:
            sys.exit(1)
        if isinstance(error, BadInput):
            print(error, file=sys.stderr)
            sys.exit(2)
        raise
    if launched:
        dist.destroy_process_group()


def launch(processes: int, module: str, *arguments: str) -> None:
    """Run `python -m MODULE ARGUMENTS` as so many processes of this machine, as torchrun would.

    What ends this process ends them; where one of them fails, and has said why, this one exits with its code.
    """
    from torch.distributed.elastic.multiprocessing import (
        DefaultLogsSpecs,
        SignalException,
    )  # most of a second to import
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    threads = (os.cpu_count() or 1) // processes if device().type == "cuda" else 1  # that decode images; that compute
    os.environ.setdefault("OMP_NUM_THREADS", str(max(threads, 1)))
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, max_restarts=0, run_id="salvoc",
        rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", local_addr="127.0.0.1",
        logs_specs=DefaultLogsSpecs(os.devnull),
    )  # fmt: skip
    logging.disable(logging.ERROR)  # of torchrun's own words about what a process has told
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        code = max(failure.exitcode for failure in error.failures.values())
        if code < 0:  # killed, which says nothing
            raise
        sys.exit(code)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    finally:
        logging.disable(logging.NOTSET)
