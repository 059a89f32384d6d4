"""The report's page in a real browser: offline, in both themes, on a telephone, by keyboard, read aloud, on paper."""

import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import browser, needs_browser
from tests.training.test_report import built
from toolkit import places
from toolkit.errors import BadInput
from toolkit.params import Params
from toolkit.voc import Tree
from training import stamp

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_browser
MOST = 5_000_000  # bytes of a page
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, sample: Tree, settings: Params) -> Path:
    return built(tmp_path_factory.mktemp("built"), sample, settings, 3) / "report.html"


def opened(chromium: "Browser", path: Path, scheme: str = "light", width: int = 1400) -> "tuple[Page, list[str]]":
    """The page, with every request but for itself refused, and what it asked for or complained of."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True)
    page, heard = context.new_page(), []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda asked: heard.append(asked.url) if not asked.url.startswith(("data:", "file:")) else None)
    page.goto(path.as_uri())
    return page, heard


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_needs_no_network_fits_and_passes_axe(
    chromium: "Browser", report: Path, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, heard = opened(chromium, report, scheme, width)
    page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": RULES})
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found.response["violations"]] == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")
    assert page.evaluate("[...document.images].every(picture => picture.complete && picture.naturalWidth > 0)")
    assert heard == []
    page.context.close()


def test_the_page_is_one_small_file(report: Path) -> None:
    text = report.read_text()
    assert report.stat().st_size < MOST
    assert "<script" not in text
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("https://www.apache.org", "")


def test_headings_and_landmarks_are_in_order(chromium: "Browser", report: Path) -> None:
    page, _ = opened(chromium, report)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(heading => +heading.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    targets = page.evaluate("[...document.querySelectorAll('a')].map(link => link.hash)")
    assert all(page.locator(target).count() == 1 for target in targets)
    page.context.close()


def test_each_figure_is_told_in_words(chromium: "Browser", report: Path) -> None:
    page, _ = opened(chromium, report)
    told = page.evaluate("[...document.querySelectorAll('svg')].map(drawn => drawn.getAttribute('aria-label'))")
    assert "IoU human, difference to none: base +0.190, from +0.165 to +0.215" in " ".join(told)
    assert all(told)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    page.context.close()


def test_an_overlay_opens_large_and_closes_by_keyboard(chromium: "Browser", report: Path) -> None:
    page, _ = opened(chromium, report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    first = page.locator(".overlays > li").first
    first.locator("button").first.focus()
    page.keyboard.press("Enter")
    dialog = first.locator("dialog")
    assert dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Close"
    small, large = (first.locator(f"{where} img").first.bounding_box() for where in ("> button", "dialog"))
    assert large["width"] > 1.3 * small["width"]  # one of three against two of two side by side
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Enlarge ")
    page.context.close()


def test_on_paper_nothing_is_folded_or_cut_off(chromium: "Browser", report: Path) -> None:
    page, _ = opened(chromium, report, "dark", 720)  # pixels of A4 between its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("Table 4a").first.is_visible()
    assert page.locator("details table").last.bounding_box()["height"] > 100
    assert not page.get_by_role("navigation").is_visible()
    page.context.close()


def test_a_stamped_copy_names_its_commit_and_is_as_good_a_page(
    chromium: "Browser", report: Path, tmp_path: Path
) -> None:
    (tmp_path / places.REPORTS).mkdir()
    (tmp_path / places.STUDY).symlink_to(report.parent)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["commit", "-qm", "first", "--allow-empty"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    stamp.build(tmp_path / "copy.html", tmp_path)
    page, heard = opened(chromium, tmp_path / "copy.html")
    assert page.get_by_role("rowheader", name="commit", exact=True).count() == 1
    assert page.get_by_text(commit.strip()).first.is_visible()  # at the beginning, and in the table
    assert "makes a copy that names them" not in page.content()
    with pytest.raises(BadInput, match="nothing is overwritten"):
        stamp.build(tmp_path / "copy.html", tmp_path)
    assert heard == []
    page.context.close()
