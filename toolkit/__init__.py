"""salvoc's toolkit: from images to variants. `training` goes on from there; nothing here imports it.

What is set here the libraries read once, as they are loaded: it must come before numpy, OpenCV and torch are imported.
What the user's environment says goes before it.
"""

import os
from pathlib import Path

# Libraries choose their code by the processor, and each choice sums, and so rounds, in another order. With these every
# x86-64 processor that has AVX2 computes the same bytes on the CPU, and finds what another one committed unchanged.
ARITHMETIC = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own loops; taken on trust, and deadly where there is no AVX2
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    "MKL_CBWR": "COMPATIBLE",  # torch's products, LAPACK, exp and log; other ways exist on Intel's processors alone
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's and SciPy's products
    "OPENBLAS_NUM_THREADS": "1",  # they are cut by the number of threads
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",  # its loops
    "OPENCV_IPP": "avx2",  # Intel's filters within OpenCV
}


def _flags() -> set[str]:
    """What the processor can do, in the words of Linux on x86-64; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


FLAGS = _flags()
if {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= FLAGS:  # elsewhere OpenCV would complain
    ARITHMETIC["OPENCV_CPU_DISABLE"] = "AVX512-SKX"  # its loops
for _name, _value in (ARITHMETIC if "avx2" in FLAGS else {}).items():
    os.environ.setdefault(_name, _value)

# Threads that wait for one another spin for milliseconds, which makes torch up to a hundred times slower where another
# process wants the same cores: let them spin for microseconds, then sleep.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
