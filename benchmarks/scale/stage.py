"""python -m benchmarks.scale.stage NAME [ARM]: one stage, in the project that is the current folder.

The stage is the real one, as DVC runs it. What it computes of one image is next to nothing: `explain` and `examine`
give the same for every image without asking the detector, and maps are compared on a grid of `SIDE` cells. The last
line says what its processes worked for, in seconds of one core, and the memory that it had at most itself.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.scale.project import SIDE, TEST
from toolkit import agreement, places
from toolkit.agreement import Fixations
from toolkit.spread import Work
from toolkit.voc import Tree, write_ids

FOUND = 5  # boxes that the detector finds in an image
MAP = 4  # cells of the side of its map


def main(name: str, *arguments: str) -> None:
    own: dict[str, Callable[..., None]] = {"dvc": dvc, "table": table, "import": imported}
    own.get(name, partial(stage, name))(*arguments)
    print(json.dumps({"seconds": worked(), "mib": peak()}))


def stage(name: str, *arguments: str) -> None:
    """A stage of dvc.yaml."""
    from commands import app

    agreement.SIDE = SIDE
    if name in ("saliency", "predict"):  # they import torch, as the stages do
        _without_detector()
    app([name, *arguments], standalone_mode=False)


def _without_detector() -> None:
    import numpy as np
    import torch
    from torch import Tensor

    from toolkit import maps, saliency
    from toolkit.detectors.adapter import Adapter, Found, Look
    from toolkit.detectors.candidates import Candidates
    from toolkit.params import Saliency
    from toolkit.saliency import Objects
    from training import predict

    heatmap = maps.normalise(np.random.default_rng(1).random((MAP, MAP)))
    boxes = torch.tensor([[4.0, 4, 12, 12]]).repeat(FOUND, 1)
    classes = torch.arange(FOUND)
    found: Found = {"boxes": boxes, "labels": classes + 1, "scores": 0.9 ** (1 + classes)}
    candidates = Candidates(boxes[:, None].repeat(1, 20, 1), torch.zeros(FOUND, 20))

    def explain(
        adapter: Adapter, images: Sequence[Tensor], settings: Saliency, seen: Look | None = None,
        asked: Sequence[Objects] | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        return [heatmap for _ in images]

    def examine(
        adapter: Adapter, images: Sequence[Tensor], settings: Saliency
    ) -> list[tuple[Found, Candidates, np.ndarray]]:
        return [(found, candidates, heatmap) for _ in images]

    saliency.explain, predict.examine = explain, examine


def dvc() -> None:
    """DVC's own work on the source: a hash, a copy in the cache and a link of every file."""
    from dvc.cli import main as command

    if code := command(["add", "-q", str(places.SOURCE)]):
        raise SystemExit(code)


def table(images: str) -> None:
    """The table of agreement of so many images, each with the scores of one that is there."""
    source, ids = Tree("many"), [f"{number:07}" for number in range(int(images))]
    write_ids(source.split("test"), ids[::TEST])
    write_ids(source.split("train"), [image_id for number, image_id in enumerate(ids) if number % TEST])
    known = agreement.against(agreement.maps.load(places.SALIENCY / f"{ids[0]}.png"), places.ATTENTION, ids[0])

    def comparing(saliency: Path, attention: Path, fixations: Fixations) -> Work[dict[str, float]]:
        def work(chunk: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
            yield from ((image_id, dict(known)) for image_id in chunk)

        return work

    agreement._comparing = comparing
    agreement.build(source, places.SALIENCY, places.ATTENTION).to_parquet("many.parquet")


def imported() -> None:
    """FiftyOne's import, as `salvoc app` begins."""
    from toolkit import browse

    browse.load(places.FIFTYONE, "scale")


def worked() -> float:
    """Seconds of one core, of this process and those that it started: other work does not lengthen them."""
    own = psutil.Process()
    return sum(times.user + times.system for times in (p.cpu_times() for p in (own, *own.children(recursive=True))))


def peak() -> float:
    """MiB; `getrusage` would count what the parent had before this process was one of its own."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
