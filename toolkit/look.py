"""Any photographs seen through a detector, beside where a gaze predictor says that people look: `salvoc look`."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from toolkit import agreement, attention, detectors, maps, pictures, saliency
from toolkit.attention import Predict
from toolkit.boxes import SHOWN
from toolkit.detectors.adapter import Adapter
from toolkit.errors import BadInput, Problem
from toolkit.files import eight_bits
from toolkit.metrics import METRICS
from toolkit.params import Params, Saliency
from toolkit.tensors import device, to_tensor
from toolkit.workers import mapped

TOLD = ("mae", "iou", "cc")  # of `METRICS`, in a photo's line
DRAWN = 1200  # pixels of a picture's longer side, at most
WHITE = (255, 255, 255)  # what shows through a photo that is transparent


@dataclass(frozen=True)
class Seen:
    """What a detector makes of a photo [H, W]."""

    image: np.ndarray  # [h, w, 3] uint8, no larger than it is drawn
    boxes: np.ndarray  # [D, 4] x0, y0, x1, y1 in shares of the width and height, of the detections that are shown
    labels: list[str]  # [D] class and score
    saliency: np.ndarray  # a map (see `toolkit.maps`)
    gaze: np.ndarray  # the gaze predictor's
    scores: dict[str, float]  # of the one against the other, as `agreement.compare`


def photos(named: Sequence[str]) -> list[Path]:
    """The files that are named: each by itself, all pictures of a folder, or all that a pattern such as `*.jpg` fits.

    Raises `BadInput` with everything that is not there or has no picture.
    """
    found: list[Path] = []
    problems = []
    for name in named:
        path = Path(name).expanduser()
        if path.is_dir():
            own = sorted(file for file in path.iterdir() if file.suffix.lower() in Image.registered_extensions())
        elif path.exists():
            own = [path]
        else:
            fitting = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            own = sorted(file for file in fitting if file.is_file())
        if not own:
            fault = "has no picture in it" if path.is_dir() else "does not exist"
            problems.append(Problem(name, fault, "name pictures, folders of them, or a pattern"))
        found += own
    if problems:
        raise BadInput(problems)
    return list(dict.fromkeys(found))


def read_photo(path: Path) -> np.ndarray:
    """A photo as a person sees it: [H, W, 3] uint8 RGB, turned as its EXIF says, on white where it is transparent.

    Grey of 16 bits is scaled to 8. Raises `BadInput` where it cannot be read whole.
    """
    try:
        with Image.open(path) as stored:
            turned = eight_bits(ImageOps.exif_transpose(stored))
            if turned.mode == "I":  # 16 bits, as some formats are opened
                turned = eight_bits(Image.fromarray(np.asarray(turned).clip(0, maps.LEVELS).astype(np.uint16)))
            if turned.has_transparency_data:
                whole = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", whole.size, (*WHITE, 255)), whole)
            return np.asarray(turned.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        fault = f"is no picture that can be read ({str(error) or type(error).__name__})"
        raise BadInput(Problem(str(path), fault, "leave it out or save it anew")) from None


def build(found: Sequence[Path], settings: Params, out: Path) -> Iterator[str]:
    """Write a picture of each photo into `out`, and tell of each a line (see `line`), in their order.

    `settings` name the detector, what explains it, its classes and the gaze predictor. Raises `BadInput` before
    anything is computed where a photo cannot be read or a picture is there already.
    """
    paths = outputs(found, out)
    _require_readable(found)
    adapter = detectors.load(settings.detector, settings.data.classes)
    saliency.require_layer(adapter, settings.saliency)
    predict = attention.load(settings.attention.predictor)

    def looking() -> Callable[[Path], Seen]:
        return partial(look, deepcopy(adapter), settings.saliency, settings.data.classes, predict)

    # a GPU has one detector; a CPU's threads have one each
    seen = map(looking(), found) if device().type == "cuda" else mapped(looking, found)
    progress = tqdm(seen, desc="look", total=len(found), unit="photo", disable=len(found) == 1)
    for photo, own in zip(found, progress, strict=True):
        panels = {"saliency": own.saliency, f"attention ({settings.attention.predictor})": own.gaze}
        title = f"saliency and attention: {told(own.scores)}"
        pictures.looked(own.image, own.boxes, own.labels, panels, paths[photo], title)
        yield line(photo, own, settings.attention.predictor)


def look(
    adapter: Adapter, explaining: Saliency, classes: Sequence[str], predict: Predict, photo: Path
) -> Seen:  # fmt: skip
    """What a detector finds in a photo and where it looks, beside the gaze predictor's attention."""
    image = read_photo(photo)
    height, width = image.shape[:2]
    pixels = to_tensor(image).to(device())
    first = adapter.look([pixels], saliency.layer_of(adapter, explaining).split("+")[0])
    (heatmap,) = saliency.explain(adapter, [pixels], explaining, first)
    (density,) = predict([image])
    gaze = maps.normalise(density)
    size = agreement.grid(height, width)
    scores = agreement.compare(maps.scale(heatmap, *size), {"map": maps.scale(gaze, *size)})
    found = {name: tensor.cpu().numpy() for name, tensor in first.found[0].items()}
    shown = np.flatnonzero(found["scores"] >= SHOWN)
    shown = shown[np.argsort(-found["scores"][shown], kind="stable")]
    labels = [f"{classes[found['labels'][n] - 1]} {found['scores'][n]:.2f}" for n in shown]
    return Seen(_smaller(image), found["boxes"][shown] / [width, height, width, height], labels, heatmap, gaze, scores)


def outputs(found: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where each photo's picture goes: `cat.png`, or `cat.jpg.png` where another photo is named `cat`, too."""
    named = Counter(path.stem for path in found)
    paths = {path: out / f"{path.name if named[path.stem] > 1 else path.stem}.png" for path in found}
    again = [path for path, count in Counter(paths.values()).items() if count > 1]
    problems = [Problem(str(path), "would be the picture of several photos", "look at them apart") for path in again]
    there = [path for path in paths.values() if path.exists()]
    problems += [Problem(str(path), "exists already", "name another folder: nothing is overwritten") for path in there]
    if problems:
        raise BadInput(problems)
    return paths


def line(photo: Path, seen: Seen, predictor: str) -> str:
    """`cat.jpg: cat 0.93; saliency and gaze_lite0: MAE 0.103 (centre bias 0.305), IoU ..., CC ...`."""
    found = ", ".join(seen.labels) or f"nothing of a score of {SHOWN:g} or more"
    return f"{photo}: {found}; saliency and {predictor}: {told(seen.scores)}"


def told(scores: dict[str, float]) -> str:
    """The scores of `TOLD`, each beside what the centre bias scores in the map's place."""
    return ", ".join(
        f"{METRICS[name].heading} {scores[name]:.3f} (centre bias {scores[f'centre_{name}']:.3f})" for name in TOLD
    )


def _require_readable(found: Sequence[Path]) -> None:
    """Raise one `BadInput` for all photos that cannot be read, before hours go into the others."""
    problems: list[Problem] = []
    for photo in found:
        try:
            read_photo(photo)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)


def _smaller(image: np.ndarray) -> np.ndarray:
    """The photo as it is drawn."""
    factor = DRAWN / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(round(side * factor), 1) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
