"""The App, served and looked at in a real browser."""

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from tests.browser import browser, needs_browser
from toolkit import browse
from toolkit.errors import BadInput

SERVE = """
import sys
from pathlib import Path
from toolkit import browse
root = Path(sys.argv[1])
url, server = browse.open_app(browse.load(root / "datasets/fiftyone", "shown here", root=root), int(sys.argv[2]))
print(url, flush=True)
server.wait()
"""
ELSEWHERE = ("fonts.googleapis.com",)  # whom FiftyOne's page asks for what it can do without


def test_port_in_use_is_bad_input(dataset: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadInput, match="another port"):
        browse.open_app(dataset, taken.getsockname()[1])


def until(true: Callable[[], Any], seconds: float) -> Any:
    """What `true()` gives once it is true."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.3)
    return value


@pytest.fixture
def app(root: Path, tmp_path: Path) -> Iterator[str]:
    """The App in a process of its own, killed at the end: its server and its database must go with it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = os.environ | {"FIFTYONE_DATABASE_DIR": str(tmp_path), "FIFTYONE_DATABASE_URI": ""}
    command = [sys.executable, "-c", SERVE, str(root), str(port)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = next((line.strip() for line in process.stdout or [] if line.startswith("http")), None)
            assert url is not None, "the App did not start"
            family = psutil.Process(process.pid).children(recursive=True)
            assert {"mongod", "python"} <= {member.name().split("3")[0] for member in family}
            assert not _open(port, _own_address())
            yield url
        finally:
            process.kill()
    until(lambda: not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family), 60)


def _open(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def _own_address() -> str:
    """An address of this machine other than the one that the App is to bind to."""
    found = (a for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET)
    return next((a.address for a in found if not a.address.startswith("127.")), "127.0.0.2")


def picture(canvas: Any) -> np.ndarray:
    """What the canvas has: float [H, W, 4]. A screenshot can stop a drawing half-way."""
    data = canvas.evaluate("canvas => canvas.toDataURL('image/png')").partition(",")[2]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image.astype(float)


@needs_browser
def test_app_opens_on_the_first_view_with_its_heatmap_and_shows_variants_side_by_side(app: str) -> None:
    errors: list[str] = []
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1200, "height": 800})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(f"{said.text} {said.location}") if said.type == "error" else None)
        page.set_default_timeout(60_000)
        looker = page.locator("[data-cy=looker]")

        page.goto(app.partition("/datasets/")[0])  # what people type who know the port
        page.get_by_text("Dismiss").click()
        until(lambda: looker.count() == 2, 60)
        assert "view=selected-for-erasing" in page.url
        page.goto(app)
        until(lambda: looker.count() == 2, 60)
        for field, active in {"saliency": True, "ground_truth": True, "human_attention": False}.items():
            assert page.locator(f"[data-cy=checkbox-{field}] input").is_checked() is active

        page.locator("[data-cy=saved-views-selection]").click()
        page.get_by_text("people and detector disagree most", exact=True).click()
        until(lambda: looker.count() == 5, 60)
        page.goto(app)
        until(lambda: looker.count() == 2, 60)

        looker.last.click()  # image a, of which there is a variant
        modal = page.locator("[data-cy=modal]")
        until(lambda: modal.locator("[data-cy=group-carousel] [data-cy=looker]").count() == 2, 60)  # side by side
        canvas = modal.locator("[data-cy=modal-looker-container] canvas")

        def change(before: np.ndarray) -> tuple[float, float]:
            """How much the left and the right half of the picture have changed; the image lies in its middle."""
            page.wait_for_timeout(2000)
            columns = np.abs(before - picture(canvas)).mean((0, 2))
            return columns[: len(columns) // 2].mean(), columns[len(columns) // 2 :].mean()

        def still() -> list[np.ndarray]:
            """The picture once the image is drawn and nothing moves any more."""
            seen = picture(canvas)
            return [seen] if seen.std() > 20 and max(change(seen)) < 1 else []

        [drawn] = until(still, 60)
        # One click, once nothing loads: two in a row can make the App send a map to its worker twice, and fail.
        modal.locator("[data-cy=checkbox-saliency]").click()
        until(lambda: change(drawn)[0] > 5, 60)
        left, right = change(drawn)
        assert right < left / 5  # where the saliency was
    assert not [error for error in errors if not any(host in error for host in ELSEWHERE)]
