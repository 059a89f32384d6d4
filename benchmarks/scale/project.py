"""Projects of any number of images, for stages to work on: images of a few pixels, each a file of its own.

All images have the same pixels, and each a comment of its own: no two have the same hash, so that nothing that is made
of one is found to have been made of another.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import yaml

from toolkit import maps, places
from toolkit.agreement import TRUTHS
from toolkit.browse.samples import made_id
from toolkit.files import write
from toolkit.voc import VOC_CLASSES, Annotation, Object, Tree, render, write_ids

REPOSITORY = Path(__file__).parent.parent.parent
SIDE = 16  # pixels of an image
TEST = 10  # every tenth image is a test image
MAPS = 32  # different maps of people's attention
FOLDERS = (
    places.SOURCE, places.ATTENTION, places.SALIENCY, places.VARIANTS, places.CURVES, places.FAITHFULNESS
)  # fmt: skip
SMALL_TABLES = ("resamples.parquet", "scores.csv", "per_class.csv")  # of an arm's scores: of any number of images
ARMS = ("none", "erasing")


def make(root: Path, images: int) -> None:
    """A project before its first stage: params, the user's own VOC tree, weights, and a DVC without git."""
    settings = yaml.safe_load((REPOSITORY / places.PRESETS / "sample.yaml").read_text())
    settings["data"]["source"], settings["attention"]["predictor"] = "folder", "centre"
    settings["arms"] = {arm: {"variant": arm} for arm in ARMS}
    write(root / places.PARAMS, yaml.safe_dump(settings))
    own = Tree(root / settings["data"]["path"])
    ids = [f"{number:07}" for number in range(images)]
    for file in (own.image(""), own.annotation(""), own.attention(""), root / places.HUMAN / "none"):
        file.parent.mkdir(parents=True)
    photo = cv2.imencode(".jpg", np.full((SIDE, SIDE, 3), 128, np.uint8))[1].tobytes()
    random = np.random.default_rng(0)
    known = [maps.encode(maps.normalise(random.random((SIDE, SIDE)))) for _ in range(MAPS)]
    for number, image_id in enumerate(ids):
        main = Object(VOC_CLASSES[number % len(VOC_CLASSES)], (4, 4, 12, 12))
        comment = b"\xff\xfe" + (len(image_id) + 2).to_bytes(2) + image_id.encode()
        own.image(image_id).write_bytes(photo[:2] + comment + photo[2:])
        own.annotation(image_id).write_bytes(render(Annotation(f"{image_id}.jpg", SIDE, SIDE, (main,))))
        own.attention(image_id).write_bytes(known[number % MAPS])
    write_ids(own.split("test"), ids[::TEST])
    write_ids(own.split("train"), [image_id for number, image_id in enumerate(ids) if number % TEST])
    for weights in (places.BASE_WEIGHTS, *(places.ARMS / arm / "seed-1.safetensors" for arm in ARMS)):
        (root / weights).parent.mkdir(parents=True)
        (root / weights).symlink_to(REPOSITORY / places.SAMPLE_BASE)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=root, check=True)


def trained(root: Path) -> None:
    """What `finetune` and `faithfulness`, whose work does not grow with the images, leave for the report."""
    for arm in ARMS:
        write(root / places.CURVES / arm / "seed-1/plots/metrics/loss.tsv", "step\tloss\n0\t2\n1\t1\n")
    write(root / places.FAITHFULNESS / "verdict.json", '{"says": "Is the map true? It was not asked."}')
    shutil.copytree(root / places.VARIANTS / "erasing", root / places.VARIANTS / "none", dirs_exist_ok=True)


def enlarged(small: Path, root: Path, images: int) -> None:
    """A finished project whose tables say of each image what they say of one of the `small` one, which has all files.

    The report shows those on which the two maps agree least and most: so all others lie in the middle.
    """
    for place in (*FOLDERS, places.PARAMS, *(places.SCORES / arm / name for arm in ARMS for name in SMALL_TABLES)):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(small / place)
    agreement = pd.read_parquet(small / places.AGREEMENT)
    times = images // len(agreement)
    middle = {f"{truth}_iou": agreement[f"{truth}_iou"].median() for truth in TRUTHS}
    copies = [agreement, *(_renamed(agreement, number).assign(**middle) for number in range(1, times))]
    pd.concat(copies, ignore_index=True).to_parquet(root / places.AGREEMENT)
    for arm in ARMS:
        for name in ("images.parquet", "failures.parquet"):
            table = pd.read_parquet(small / places.SCORES / arm / name)
            copies = [_renamed(table, number) for number in range(times)]
            pd.concat(copies, ignore_index=True).to_parquet(root / places.SCORES / arm / name)


def exported(small: Path, root: Path, images: int) -> None:
    """The small project's export for FiftyOne, its samples again and again under other ids, for so many images."""
    samples = json.loads((small / places.FIFTYONE / "samples.json").read_text())["samples"]
    shutil.copytree(small / places.FIFTYONE, root / places.FIFTYONE, ignore=shutil.ignore_patterns("fields"))
    times = images // len({sample["image"] for sample in samples})
    with (root / places.FIFTYONE / "samples.json").open("w") as file:
        file.write('{"samples": [')
        for number in range(times):
            for place, sample in enumerate(samples):
                told = json.dumps(sample).replace("JPEGImages/", f"JPEGImages/{number}-")
                for own in (sample["_id"]["$oid"], sample["group"]["_id"]["$oid"]):
                    told = told.replace(own, made_id(number, own))
                file.write(f"{', ' if number or place else ''}{told}")
        file.write("]}")


def _renamed(table: pd.DataFrame, number: int) -> pd.DataFrame:
    return table.assign(id=table["id"] + f"-{number}") if number else table
