"""python -m tests.toolkit.browse.pictures: the pictures of docs/app.md, taken anew in a browser, after a run."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser import browser
from toolkit import browse, places

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT, SIZE, QUALITY = Path("docs/app"), (1280, 800), 70
DRAWN = 12_000  # milliseconds until all maps of a page are drawn: nothing in the page says so
PICTURES = {  # of each the view that is opened, and whether its first image is
    "first": ("selected-for-erasing", False),
    "variants": ("selected-for-erasing", True),
    "lost": ("counterfactual-agreement-lost", True),
    "cue": ("cue-looked-at", False),
}


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, _ = browse.open_app(browse.load(places.FIFTYONE, "salvoc"), port)
    OUT.mkdir(exist_ok=True)
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.get_by_text("Dismiss").click()
        for name, (view, opened) in PICTURES.items():
            page.goto(f"{address.partition('?')[0]}?view={view}")
            _take(page, name, opened)


def _take(page: "Page", name: str, opened: bool) -> None:
    page.locator("[data-cy=looker] canvas").first.wait_for()
    page.wait_for_timeout(DRAWN)
    if opened:
        page.locator("[data-cy=looker]").first.click()
        page.locator("[data-cy=modal]").wait_for()
        page.wait_for_timeout(DRAWN // 4)  # it begins to load
        page.get_by_text("Pixelating").wait_for(state="hidden")
        page.wait_for_timeout(DRAWN)
    page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=QUALITY)
    if opened:
        page.mouse.click(8, SIZE[1] // 2)  # beside it, which closes it
        page.locator("[data-cy=modal]").wait_for(state="detached")


if __name__ == "__main__":
    main()
