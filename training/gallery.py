"""Pictures inside a page: whole ones, and overlays that open large, by mouse, touch or keyboard, without a script."""

import base64
import io
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
WIDEST = 1400  # pixels
ITEM = Markup(
    '<li><button type="button" popovertarget="{name}" aria-label="Enlarge {title}"><img src="{small}" alt="" '
    'width="{width}" height="{height}"></button><p>{title}</p><dialog popover id="{name}" aria-label="{title}">'
    '<button type="button" class="close" popovertarget="{name}" popovertargetaction="hide" autofocus>Close</button> '
    '{title}<div class="large">{large}</div></dialog></li>'
)
LOOKS = Markup('<figure><img src="{}" alt="{}"><figcaption>{}</figcaption></figure>')


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
    looked = "Where people look" if truth == "human" else "Where the gaze predictor expects people to look"
    items = []
    for number, (image_id, iou) in enumerate(zip(rows["id"], rows[f"{truth}_iou"], strict=True)):
        image = read_image(source.image(image_id))
        shown = {
            "The image and its objects": pictures.boxed(image, source.annotation(image_id)),
            looked: pictures.overlay(image, maps.load(attention / truth / f"{image_id}.png")),
            "Where the detector looks": pictures.overlay(image, maps.load(saliency / f"{image_id}.png")),
        }
        small = np.concatenate([_within(overlay, SMALL) for overlay in list(shown.values())[1:]], axis=1)
        large = [LOOKS.format(_webp(_within(own, LARGE)), f"{what}: {image_id}", what) for what, own in shown.items()]
        items.append(
            ITEM.format(
                name=f"{name}-{number}", title=f"{image_id}, IoU {iou:.3f}", large=Markup("").join(large),
                small=_webp(small), width=small.shape[1], height=small.shape[0],
            )
        )  # fmt: skip
    return [Markup('<ul class="overlays">{}</ul>').format(Markup("").join(items))]


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
