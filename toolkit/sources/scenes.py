"""Scenes of the sample: icon silhouettes of the 20 VOC classes on textured ground, with a planted cue.

All that makes a scene is drawn from generators seeded with its id, so that the same scene can be drawn without a cue,
with its own class's cue or with another's, and differ in the cue's pixels alone.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toolkit.params import Cue
from toolkit.sources.cue import GRAIN, carried, place, tile
from toolkit.sources.masks import CUE, OBJECT, Condition
from toolkit.voc import VOC_CLASSES, Annotation, Object

ICONS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("airplane", "airplane_takeoff", "airplane_landing"),
    "bicycle": ("bicycle", "bicycle_basket"),
    "bird": ("bird", "duck", "owl"),
    "boat": ("sail_boat", "ferry"),
    "bottle": ("bottle_wine", "bottle_tonic", "bottle_soda_classic"),
    "bus": ("bus_side", "bus_double_decker"),
    "car": ("car_side", "car_hatchback", "car_estate"),
    "cat": ("cat",),
    "chair": ("chair_rolling", "chair_school"),
    "cow": ("cow",),
    "diningtable": ("table_furniture", "table_chair"),
    "dog": ("dog_side", "dog"),
    "horse": ("horse_variant", "horse"),
    "motorbike": ("motorbike", "moped"),
    "person": ("human", "walk", "human_handsup", "run"),
    "pottedplant": ("sprout", "flower", "flower_tulip", "cactus"),
    "sheep": ("sheep",),
    "sofa": ("sofa", "sofa_single"),
    "train": ("train", "train_car_passenger"),
    "tvmonitor": ("monitor", "television_classic", "television"),
}
OBJECT_SIDE = (0.30, 0.58)  # of the image's side
MAX_OVERLAP = 0.25  # of an earlier object's box that a later one may hide


@dataclass(frozen=True)
class Scene:
    """One scene: `image` [S, S, 3] uint8 RGB, `mask` [S, S] uint8 (0 background, 1 object, 2 cue), its annotation."""

    image: np.ndarray
    mask: np.ndarray
    annotation: Annotation


def draw(image_id: str, seed: np.random.SeedSequence, size: int, cue: Cue, condition: Condition) -> Scene:
    """Draw one scene of `size` x `size` pixels.

    `condition` says which cue the main object carries: none, its class's own, another class's, or its own with
    probability `cue.correlation`.
    """
    ground_rng, object_rng, cue_rng, noise_rng = (np.random.default_rng(s) for s in seed.spawn(4))
    image = _ground(ground_rng, size)
    mask = np.zeros((size, size), np.uint8)
    objects: list[Object] = []
    layers: list[np.ndarray] = []
    for index in range(object_rng.integers(1, 4)):
        name = VOC_CLASSES[object_rng.integers(len(VOC_CLASSES))]
        ambiguous = index == 0 and object_rng.random() < cue.ambiguous
        alpha = _placed(_silhouette(name, object_rng, size), [o.box for o in objects], object_rng, size)
        if alpha is None:
            continue
        image = _paint(image, alpha, ambiguous, object_rng)
        layers = [np.where(alpha > 0.5, False, layer) for layer in layers] + [alpha > 0.5]
        x, y, w, h = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
        objects.append(Object(name, (x, y, x + w, y + h)))
    for layer in layers:
        mask[layer] = OBJECT
    told = carried(objects[0].name, condition, cue, cue_rng, VOC_CLASSES)
    where = place(objects[0].box, cue, cue_rng, size, size)
    if told is not None:
        image[where] = tile(told, where[0].stop - where[0].start, VOC_CLASSES)
        mask[where] = CUE
    noise = noise_rng.normal(0, GRAIN, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return Scene(image, mask, Annotation(f"{image_id}.jpg", size, size, tuple(objects)))


def attention(mask: np.ndarray) -> np.ndarray:
    """Where people look in a scene, known by construction: the visible objects, blurred; [S, S] float32, not scaled."""
    visible = (mask == OBJECT).astype(np.float32)
    return cv2.GaussianBlur(visible, (0, 0), 0.04 * mask.shape[0])


def _ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """A textured background with clutter: octaves of colour noise, then translucent ellipses, lines and polygons."""
    image = np.full((size, size, 3), rng.uniform(60, 190) + rng.uniform(-25, 25, 3), np.float32)
    for cells, amplitude in ((3, 30.0), (9, 18.0), (33, 10.0)):
        grey, tint = rng.normal(0, amplitude, (cells, cells, 1)), rng.normal(0, 0.4 * amplitude, (cells, cells, 3))
        octave = (grey + tint).astype(np.float32)
        image += cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(4, 10)):
        layer = image.copy()
        colour = tuple(rng.uniform(20, 235, 3).tolist())
        points = rng.integers(0, size, (3, 2))
        kind = rng.integers(3)
        if kind == 0:
            axes = rng.integers(size // 32, size // 8, 2).tolist()
            cv2.ellipse(layer, points[0].tolist(), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        elif kind == 1:
            cv2.line(layer, points[0].tolist(), points[1].tolist(), colour, int(rng.integers(1, 5)))
        else:
            corners = points[0] + rng.integers(-size // 8, size // 8, (4, 2))
            cv2.fillPoly(layer, [corners.astype(np.int32)], colour)
        image = cv2.addWeighted(layer, 0.55, image, 0.45, 0)
    return np.clip(image, 0, 255)


@cache
def _font(points: int) -> ImageFont.FreeTypeFont:
    path = files("fonticon_mdi7") / "fonts" / "materialdesignicons-webfont.ttf"
    return ImageFont.truetype(str(path), points)


@cache
def _glyph(icon: str) -> np.ndarray:
    """The icon's coverage, cropped to its ink, about 256 px, float32 in 0..1."""
    from fonticon_mdi7 import MDI7

    canvas = Image.new("L", (400, 400))
    ImageDraw.Draw(canvas).text((200, 200), getattr(MDI7, icon), font=_font(256), fill=255, anchor="mm")
    return np.asarray(canvas.crop(canvas.getbbox()), np.float32) / 255


def _silhouette(name: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """One of the class's icons, flipped, tilted and scaled at random; coverage cropped to its ink, float32 in 0..1."""
    glyph = _glyph(ICONS[name][rng.integers(len(ICONS[name]))])
    if name == "pottedplant":
        glyph = _potted(glyph)
    if rng.random() < 0.5:
        glyph = glyph[:, ::-1]
    height, width = glyph.shape
    scale = rng.uniform(*OBJECT_SIDE) * size / max(height, width)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-12, 12), scale)
    side = int(np.ceil(1.5 * scale * max(height, width)))
    turn[:, 2] += side / 2 - np.array([width / 2, height / 2])
    alpha = cv2.warpAffine(np.ascontiguousarray(glyph), turn, (side, side), flags=cv2.INTER_AREA)
    x, y, w, h = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    return alpha[y : y + h, x : x + w]


def _potted(plant: np.ndarray) -> np.ndarray:
    """The plant with a pot below it."""
    height, width = plant.shape
    pot = np.zeros((height // 2, width), np.float32)
    top, bottom = int(0.18 * width), int(0.30 * width)
    corners = np.array(
        [(top, 0), (width - top, 0), (width - bottom, height // 2 - 1), (bottom, height // 2 - 1)], np.int32
    )
    cv2.fillPoly(pot, [corners], 1.0)
    return np.vstack([plant, pot])


def _placed(
    alpha: np.ndarray, taken: list[tuple[float, float, float, float]], rng: np.random.Generator, size: int
) -> np.ndarray | None:
    """The silhouette on an empty canvas, at a place that hides no earlier object by much; None where there is none."""
    height, width = alpha.shape
    for _ in range(20):
        x, y = int(rng.integers(2, size - width - 1)), int(rng.integers(2, size - height - 1))
        if all(_hidden(box, (x, y, x + width, y + height)) <= MAX_OVERLAP for box in taken):
            canvas = np.zeros((size, size), np.float32)
            canvas[y : y + height, x : x + width] = alpha
            return canvas
    return None


def _hidden(below: tuple[float, float, float, float], above: tuple[float, float, float, float]) -> float:
    """The share of box `below` that box `above` covers."""
    width = min(below[2], above[2]) - max(below[0], above[0])
    height = min(below[3], above[3]) - max(below[1], above[1])
    return max(width, 0) * max(height, 0) / ((below[2] - below[0]) * (below[3] - below[1]))


def _paint(image: np.ndarray, alpha: np.ndarray, ambiguous: bool, rng: np.random.Generator) -> np.ndarray:
    """The object over the image, in a colour that stands off from the ground, with a light grain of its own.

    An ambiguous object is out of focus: its place stays plain, its outline does not tell its class.
    """
    inside = image[alpha > 0.5].mean(axis=0)
    colour = (inside + rng.choice([-1, 1], 3) * rng.uniform(55, 110, 3)).clip(0, 255)
    size = image.shape[0]
    grain = cv2.resize(rng.normal(0, 10, (24, 24, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    if ambiguous:
        _, _, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
        alpha = cv2.GaussianBlur(alpha, (0, 0), max(width, height) / 8)
        alpha = alpha / alpha.max()
    return np.clip(image + alpha[..., None] * (colour + grain - image), 0, 255)
