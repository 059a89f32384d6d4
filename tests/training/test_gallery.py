"""The least and the most human-like images: which they are, and that many photographs fit into a page."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from toolkit import maps
from toolkit.files import png, write
from toolkit.voc import Annotation, Tree, render
from training import gallery


def agreement(*iou: float) -> pd.DataFrame:
    rows = pd.DataFrame({"id": [f"{n}" for n in range(len(iou))], "split": "test", "human_iou": iou})
    return pd.concat([rows, pd.DataFrame({"id": ["t"], "split": ["train"], "human_iou": [0.0]})])


def test_the_least_come_first_with_the_least_and_the_most_with_the_most() -> None:
    least, most = gallery.least_and_most(agreement(*np.linspace(1, 0, 40), np.nan), "human")
    assert list(least["id"]) == [f"{n}" for n in range(39, 27, -1)]
    assert list(most["id"]) == [f"{n}" for n in range(12)]


def test_no_image_is_among_both() -> None:
    least, most = gallery.least_and_most(agreement(0.3, 0.1, 0.2), "human")
    assert (list(least["id"]), list(most["id"])) == (["1", "2"], ["0"])


def test_twice_twelve_of_the_worst_photographs_leave_room_in_five_megabytes(tmp_path: Path) -> None:
    source, rng = Tree(tmp_path), np.random.default_rng(0)
    noise = rng.integers(0, 256, (375, 500, 3), dtype=np.uint8)  # no photograph takes more
    write(source.image("a"), png(noise))
    write(source.annotation("a"), render(Annotation("a.jpg", 500, 375, ())))
    for folder in (tmp_path / "attention" / "human", tmp_path / "saliency"):
        write(folder / "a.png", maps.encode(rng.random((12, 12)).astype(np.float32)))
    rows = pd.DataFrame({"id": ["a"] * 2, "human_iou": 0.5})
    (element,) = gallery.overlays(rows, "human", source, tmp_path / "attention", tmp_path / "saliency", "least")
    assert len(element) * gallery.SHOWN < 4_000_000
    sizes = [opened(data).size for data in re.findall(r"data:image/webp;base64,([\w+/=]+)", element)]
    assert sizes == [(300, 112), (320, 240), (320, 240), (320, 240)] * 2


def opened(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(("width", "shown"), [(2800, 1400), (90, 90)])
def test_a_picture_is_made_no_wider_than_a_page_and_never_larger(tmp_path: Path, width: int, shown: int) -> None:
    write(tmp_path / "a.png", png(np.zeros((30, width, 3), np.uint8)))
    element = gallery.whole(tmp_path / "a.png", 'of "a" & b')
    assert f'width="{shown}"' in element
    assert 'alt="of &#34;a&#34; &amp; b"' in element
