"""Where people look: their own attention where it is known, a gaze predictor's guess for every image.

To add a predictor, write a function from images to densities (see `bottom_up`) and give it a row in `PREDICTORS`.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from toolkit import maps
from toolkit.attention.human import attention_of
from toolkit.attention.recordings.viewing import Viewing
from toolkit.errors import require_known
from toolkit.files import read_image, sha256
from toolkit.spread import Spread, Work, here
from toolkit.store import Files, Store, filling, make_missing
from toolkit.voc import Tree
from toolkit.workers import mapped

# Images [H, W, 3] uint8 RGB of any sizes -> a density [h, w] of any grid for each, larger where people look more.
Predict = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


class Predictor(NamedTuple):
    """Where a predictor is, and what it is."""

    module: str  # which has a function of its name, and the file of its weights as `WEIGHTS`, if it has any
    about: str


PREDICTORS = {  # a module is imported when it is needed: torch takes seconds, and one needs an extra
    "gaze_lite0": Predictor("toolkit.attention.readout", "embedded: read out of a small ImageNet network's features"),
    "deepgaze2e": Predictor("toolkit.attention.deepgaze", "DeepGaze IIE, an optional extra with downloaded weights"),
    "bottom_up": Predictor("toolkit.attention.bottom_up", "contrast at several scales, times the centre bias"),
    "spectral_residual": Predictor("toolkit.attention.bottom_up", "the log spectrum's residual, times the centre bias"),
    "centre": Predictor("toolkit.attention.bottom_up", "the centre bias alone"),
}
PLACEHOLDERS = {"README.md", ".gitignore"}  # what lies in the folder for people's attention before anything does


def load(name: str) -> Predict:
    """The predictor of this name; raises `BadInput` that lists the known ones."""
    predict: Predict = getattr(_module(name), name)
    return predict


def build(source: Tree, name: str, human: Path | None, out: Path, spread: Spread = here) -> None:
    """Write `gaze/ID.png` for every image, `human/ID.png` where people's attention is known.

    It is known from the folder `human` (see `human.attention_of`; `fixations/ID.csv` too where that is a recording), or
    where that is empty or None from the source's own `Attention/`. A line of `fixations/ID.csv` is a fixation: `x` and
    `y` in the image's pixels, whose it is (`observer`, from 0), and how many pixels are a `degree` of visual angle.
    """
    ids = source.all_ids()
    known = None if human is None or is_empty(human) else attention_of(human, ids)
    gaze, people, fixations = (filling(out / folder, len(ids)) for folder in ("gaze", "human", "fixations"))
    with gaze as put_gaze, people as put_people, fixations as put_fixations:
        for image_id, path in spread(lambda: _predicting(source, name), ids, "attention"):
            put_gaze(f"{image_id}.png", path)
            own = source.attention(image_id)
            if known:
                seen = known(image_id)
                if seen.map is not None:
                    put_people(f"{image_id}.png", maps.encode(seen.map))
                if seen.viewing is not None:
                    put_fixations(f"{image_id}.csv", _listed(seen.viewing))
            elif maps.known(own):
                put_people(own.name, own)


def _predicting(source: Tree, name: str) -> Work[Path]:
    """The work of a process: the place of the predictor's map of each image, made where it is not there yet."""
    store, predict, made_of = Store("attention", __name__), load(name), (name, _weights(name))

    def gaze(image_id: str) -> tuple[str, Files]:
        (density,) = predict([read_image(source.image(image_id))])  # alone: no other image may decide its last bits
        return image_id, {".png": maps.encode(maps.normalise(density))}

    def work(ids: Sequence[str]) -> Iterator[tuple[str, Path]]:
        paths = {image_id: store.path(made_of, sha256(source.image(image_id))) for image_id in ids}
        return make_missing(paths, lambda missing: mapped(lambda: gaze, missing))

    return work


def is_empty(human: Path) -> bool:
    """Whether the folder for people's attention has nothing of it."""
    return human.is_dir() and {path.name for path in human.iterdir()} <= PLACEHOLDERS


def _listed(viewing: Viewing) -> bytes:
    """A recording's fixations as the lines of a `fixations/ID.csv`."""
    tenths = [np.floor(own * 10) / 10 for own in viewing.fixations]  # rounding up could lift a point out of the image
    degree = f"{viewing.degree:.4g}"
    lines = [f"{x:.1f},{y:.1f},{observer},{degree}" for observer, own in enumerate(tenths) for x, y in own]
    return ("\n".join(["x,y,observer,degree", *lines]) + "\n").encode()


def _weights(name: str) -> object:
    """What a predictor computes with, besides code: weights, and then torch's arithmetic; None where it has none."""
    weights = getattr(_module(name), "WEIGHTS", None)
    if weights is None:
        return None
    from toolkit.tensors import arithmetic  # torch takes seconds to import

    return sha256(weights) if weights.exists() else None, arithmetic()


def _module(name: str) -> ModuleType:
    require_known("attention.predictor", "predictor", name, PREDICTORS)
    return import_module(PREDICTORS[name].module)
