"""python -m benchmarks.scale: every stage on three sizes, a process each, and carried on to a million images.

The stages, the store, the shards, DVC and FiftyOne are the real ones; images have a few pixels and what is computed of
one is next to nothing (`benchmarks.scale.stage` says what), so that what is left is what the number of images costs.
Below `FILES` images of `toolkit.store` a folder has a file an image, above it shards. What is cheap is measured on more
images (`agreement's table`, `select`, `report`, FiftyOne's `import`: what a smaller run left, repeated), what is dear
on fewer (`browse`). Training and the test of faithfulness do not grow with the images, and are left out.

Prints the JSON line, and the tables that reports/performance.md has.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks.scale import growth, project
from benchmarks.timing import report, rounded

STAGES = {  # in their order: the command's words, by the name that the tables have
    "source": ("source",),
    "dvc": ("dvc",),
    "attention": ("attention",),
    "saliency": ("saliency",),
    "agreement": ("agreement",),
    "select": ("select",),
    "variant": ("variant", "erasing"),
    "predict": ("predict", "erasing"),
    "score": ("score", "erasing"),
}
BESIDE = (("predict", "none"), ("score", "none"))  # what the report and FiftyOne want besides
SHOWN = {"browse": ("browse",), "import": ("import",)}
IMPORTED = 100_000  # images: each of a million has kilobytes of samples
SHOWN_OF = (1_000, 10_000, 100_000, 1_000_000)
UNITS = {"seconds": "Seconds of one core", "mib": "MiB at most"}
Measured = dict[str, dict[int, dict[str, float]]]  # by stage and images: seconds and MiB


def main(
    power: Annotated[
        int, typer.Option(help="Ten to this power are the images; tables have ten times as many.", min=4)
    ] = 5,
) -> None:
    """Three sizes, each ten times the one before, up to 100,000 images: 40 minutes of two cores, as smaller ones tell.

    Example: `python -m benchmarks.scale --power 4` (ten minutes)
    """
    images, tables = 10**power, 10 ** (power + 1)
    found: Measured = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for size in (images // 1000, images // 100, images // 10, images):
            _images(found, Path(folder) / str(size), size, whole=size < images)
        for size in (tables // 100, tables // 10, tables):
            _tables(found, Path(folder) / str(images // 10), Path(folder) / f"tables-{size}", size)
    report("scale", stages=found)
    for unit, title in UNITS.items():
        print(f"\n{title}:\n\n{shown(found, unit).to_markdown(disable_numparse=True)}")


def _images(found: Measured, root: Path, size: int, *, whole: bool) -> None:
    """All stages on so many images; the report and FiftyOne where the `whole` is wanted."""
    project.make(root, size)
    for name, words in STAGES.items():
        found[name][size] = _apart(root, *words)
    if whole:
        for words in BESIDE:
            _apart(root, *words)
        project.trained(root)
        for name, words in SHOWN.items():
            found[name][size] = _apart(root, *words)


def _tables(found: Measured, small: Path, root: Path, size: int) -> None:
    """The stages that read tables alone, on those of the `small` project, enlarged."""
    project.enlarged(small, root, size)
    found["agreement's table"][size] = _apart(root, "table", str(size))
    for name in ("select", "report"):
        found[name][size] = _apart(root, name)
    if size not in found["import"] and size <= IMPORTED:
        project.exported(small, root, size)
        found["import"][size] = _apart(root, "import")


def _apart(root: Path, *words: str) -> dict[str, float]:
    """What a stage took in a process of its own, its start included: seconds of one core, and MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale.stage", *words], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {root}\n{done.stdout}\n{done.stderr}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(root.name, *words, told, file=sys.stderr)
    return told


def shown(found: Measured, unit: str) -> pd.DataFrame:
    """A row a stage: what was measured, what comes of it by its slope, and how it grows."""
    rows = {}
    for name, sizes in found.items():
        points = {size: own[unit] for size, own in sizes.items()}
        row = {f"{size:,}": f"{rounded(points[size]):g}" if size in points else "" for size in SHOWN_OF}
        for size in SHOWN_OF[1:]:
            beyond = size > max(points)
            row[f"{size:,}, extrapolated"] = f"{rounded(growth.carried(points, size)):g}" if beyond else ""
        power = growth.exponent(points)
        rows[name] = row | {
            "an image": _each(growth.slope(points), unit),
            "exponent": "" if math.isnan(power) else f"{power:.2f}",
        }
    return pd.DataFrame(rows).T.rename_axis("stage")


def _each(slope: float, unit: str) -> str:
    return f"{rounded(slope * 1000):g} ms" if unit == "seconds" else f"{slope * 2**20:.0f} bytes"


if __name__ == "__main__":
    typer.run(main)
