"""The panel in which threshold and erase percentage are moved: what it previews is what the stages would do."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.browser import browser, needs_browser
from tests.conftest import ROOT
from tests.toolkit.browse.test_app import until
from toolkit import browse, maps, params, places, variants
from toolkit.browse import preview
from toolkit.browse.app import no_file
from toolkit.browse.preview import Knobs
from toolkit.files import copy, read_image, write
from toolkit.params import Params
from toolkit.selection import select
from toolkit.shards import packing
from toolkit.variants.regions import erase
from toolkit.voc import Tree

if TYPE_CHECKING:
    from playwright.sync_api import Page

IOU = [0.02, 0.05, 0.09, 0.095, 0.12, 0.3, 0.4, 0.5]  # of the train images in turn
SERVE = """
import sys
from pathlib import Path
from tests.toolkit.browse.test_panel import dataset
from toolkit import browse
root = Path(sys.argv[1])
url, server = browse.open_app(dataset(root), int(sys.argv[2]), root=root)
print(url, flush=True)
server.wait()
"""


@pytest.fixture(scope="module")
def root(sample: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository after `agreement`; the detector's maps are coarse, so that scaling and ties matter."""
    root = tmp_path_factory.mktemp("repository")
    copy(ROOT / "params.yaml", root / places.PARAMS)
    for file in sample.root.rglob("*"):
        if file.is_file():
            copy(file, root / places.SOURCE / file.relative_to(sample.root))
    rng = np.random.default_rng(0)
    for image_id in sample.all_ids():
        cells = maps.normalise(rng.random((8, 8)).round(1))
        write(root / places.SALIENCY / f"{image_id}.png", maps.encode(cells))
    train, test = sample.ids("train"), sample.ids("test")
    splits = ["train"] * len(train) + ["test"] * len(test)
    iou = [*IOU, *([0.01] * len(test))]
    agreement = pd.DataFrame({"id": train + test, "split": splits, "human_iou": iou, "gaze_iou": np.array(iou) / 2})
    agreement.to_parquet(root / places.AGREEMENT)
    return root


@pytest.fixture
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """The repository to work in, as the App's server does; its source."""
    monkeypatch.chdir(root)
    return Tree(places.SOURCE)


def dataset(root: Path) -> Any:
    """The images of a run as they are, in groups."""
    fo = browse.connect()
    made, source = fo.Dataset(), Tree(root / places.SOURCE)
    made.add_group_field("group", default="source")
    made.add_samples(
        [fo.Sample(filepath=str(source.image(i)), group=fo.Group().element("source")) for i in source.all_ids()]
    )
    return made


def test_it_starts_with_the_settings_of_params(here: Tree) -> None:
    assert preview.settings() == Knobs(threshold=0.1, erase_percent=2.5, against="known")


@pytest.mark.parametrize(("against", "threshold", "count"), [("human", 0.1, 4), ("gaze", 0.1, 5), ("gaze", 0.16, 6)])
def test_the_selection_is_that_of_the_stage(here: Tree, against: str, threshold: float, count: int) -> None:
    rows = preview.selection(Knobs(threshold, 2.5, against))
    pd.testing.assert_frame_equal(rows, select(pd.read_parquet(places.AGREEMENT), threshold, against))
    assert preview.told(rows).startswith(f"**{count} of 8** train images")


@pytest.mark.parametrize("percent", [2.5, 7])
def test_the_preview_is_pixel_by_pixel_what_the_variant_has_black(
    here: Tree, settings: Params, tmp_path: Path, percent: float
) -> None:
    knobs = Knobs(0.1, percent, "known")
    aug = settings.aug.model_copy(update={"erase_percent": percent})
    variant = Tree(tmp_path / "erasing")
    variants.build("erasing", "erasing", here, places.SALIENCY, preview.selection(knobs), aug, variant.root)
    for image_id in here.ids("train")[:4]:
        mask = cv2.imdecode(
            np.frombuffer(preview.drawn(preview.mask(image_id, knobs)) or b"", np.uint8), cv2.IMREAD_UNCHANGED
        )
        assert np.count_nonzero(mask) == round(mask.size * percent / 100)
        original, erased = (read_image(tree.image(image_id)) for tree in (here, variant))
        np.testing.assert_array_equal(erase(original, mask == preview.ERASED), erased)


def test_a_file_that_is_no_preview_is_not_drawn(here: Tree) -> None:
    image_id = here.ids("train")[0]
    assert preview.drawn(here.image(image_id).absolute()) is None
    assert preview.drawn(Path()) is None


def test_the_line_names_what_was_moved(here: Tree) -> None:
    assert preview.command(Knobs(0.08, 5.0, "known")) == "dvc exp run -S aug.threshold=0.08 -S aug.erase_percent=5"
    assert preview.command(Knobs(0.1, 2.5, "gaze")).endswith("aug.erase_percent=2.5 -S aug.against=gaze")
    assert params.load(places.PARAMS).aug.against == "known"


def test_no_bar_of_the_histogram_straddles_the_threshold(here: Tree) -> None:
    for threshold in (0.0, 0.005, 0.1, 0.33):
        selected, _ = preview.histogram(preview.selection(Knobs(threshold, 2.5, "known")), threshold)["data"]
        bars = threshold / selected["xbins"]["size"]
        assert bars == pytest.approx(round(bars))


def test_the_selected_images_are_shown_the_worst_first_and_nothing_is_left_behind(here: Tree) -> None:
    shown = dataset(Path())
    before = shown.get_field_schema().keys(), shown.app_config.to_dict(), dict(shown.mask_targets)
    view = preview.show(shown, Knobs(0.1, 2.5, "known"))
    assert [Path(path).stem for path in view.values("filepath")] == here.ids("train")[:4]
    assert all(path.endswith(".png") for path in view.values("preview.mask_path"))
    fewer = preview.show(shown, Knobs(0.06, 2.5, "known"))
    assert len(fewer) == len(shown.exists("preview")) == 2
    preview.clear(shown)
    assert before[0] == shown.get_field_schema().keys() and before[2] == shown.mask_targets
    shown.delete()


def test_the_users_own_plugins_are_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.browse.app import plugins

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "theirs/a/fiftyone.yml", "name: '@them/a'\n")
    for _ in range(2):
        folder = plugins(tmp_path / "theirs")
        assert sorted(path.name for path in folder.iterdir()) == ["own", "salvoc"]
        assert (folder / "own/a/fiftyone.yml").is_file() and (folder / "salvoc/fiftyone.yml").is_file()
    assert [path.name for path in plugins(tmp_path / "none").iterdir()] == ["salvoc"]
    assert (tmp_path / "theirs/a/fiftyone.yml").is_file()


@pytest.fixture
def app(root: Path, tmp_path: Path) -> Iterator[str]:
    """The App in a process of its own, killed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(root), str(port)]
    env = os.environ | {"FIFTYONE_DATABASE_URI": ""}
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(line.strip() for line in process.stdout or [] if line.startswith("http"))
        finally:
            process.terminate()


def move(page: "Page", slider: int, share: float) -> float:
    """Click on the slider that ends at `slider`, so far from its left end; the value that it then has."""
    rail = page.locator(".MuiSlider-root", has=page.locator(f"input[max='{slider}']"))
    box = rail.bounding_box() or {}
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    return float(rail.locator("input").input_value())


@needs_browser
def test_moving_the_sliders_changes_number_grid_masks_and_the_line_that_is_copied(app: str) -> None:
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 1600, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(60_000)
        fetched: set[str] = set()
        page.on("response", lambda answer: fetched.add(answer.url) if answer.ok else None)

        def masks(percent: float) -> int:
            """How many of this percentage the App has fetched."""
            page.wait_for_timeout(100)  # what it does in between is heard now
            return sum(f"preview%2F{percent:g}%2F" in url for url in fetched)

        page.goto(app)
        page.get_by_text("Dismiss").click()
        page.locator("[data-cy=new-panel-btn]").first.click()
        page.locator("[data-cy=new-panel-option-selection]").click()
        page.get_by_text("4 of 8").wait_for()
        looker = page.locator("[data-cy=looker]")
        until(lambda: looker.count() == 4, 60)
        until(lambda: masks(2.5) == 4, 60)

        threshold = move(page, 1, 0.2)
        page.get_by_text("5 of 8").wait_for()
        until(lambda: looker.count() == 5, 60)
        percent = move(page, 30, 0.25)
        until(lambda: masks(percent) == 5, 60)
        assert threshold == pytest.approx(0.2, abs=0.011) and percent == pytest.approx(7.9, abs=0.5)

        page.get_by_role("button", name="Copy").click()
        line = f"dvc exp run -S aug.threshold={threshold:g} -S aug.erase_percent={percent:g}"
        assert page.evaluate("navigator.clipboard.readText()").strip() == line
        page.locator("[title=Close]").last.click()
        until(lambda: looker.count() == 20, 60)
        assert page.locator("[data-cy=sidebar-field-preview]").count() == 0


def test_what_is_packed_is_shown_and_what_is_a_file_is_left_to_fiftyone(tmp_path: Path) -> None:
    write(tmp_path / "single" / "a.png", b"a file")
    with packing(tmp_path / "shards") as packer:
        packer.add("a.png", b"pixels")
    assert no_file(tmp_path / "shards" / "a.png") == b"pixels"
    assert no_file(tmp_path / "single" / "a.png") is None
    assert no_file(tmp_path / "shards" / "b.png") is None
