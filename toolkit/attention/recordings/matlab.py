"""MATLAB's files from strangers, versions 5 to 7: no code in them runs, and they cannot crash or fill salvoc.

The reader is called through `apart`, which gives it a process of its own: damaged files crash it.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.io import loadmat

from toolkit.errors import BadInput, Problem

MAX_UNPACKED = 64_000_000  # bytes of a file; POET's largest has 8.8 million, OSIE's 4.8, Scene's 1.7
COMPRESSED = 15  # miCOMPRESSED, the type of an element that zlib has packed

T = TypeVar("T")


def apart(read: Callable[[Path], T], files: Sequence[Path], mend: str) -> list[T]:
    """What `read` makes of each file, in a process of its own; raises `BadInput` for every one that it cannot read."""
    found: list[T] = []
    problems: list[Problem] = []
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        for file in files:
            try:
                found.append(process.submit(read, file).result())
            except Exception as error:  # what the readers raise on damaged bytes may be nearly anything
                problems.append(Problem(str(file), f"is no MATLAB file that can be read ({error})", mend))
                if isinstance(error, BrokenProcessPool):  # nothing is read after a crash
                    break
    if problems:
        raise BadInput(problems)
    return found


def loaded(file: Path, name: str) -> np.ndarray:
    """A variable of a file of version 5 to 7, as SciPy has it. Raises nearly anything on damaged bytes."""
    if file.stat().st_size > MAX_UNPACKED or _unpacked(file.read_bytes()) > MAX_UNPACKED:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED} bytes")
    found = loadmat(file, variable_names=[name])
    if name not in found:
        raise ValueError(f"it has no variable `{name}`")
    return found[name]


def _unpacked(data: bytes) -> int:
    """How many bytes the elements of a MATLAB file are in all, unpacked piece by piece; stops above `MAX_UNPACKED`.

    The format: MAT-File Level 5, MathWorks' "MAT-File Format", chapter 1. Raises `zlib.error` on damaged ones.
    """
    header = "<II" if data[126:128] == b"IM" else ">II"  # an element's type and how many bytes follow
    at, total = 128, 0
    while at + 8 <= len(data) and total <= MAX_UNPACKED:
        kind, size = struct.unpack_from(header, data, at)
        left = data[at + 8 : at + 8 + size]
        at += 8 + size
        if kind != COMPRESSED:
            total += len(left)
            continue
        unpacking = zlib.decompressobj()
        while left and total <= MAX_UNPACKED:
            total += len(unpacking.decompress(left, 1 << 20))
            left = unpacking.unconsumed_tail
    return total
