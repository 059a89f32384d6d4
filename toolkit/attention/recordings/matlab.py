"""MATLAB's files from strangers, versions 5 to 7 and 7.3: no code in them runs, and they cannot crash or fill salvoc.

The readers are called through `apart`, which gives them a process of their own: damaged files crash both libraries.
"""

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
from scipy.io import loadmat

from toolkit.errors import BadInput, Problem

MAX_UNPACKED = 64_000_000  # bytes of a file; POET's largest has 8.8 million, OSIE's 4.8, Scene's 1.7
MAX_ARRAY = 1_000_000  # bytes of an array in a file of version 7.3; a thousand times as much is what they may unpack to
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


def numbers(file: Path, name: str) -> np.ndarray:
    """An array of numbers in a file of any version, as MATLAB has it. Raises nearly anything on damaged bytes."""
    if not h5py.is_hdf5(file):
        return np.asarray(loaded(file, name), np.float64)
    with h5py.File(file) as root:
        return _array(_variable(root, name)).astype(np.float64)


def cells_of_numbers(file: Path, name: str) -> list[np.ndarray]:
    """The arrays in a vector of cells in a file of version 7.3, as MATLAB has them, float64; an empty one is 0 x 0.

    The format: HDF5, with a cell array as one of references (MathWorks' "MAT-File Versions"). Raises nearly anything on
    damaged bytes.
    """
    with h5py.File(file) as root:
        cells = _variable(root, name)
        if h5py.check_ref_dtype(cells.dtype) is not h5py.Reference:
            raise ValueError(f"`{name}` is no cell array")
        found: list[np.ndarray] = []
        for reference in _array(cells).ravel():
            found.append(_array(root[reference]).astype(np.float64))
            if sum(array.nbytes for array in found) > MAX_UNPACKED:
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED} bytes")
        return found


def _variable(root: h5py.File, name: str) -> h5py.Dataset:
    if not isinstance(root.get(name, getlink=True), h5py.HardLink):  # other links lead to other files
        raise ValueError(f"it has no variable `{name}`")
    return root[name]


def _array(dataset: h5py.Dataset) -> np.ndarray:
    """What is stored, as MATLAB has it: HDF5 names the dimensions the other way round."""
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:  # the last two: in other files
        raise ValueError("it has a variable that is no array")
    if dataset.dtype.kind not in "iuf" and h5py.check_ref_dtype(dataset.dtype) is None:  # texts may be of any length
        raise ValueError("it has an array that is not of numbers")
    if "MATLAB_empty" in dataset.attrs:  # what is stored are its dimensions
        return np.zeros((0, 0))
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if max(dataset.nbytes, chunk, dataset.id.get_storage_size()) > MAX_ARRAY:
        raise ValueError(f"it has an array of more than {MAX_ARRAY} bytes")
    return dataset[()].T


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
