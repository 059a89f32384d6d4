"""python -m benchmarks.sweep: what another aug.threshold costs before training starts, with DVC as users run it.

In a clone of this repository, over drawn images with synthetic maps and agreement, one full run at threshold 0.1 is
followed by 0.05, 0.15 and 0.2; each run is `dvc repro variant`. `seconds` is the whole command, `in_dvc` what DVC
itself takes of it (hashes, links); `inpainted` counts the images that no run before had filled. 600 images are
inpainted by Deep Image Prior; at 20,000 OpenCV's Telea stands in: an hour and more of the other would hide the rest.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pandas as pd
import typer
import yaml
from tqdm import tqdm

from benchmarks.timing import report, rounded
from toolkit import maps, voc
from toolkit.files import write
from toolkit.voc import Annotation, Object, Tree

SIZES = {600: "dip", 20_000: "telea"}
THRESHOLDS = (0.1, 0.05, 0.15, 0.2)  # the first is the full run
HIGHEST = 0.25  # synthetic IoUs are uniform up to here, so that 0.1 selects 40 % as on VOC 2012
SIDE = 256  # pixels of an image
VARIANTS = ["none", "erasing", "inpainting", "random"]
# In place of `python`, which runs the stages: runs it and notes how long it took and how much memory it had.
SHIM = """#!{python}
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(["{python}", *sys.argv[1:]])
mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
with open("{log}", "a") as log:
    print(json.dumps({{"stage": " ".join(sys.argv[3:]), "seconds": time.perf_counter() - start, "mib": mib}}), file=log)
sys.exit(code)
"""


def main(
    images: Annotated[tuple[int, int] | None, typer.Option(help="Two other numbers of images.", min=20)] = None,
) -> None:
    """A sweep of aug.threshold over 600 and over 20,000 images: 25 minutes on 2 cores.

    Example: `python -m benchmarks.sweep --images 60 600`
    """
    sizes = images or tuple(SIZES)
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found[size] = _sweep(Path(folder), size, SIZES.get(size, "telea"))
    peaks = {size: swept["peak_mib"] for size, swept in found.items()}
    report("sweep", peak_memory_ratio=rounded(peaks[max(sizes)] / peaks[min(sizes)]), sizes=found)


def _sweep(folder: Path, size: int, method: str) -> dict[str, Any]:
    root = folder / "salvoc"
    subprocess.run(["git", "clone", "-q", Path(__file__).parent.parent, root], check=True)
    log = _shim(folder)
    settings = yaml.safe_load((root / "params.yaml").read_text())
    settings["data"]["source"], settings["aug"]["inpaint"]["method"] = "folder", method
    settings["arms"] = {name: {"variant": name} for name in VARIANTS}
    write(root / "params.yaml", yaml.safe_dump(settings))
    ids = [f"{number:06}" for number in range(size)]
    _draw(Tree(root / "datasets" / "own"), ids)
    _dvc(folder, "repro", "source")
    _pretend(root / "datasets", ids)
    _dvc(folder, "commit", "-f", "sample_base", "base", "attention", "saliency", "agreement")
    runs, filled = [], 0
    for threshold in THRESHOLDS:
        settings["aug"]["threshold"] = threshold
        write(root / "params.yaml", yaml.safe_dump(settings))
        log.unlink(missing_ok=True)
        start = time.perf_counter()
        _dvc(folder, "repro", "variant")
        seconds = time.perf_counter() - start
        stages = [json.loads(line) for line in log.read_text().splitlines()]
        now = len(list((root / ".salvoc" / "variants" / "inpainting").rglob("*.json")))
        selection = pd.read_parquet(root / "datasets" / "selection.parquet")
        runs.append(
            {
                "threshold": threshold,
                "selected": int(selection["selected"][selection["arm"] == "erasing"].sum()),
                "inpainted": now - filled,
                "seconds": rounded(seconds),
                "in_dvc": rounded(seconds - sum(stage["seconds"] for stage in stages)),
                "stages": {stage["stage"]: rounded(stage["seconds"]) for stage in stages},
                "peak_mib": max(stage["mib"] for stage in stages),
            }
        )
        filled = now
    return {"method": method, "peak_mib": rounded(max(run.pop("peak_mib") for run in runs)), "runs": runs}


def _shim(folder: Path) -> Path:
    log, shim = folder / "log", folder / "bin" / "python"
    write(shim, SHIM.format(python=sys.executable, log=log))
    shim.chmod(0o755)
    return log


def _dvc(folder: Path, *arguments: str) -> None:
    paths = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder / "salvoc", env=os.environ | {"PATH": paths}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"dvc {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")


def _draw(tree: Tree, ids: list[str]) -> None:
    """A VOC tree of smooth random images, each with one object; the last twentieth is the test split."""
    for image_id in tqdm(ids, desc="draw", unit="image"):
        rng = np.random.default_rng(int(image_id))
        image = cv2.resize(
            rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )
        write(tree.image(image_id), cv2.imencode(".jpg", image)[1].tobytes())
        write(
            tree.annotation(image_id),
            voc.render(Annotation(tree.image(image_id).name, SIDE, SIDE, (Object("dog", (40, 40, 200, 200)),))),
        )
    cut = len(ids) * 19 // 20
    voc.write_ids(tree.split("train"), ids[:cut])
    voc.write_ids(tree.split("test"), ids[cut:])


def _pretend(datasets: Path, ids: list[str]) -> None:
    """What base, attention, saliency and agreement would have made."""
    for folder in ("base", "attention"):
        write(datasets / folder / "none", "")
    rng = np.random.default_rng(0)
    for image_id in tqdm(ids, desc="maps", unit="image"):
        heatmap = maps.normalise(cv2.GaussianBlur(rng.random((16, 16)).astype(np.float32), (0, 0), 2))
        write(datasets / "saliency" / f"{image_id}.png", maps.encode(heatmap))
    split = ["train"] * (len(ids) * 19 // 20)
    split += ["test"] * (len(ids) - len(split))
    table = pd.DataFrame({"id": ids, "split": split, "gaze_iou": rng.uniform(0, HIGHEST, len(ids))})
    table.to_parquet(datasets / "agreement.parquet")


if __name__ == "__main__":
    typer.run(main)
