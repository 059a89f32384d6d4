"""python -m benchmarks.browse: what it takes to build, import and open a dataset of many images in FiftyOne.

A few photographs are linked as many times as there are images, with their maps, boxes and two arms' predictions of a
third of them, the test split; a tenth of the others has a variant. Building is a process of its own, importing and
opening another, each with its memory at most (`peak_mib`; the database's own, a gigabyte of cache at most, comes on
top). The App is open once a browser shows the first images, where there is one.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
import typer

from tests.browser import CHROMIUM, browser
from toolkit import browse, maps, voc
from toolkit.files import link, png, write
from toolkit.voc import Annotation, Object, Tree

PHOTOGRAPHS, SIDE = 6, 500  # and their longer side in pixels, VOC's
ARMS, FOUND = ("none", "erasing"), 5  # boxes that an arm finds in an image
PORT = 5199


def main(
    images: Annotated[tuple[int, int], typer.Option(help="Two numbers of images.", min=60)] = (1_700, 17_000),
) -> None:
    """Build, import and open two sizes, for what grows with the images: half an hour.

    Example: `python -m benchmarks.browse --images 60 600`
    """
    from benchmarks.timing import report, rounded  # it imports torch, whose memory neither the stage nor the App has

    report("browse", sizes={size: {step: rounded(told) for step, told in _measured(size).items()} for size in images})


def _measured(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), size)
        found = _apart(build, Path(folder), size) | _apart(load, Path(folder), size)
        export = [path for path in (Path(folder) / "datasets/fiftyone").rglob("*") if path.is_file()]
        return found | {"files": len(export), "mb": sum(path.stat().st_size for path in export) / 1e6}


def _apart(step: Callable[[Path, int], dict[str, float]], root: Path, size: int) -> dict[str, float]:
    """What a step tells, and the memory that its process had at most."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        told = pool.submit(step, root, size).result()
        return told | {f"{step.__name__}_peak_mib": pool.submit(_peak).result()}


def _peak() -> float:
    """MiB; `getrusage` would count what the parent had before this process was one of its own."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def make(root: Path, size: int) -> None:
    """What the stages before would leave: `size` images, all links."""
    from benchmarks.photographs import photographs  # as above

    source, variant = Tree(root / "datasets/source"), Tree(root / "datasets/variants/erasing")
    ids = _ids(size)
    for number, image in enumerate(photographs(None, PHOTOGRAPHS)):
        scale = SIDE / max(image.shape)
        photo = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = photo.shape[:2]
        rng = np.random.default_rng(number)
        erased = photo.copy()
        erased[height // 3 : height // 2, width // 3 : width // 2] = 0
        soft = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 20)
        box = (0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height)
        annotation = voc.render(Annotation("photo.jpg", width, height, (Object("dog", box),) * 2))
        first, *others = ids[number::PHOTOGRAPHS]
        write(source.image(first), cv2.imencode(".jpg", photo[..., ::-1])[1].tobytes())
        write(source.annotation(first), annotation)
        write(variant.image(first), png(erased))
        write(root / f"datasets/attention/human/{first}.png", maps.encode(maps.normalise(soft)))
        coarse = maps.encode(maps.normalise(rng.random((16, 16)).astype(np.float32)))
        folders = ["attention/gaze", "saliency", *(f"heatmaps/{arm}" for arm in ARMS)]
        for folder in folders:
            write(root / f"datasets/{folder}/{first}.png", coarse)
        for image_id in others:
            for made in (source.image, source.annotation, *([variant.image] if int(image_id) % 10 == 0 else [])):
                link(made(first), made(image_id))
            for folder in ("attention/human", *folders):
                link(root / f"datasets/{folder}/{first}.png", root / f"datasets/{folder}/{image_id}.png")
    for image_id in ids:
        link(source.annotation(image_id), variant.annotation(image_id))
    voc.write_ids(source.split("train"), ids[size // 3 :])
    voc.write_ids(source.split("test"), ids[: size // 3])


def build(root: Path, size: int) -> dict[str, float]:
    """The export, as the stage makes it."""
    start = time.perf_counter()
    ids, rng = _ids(size), np.random.default_rng(0)
    train, test = ids[size // 3 :], ids[: size // 3]
    scores = {f"{truth}_{name}": rng.random(size) for truth in ("human", "gaze") for name in ("mae", "iou", "cc")}
    agreement = pd.DataFrame({"id": ids, "split": ["test"] * len(test) + ["train"] * len(train)} | scores)
    selection = pd.DataFrame({"id": train, "arm": "erasing", "selected": rng.random(len(train)) < 0.1})
    corners = rng.uniform(0, 150, (FOUND * len(test), 2))
    detections = pd.DataFrame({"id": np.repeat(test, FOUND), "label": "dog", "score": rng.random(FOUND * len(test))})
    detections[["x0", "y0"]], detections[["x1", "y1"]] = corners, corners + 150
    datasets = root / "datasets"
    arms = {
        arm: browse.Arm(
            Tree(datasets / "variants" / arm), datasets / "heatmaps" / arm, detections,
            agreement[agreement["split"] == "test"].drop(columns="split"),
        )
        for arm in ARMS
    }  # fmt: skip
    out = datasets / "fiftyone"
    out.mkdir()
    run = browse.Run(
        Tree(datasets / "source"), datasets / "attention", datasets / "saliency", agreement,
        selection.assign(reason="drawn"), arms,
    )  # fmt: skip
    browse.build(run, out, root=root)
    return {"build_seconds": time.perf_counter() - start}


def load(root: Path, _: int) -> dict[str, float]:
    """The import into a project's database, and the App, opened."""
    start = time.perf_counter()
    dataset = browse.load(root / "datasets/fiftyone", "benchmark", root=root)
    imported = time.perf_counter()
    address, server = browse.open_app(dataset, PORT)
    if CHROMIUM:
        with browser() as chromium:
            page = chromium.new_page()
            page.goto(address)
            page.locator("[data-cy=looker] canvas").first.wait_for(timeout=300_000)
    opened = time.perf_counter()
    family = psutil.Process(server.pid).children(recursive=True)
    memory = max(process.memory_info().rss for process in family) / 2**20
    return {"import_seconds": imported - start, "open_seconds": opened - imported, "server_mib": memory}


def _ids(size: int) -> list[str]:
    return [f"{number:06}" for number in range(size)]


if __name__ == "__main__":
    typer.run(main)
