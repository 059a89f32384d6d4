"""The documentation: no link in it leads nowhere, and its site is whole, current and needs no network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
import typer

import commands
from tests.browser import browser, needs_browser
from tests.conftest import ROOT
from toolkit import params

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
# What a browser fetches by itself; a link to follow is none.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b(?![^>]*rel=\"?canonical)[^>]*href=\"?(?:https?:)?//"
    r"|@import\s*(?:url\()?[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, elsewhere."""
    told = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in told.splitlines() if "mkdocs" in line)
    folder = tmp_path_factory.mktemp("docs") / "site"
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    built = subprocess.run(
        f"{line} --site-dir {folder}", shell=True, cwd=ROOT, env=os.environ | here, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return folder


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings as a git host makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    lost = []
    for target, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        file = (page.parent / target) if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(f"{target}#{anchor}" if anchor else target)
    assert not lost


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    written = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.ipynb")]
    assert not [page.name for page in written if not (site / "docs" / f"{page.stem}.html").exists()]


def leaves(command: object, name: str = "salvoc") -> Iterator[str]:
    """The names of all commands that are not hidden."""
    for own, below in getattr(command, "commands", {}).items():
        if hasattr(below, "commands"):
            yield from leaves(below, f"{name} {own}")
        elif not below.hidden:
            yield f"{name} {own}"


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = (site / "docs" / "commands.html").read_text("utf-8")
    names = list(leaves(typer.main.get_command(commands.app)))
    assert len(names) > 20
    assert not [name for name in names if f'id="{name.replace(" ", "-")}"' not in text]


def keys(values: dict[str, object], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and before not in ("arms.", "study."):
            yield from keys(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def test_every_param_is_in_the_reference_with_its_value(site: Path) -> None:
    text = (site / "docs" / "params.html").read_text("utf-8")
    model = params.load(ROOT / "presets" / "sample.yaml").model_dump(
        exclude={"arms": True, "study": {"detectors", "datasets"}}
    )
    named = [*keys(model), *(f"arms.name.{key}" for key in params.Arm.model_fields)]
    assert not [key for key in named if f'id="{key}"' not in text]
    assert re.search(
        r'id="aug.threshold".*?<code>0.1</code> · a number from 0 to 1 · read by <code>select</code>', text, re.S
    )
    assert re.search(r'id="arms.name.variant".*?<code>counterfactual</code>', text, re.S)


def test_a_graph_is_a_picture_and_the_notebook_a_page(site: Path) -> None:
    rooms = (site / "docs" / "rooms.html").read_text("utf-8")
    assert rooms.count("<rect") > 10 and 'class="mermaid"' not in rooms
    parts = (site / "docs" / "parts.html").read_text("utf-8")
    (picture,) = re.findall(r'<img[^>]*src="(parts[^"]*\.jpg)"', parts)
    assert (site / "docs" / picture).stat().st_size > 10_000


def test_no_page_asks_anything_of_a_network_host(site: Path) -> None:
    texts = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(texts) > 10
    assert not [(path.name, found) for path in texts for found in FETCHED.findall(path.read_text("utf-8"))]


@needs_browser
@pytest.mark.parametrize("served", [False, True], ids=["from a file", "from a local server"])
def test_a_browser_without_network_reads_and_searches_it(site: Path, served: bool) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browser() as chromium:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}" if served else site.as_uri()
        page = chromium.new_page(viewport={"width": 360, "height": 740})
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for name in ("index", "docs/rooms", "docs/parts"):
            page.goto(f"{address}/{name}.html", wait_until="networkidle")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.set_viewport_size({"width": 1400, "height": 900})
        page.locator(".md-search__input").click()
        page.keyboard.type("erase_percent")
        page.locator(".md-search-result__link", has_text="aug.erase_percent").first.click()
        page.wait_for_url("**/docs/params.html**")
        server.shutdown()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in ("data", "blob")}
    assert hosts == {urlsplit(address).netloc}
    assert not wrong
