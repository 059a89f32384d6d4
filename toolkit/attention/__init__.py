"""Where people look: their own attention where it is known, a gaze predictor's guess for every image.

To add a predictor, write a function from an image to a density (see `bottom_up`) and name it in `PREDICTORS`.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from toolkit import maps
from toolkit.attention.human import Human, attention_of
from toolkit.files import link, read_image, sha256, write
from toolkit.store import Store
from toolkit.voc import Tree
from toolkit.workers import mapped

Predictor = Callable[[np.ndarray], np.ndarray]

PREDICTORS = {  # and the module that each is in: some need torch, which takes seconds to import, or an extra
    "gaze_lite0": "toolkit.attention.readout",
    "deepgaze2e": "toolkit.attention.deepgaze",
    "bottom_up": "toolkit.attention.bottom_up",
    "spectral_residual": "toolkit.attention.bottom_up",
    "centre": "toolkit.attention.bottom_up",
}
PLACEHOLDERS = {"README.md", ".gitignore"}  # what lies in the folder for people's attention before anything does


def predictor(name: str) -> Predictor:
    """The function of this name: an image [H, W, 3] uint8 RGB -> a density [h, w] of any grid."""
    made: Predictor = getattr(_module(name), name)
    return made


def build(source: Tree, name: str, human: Path, out: Path) -> None:
    """Write `gaze/ID.png` for every image, `human/ID.png` where people's attention is known.

    It is known from the folder `human` (see `human.attention_of`; `fixations/ID.csv` too where that is a recording), or
    where that is empty from the source's own `Attention/`.
    """
    for folder in ("human", "gaze", "fixations"):
        (out / folder).mkdir(parents=True)
    store, ids = Store("attention", __name__), source.all_ids()
    made_of = name, _weights(name)
    known = None if is_empty(human) else attention_of(human, ids)
    predicting = mapped(lambda: partial(_predicted, store, made_of, predictor(name)), map(source.image, ids))
    bar = tqdm(predicting, desc="attention", total=len(ids), unit="image", mininterval=1)
    for image_id, gaze in zip(ids, bar, strict=True):
        link(gaze, out / "gaze" / f"{image_id}.png")
        if known:
            _keep(known(image_id), image_id, out)
        elif maps.known(source.attention(image_id)):
            link(source.attention(image_id), out / "human" / f"{image_id}.png")


def is_empty(human: Path) -> bool:
    """Whether the folder for people's attention has nothing of it."""
    return human.is_dir() and {path.name for path in human.iterdir()} <= PLACEHOLDERS


def _predicted(store: Store, made_of: tuple[object, ...], predict: Predictor, image: Path) -> Path:
    """The stored map of one image, made now if it is not there."""
    return store.get(made_of, sha256(image), make=lambda: maps.encode(maps.normalise(predict(read_image(image)))))


def _keep(seen: Human, image_id: str, out: Path) -> None:
    if seen.map is not None:
        write(out / "human" / f"{image_id}.png", maps.encode(seen.map))
    if seen.fixations is not None:
        tenths = np.floor(seen.fixations * 10) / 10  # rounding up could lift a point out of the image
        lines = [f"{x:.1f},{y:.1f}" for x, y in tenths]
        write(out / "fixations" / f"{image_id}.csv", "\n".join(["x,y", *lines]) + "\n")


def _weights(name: str) -> object:
    """What a predictor computes with, besides code: weights, and then torch's arithmetic; None where it has none."""
    weights = getattr(_module(name), "WEIGHTS", None)
    if weights is None:
        return None
    from toolkit.tensors import arithmetic  # torch takes seconds to import

    return sha256(weights) if weights.exists() else None, arithmetic()


def _module(name: str) -> ModuleType:
    return import_module(PREDICTORS[name])
