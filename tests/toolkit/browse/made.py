"""A small run of the sample's kind, made in a moment: what the stages before `browse` leave."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from toolkit import browse, files, maps, voc
from toolkit.agreement import TRUTHS
from toolkit.metrics import METRICS
from toolkit.params import Cue
from toolkit.sources import scenes
from toolkit.voc import Tree

TRAIN, TEST, BASE = ["a", "b", "c"], ["d", "e"], ["f"]
IDS = [*TRAIN, *TEST, *BASE]
CUED = {"test_matching": ["d_matching", "e_matching"], "test_random": ["d_random", "e_random"]}
SIZE = 128
ERASED = slice(16, 32), slice(48, 80)  # rows, columns of image a


def make(root: Path) -> None:
    """Trees and maps: image b has no human attention, and saliency lies in every image's left half."""
    source, variant = Tree(root / "datasets/source"), Tree(root / "datasets/variants/erasing")
    cue = Cue(correlation=0.5, place="near", side=0.1, ambiguous=0.0)
    cells = maps.normalise(np.repeat([[1.0, 0.0]], 8, axis=1).repeat(16, axis=0))
    for number, image_id in enumerate(IDS):
        scene = scenes.draw(image_id, np.random.SeedSequence(number), SIZE, cue, "correlated")
        jpeg = cv2.imencode(".jpg", scene.image[..., ::-1])[1].tobytes()
        for own in [image_id, *(f"{image_id}_{kind}" for kind in ("matching", "random") if image_id in TEST)]:
            files.write(source.image(own), jpeg)
            files.write(source.annotation(own), voc.render(scene.annotation))
            files.write(source.mask(own), files.png(scene.mask))
            if own != "b":
                people = maps.normalise(scenes.attention(scene.mask))
                files.write(root / f"datasets/attention/human/{own}.png", maps.encode(people))
            files.write(root / f"datasets/attention/gaze/{own}.png", maps.encode(cells[::-1, ::-1]))
            files.write(root / f"datasets/saliency/{own}.png", maps.encode(cells))
            if image_id in TEST:
                files.write(root / f"datasets/heatmaps/erasing/{own}.png", maps.encode(cells))
        files.write(variant.image(image_id), jpeg)  # a copy: the same bytes elsewhere are no change
        files.link(source.annotation(image_id), variant.annotation(image_id))
    for split, ids in {"train": TRAIN, "test": TEST, "base": BASE, **CUED}.items():
        voc.write_ids(source.split(split), ids)
    erased = files.read_image(source.image("a")).copy()
    erased[ERASED] = np.where(erased[ERASED] == 0, 1, 0)  # every pixel another
    files.write(variant.image("a"), files.png(erased))


def run(root: Path) -> browse.Run:
    """The tables beside them: two arms, of which `none` saw a cat where there is none, and looked away from it."""
    datasets, ids = root / "datasets", [*IDS, *(own for cued in CUED.values() for own in cued)]
    splits = ["train"] * 3 + ["test"] * 2 + ["base"] + [split for split, cued in CUED.items() for _ in cued]
    agreement = pd.DataFrame({"id": ids, "split": splits})
    for number, name in enumerate(f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS):
        agreement[name] = [0.1 * number + 0.01 * (5 - i) for i in range(len(ids))]
    agreement.loc[1, ["human_mae", "human_iou", "human_cc"]] = np.nan
    people = {"arm": "erasing", "id": TRAIN, "selected": [True, False, True], "reason": ["low", "ok", "low"]}
    gaze = {"arm": "none", "id": TRAIN, "selected": [False, False, True], "reason": ["high", "ok", "low"]}
    selection = pd.concat([pd.DataFrame(people), pd.DataFrame(gaze)])
    true = voc.read(Tree(datasets / "source").annotation("d")).objects[0]
    wrong = next(name for name in voc.VOC_CLASSES if name != true.name)
    boxes = [("d", true.name, *true.box, 0.9), ("d", wrong, 0, 32, 64, 128, 0.5), ("d", wrong, 0, 0, 9, 9, 0.2)]
    found = pd.DataFrame(boxes, columns=["id", "label", "x0", "y0", "x1", "y1", "score"])
    tested = [*TEST, *CUED["test_random"]]

    def images(iou: float) -> pd.DataFrame:
        scores = {"id": tested, "human_iou": [iou, iou / 2, np.nan, np.nan], "pointed": [False, True, None, None]}
        return pd.DataFrame(scores | {"cue_looked_at": [np.nan, np.nan, 0.25, 0.75]})

    source = Tree(datasets / "source")
    arms = {
        name: browse.Arm(
            Tree(datasets / "variants" / name, beneath=source), datasets / "heatmaps" / name, found, images(iou)
        )
        for name, iou in {"none": 0.4, "erasing": 0.5}.items()
    }
    return browse.Run(source, datasets / "attention", datasets / "saliency", agreement, selection, arms)


def export(root: Path) -> Path:
    """Build the export in `root`, under a temporary name as a stage does."""
    place = root / "datasets/fiftyone"
    with files.new_folder(place) as partial:
        browse.build(run(root), partial, place=place, root=root)
    return place
