"""Pictures inside a page: whole ones, and overlays that open large, by mouse, touch or keyboard, without a script."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from toolkit import maps, pictures
from toolkit.files import read_image
from toolkit.voc import Tree

SHOWN = 12  # images of either kind
LARGE, SMALL = 320, 150  # pixels of a picture's longer side, opened and not
QUALITY = 75  # of WebP: half the bytes of a JPEG that looks the same
WIDEST = 1600  # pixels
ITEM = Markup(
    '<li><button type="button" popovertarget="{name}" aria-label="Enlarge {says}"><img src="{small}" alt="" '
    'width="{w}" height="{h}"></button><p>{title}</p><dialog popover id="{name}" aria-label="{says}">'
    '<button type="button" class="close" popovertarget="{name}" popovertargetaction="hide" autofocus>Close</button>'
    '<img src="{large}" alt="{alt}"><p>{alt}</p></dialog></li>'
)


def whole(path: Path, title: str) -> Markup:
    """A picture's file inside the page."""
    image = read_image(path)
    height, width = image.shape[:2]
    fit = _within(image, WIDEST) if max(width, height) > WIDEST else image
    element = Markup('<img class="whole" src="{}" alt="{}" width="{}" height="{}">')
    return element.format(_webp(fit), title, fit.shape[1], fit.shape[0])


def least_and_most(agreement: pd.DataFrame, truth: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of the test images those on which the base detector's map agrees with the truth least, and those most, by IoU."""
    test = agreement[agreement["split"] == "test"].dropna(subset=f"{truth}_iou").sort_values([f"{truth}_iou", "id"])
    least = test.head(min(SHOWN, -(-len(test) // 2)))
    return least, test.iloc[len(least) :].tail(SHOWN)[::-1]


def overlays(rows: pd.DataFrame, truth: str, source: Tree, attention: Path, saliency: Path, name: str) -> list[Markup]:
    """A list of images: their objects, where the truth and where the base detector looks; `name` begins its ids."""
    items = []
    for number, (image_id, iou) in enumerate(zip(rows["id"], rows[f"{truth}_iou"], strict=True)):
        image = read_image(source.image(image_id))
        looked = pictures.overlay(image, maps.load(attention / truth / f"{image_id}.png"))
        seen = pictures.overlay(image, maps.load(saliency / f"{image_id}.png"))
        boxed = pictures.boxed(image, source.annotation(image_id))
        small = _beside([looked, seen], SMALL)
        who = "people look" if truth == "human" else "the gaze predictor expects people to look"
        title = f"{image_id}, IoU {iou:.3f}"
        items.append(
            ITEM.format(
                name=f"{name}-{number}", says=title, title=title,
                w=small.shape[1], h=small.shape[0],
                small=_webp(small), large=_webp(_beside([boxed, looked, seen], LARGE)),
                alt=f"{title}. From left to right: the image with its objects, where {who}, where the detector looks.",
            )
        )  # fmt: skip
    return [Markup('<ul class="overlays">{}</ul>').format(Markup("").join(items))]


def _beside(images: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Images of one size side by side, each with a longer side of at most so many pixels."""
    return np.concatenate([_within(image, side) for image in images], axis=1)


def _within(image: np.ndarray, side: int) -> np.ndarray:
    """The image [H, W, 3] uint8 with its longer side so long, or as it is where it is smaller."""
    height, width = image.shape[:2]
    scale = min(side / max(height, width), 1)
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def _webp(image: np.ndarray) -> str:
    """The image as a data address."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "webp", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
