"""Where people look: their own attention where the source knows it, a gaze predictor's guess for every image.

To add a predictor, write a function from an image to a density (see `bottom_up`) and name it in `PREDICTORS`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from toolkit import maps
from toolkit.attention.bottom_up import bottom_up, centre, spectral_residual
from toolkit.files import Store, digest, link, read_image, sha256
from toolkit.voc import Tree
from toolkit.workers import mapped

Predictor = Callable[[np.ndarray], np.ndarray]

PREDICTORS: dict[str, Predictor] = {"bottom_up": bottom_up, "spectral_residual": spectral_residual, "centre": centre}
VERSION = 1  # raise it when a predictor's result changes, so that stored maps are made again


def build(source: Tree, predictor: str, out: Path) -> None:
    """Write `human/ID.png` where the source knows people's attention, and `gaze/ID.png` for every image."""
    store = Store("attention")
    for folder in ("human", "gaze"):
        (out / folder).mkdir(parents=True)
    ids = source.all_ids()
    predicting = mapped(lambda: lambda id: _predicted(store, predictor, source.image(id)), ids)
    bar = tqdm(predicting, desc="attention", total=len(ids), unit="image", mininterval=1)
    for id, gaze in zip(ids, bar, strict=True):
        link(gaze, out / "gaze" / f"{id}.png")
        if source.attention(id).exists():
            link(source.attention(id), out / "human" / f"{id}.png")


def _predicted(store: Store, predictor: str, image: Path) -> Path:
    """The stored map of one image, made now if it is not there."""
    key = digest("gaze", VERSION, predictor, sha256(image))
    return store.get(key, lambda: maps.encode(maps.normalise(PREDICTORS[predictor](read_image(image)))))
