"""The docs' pictures of the report: `python -m tests.training.screenshots`, after a `dvc repro`, makes them anew."""

import io
from pathlib import Path

from PIL import Image

from tests.browser import browser
from tests.conftest import ROOT
from toolkit import places

DOCS = ROOT / "docs"
WIDTH = 1200


def main() -> None:
    page = (Path.cwd() / places.STUDY / "report.html").as_uri()
    with browser() as chromium:
        shown = chromium.new_context(viewport={"width": WIDTH, "height": 1120}).new_page()
        shown.goto(page)
        first = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
        few = first.quantize(256, kmeans=2, dither=Image.Dither.NONE)  # below 200 kB
        few.save(DOCS / "report-first.png", optimize=True)
        dark = chromium.new_context(viewport={"width": WIDTH, "height": 900}, color_scheme="dark").new_page()
        dark.goto(page)
        dark.evaluate("document.getElementById('least-and-most-human-like').scrollIntoView()")
        Image.open(io.BytesIO(dark.screenshot())).convert("RGB").save(DOCS / "report-overlays.jpg", quality=82)


if __name__ == "__main__":
    main()
