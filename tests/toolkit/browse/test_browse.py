"""The export for FiftyOne: its bytes, its paths, and what a browser shows of it."""

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
import pandas as pd
import psutil
import pytest

from tests.browser import browser, needs_browser
from toolkit import browse, files, maps, voc
from toolkit.agreement import TRUTHS
from toolkit.browse.views import COLOURS
from toolkit.errors import BadInput
from toolkit.metrics import METRICS
from toolkit.params import Cue
from toolkit.sources import scenes
from toolkit.voc import Tree

TRAIN, TEST, BASE = ["a", "b", "c"], ["d", "e"], ["f"]
IDS = [*TRAIN, *TEST, *BASE]
SIZE = 128
SERVE = """
import sys
from pathlib import Path
from toolkit import browse
root = Path(sys.argv[1])
url, server = browse.open_app(browse.load(root / "datasets/fiftyone", "shown here", root=root), int(sys.argv[2]))
print(url, flush=True)
server.wait()
"""
EXPORT = """
import sys
from pathlib import Path
from tests.toolkit.browse.test_browse import export, make
make(Path(sys.argv[1]))
export(Path(sys.argv[1]))
"""


def make(root: Path) -> None:
    """What the stages before this one leave: image b has no human attention, and its saliency lies in the left half."""
    source = Tree(root / "datasets/source")
    cue = Cue(correlation=0.5, place="near", side=0.1, ambiguous=0.0)
    cells = maps.normalise(np.repeat([[1.0, 0.0]], 8, axis=1).repeat(16, axis=0))
    for number, image_id in enumerate(IDS):
        scene = scenes.draw(image_id, np.random.SeedSequence(number), SIZE, cue, "correlated")
        jpeg = cv2.imencode(".jpg", scene.image[..., ::-1])[1].tobytes()
        files.write(source.image(image_id), jpeg)
        files.write(source.annotation(image_id), voc.render(scene.annotation))
        if image_id != "b":
            people = maps.normalise(scenes.attention(scene.mask))
            files.write(root / f"datasets/attention/human/{image_id}.png", maps.encode(people))
        files.write(root / f"datasets/attention/gaze/{image_id}.png", maps.encode(cells[::-1, ::-1]))
        files.write(root / f"datasets/saliency/{image_id}.png", maps.encode(cells))
        variant = Tree(root / "datasets/variants/erasing")
        files.write(variant.image(image_id), jpeg)  # a copy: the same bytes elsewhere are no change
        files.link(source.annotation(image_id), variant.annotation(image_id))
    files.write(variant.image("a"), cv2.imencode(".jpg", np.zeros((SIZE, SIZE, 3), np.uint8))[1].tobytes())


def export(root: Path) -> Path:
    """Build the export in `root`, under a temporary name as a stage does."""
    place = root / "datasets/fiftyone"
    agreement = pd.DataFrame({"id": IDS, "split": ["train"] * 3 + ["test"] * 2 + ["base"]})
    for number, name in enumerate(f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS):
        agreement[name] = [0.1 * number + 0.01 * (5 - i) for i in range(len(IDS))]
    agreement.loc[1, ["human_mae", "human_iou", "human_cc"]] = np.nan
    people = {"arm": "erasing", "id": TRAIN, "selected": [True, False, True], "reason": ["low", "ok", "low"]}
    gaze = {"arm": "by_gaze", "id": TRAIN, "selected": [False, False, True], "reason": ["high", "ok", "low"]}
    selection = pd.concat([pd.DataFrame(people), pd.DataFrame(gaze)])
    boxes = [("d", "cat", 0, 32, 64, 128, 0.5), ("d", "dog", 16, 16, 32, 32, 0.9), ("d", "cow", 0, 0, 9, 9, 0.2)]
    predictions = pd.DataFrame(boxes, columns=["id", "label", "x0", "y0", "x1", "y1", "score"])
    with files.new_folder(place) as partial:
        browse.build(
            Tree(root / "datasets/source"),
            root / "datasets/attention",
            root / "datasets/saliency",
            agreement,
            selection,
            {"erasing": predictions},
            {"erasing": Tree(root / "datasets/variants/erasing")},
            partial,
            place=place,
            root=root,
        )
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real database; nothing of it remains in the environment of the tests that follow."""
    folder = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_DIR", str(folder))
        patch.setenv("FIFTYONE_DATABASE_URI", "")
        browse.connect(folder)
        yield folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """A repository with an export, moved after it was made: what a clone is."""
    repository = tmp_path_factory.mktemp("made") / "repository"
    make(repository)
    export(repository)
    return repository.rename(tmp_path_factory.mktemp("moved") / "clone")


@pytest.fixture(scope="module")
def dataset(root: Path) -> Any:
    browse.load(root / "datasets/fiftyone", "salvoc", root=root)
    return browse.load(root / "datasets/fiftyone", "salvoc", root=root)  # the second takes the first one's place


def test_export_has_no_path_of_its_machine(root: Path) -> None:
    for name in ("samples.json", "metadata.json"):
        assert "/tmp" not in (root / "datasets/fiftyone" / name).read_text("utf-8")
        assert ".partial" not in (root / "datasets/fiftyone" / name).read_text("utf-8")


def test_another_process_in_another_place_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONHASHSEED": "7", "FIFTYONE_DATABASE_URI": ""}
    subprocess.run([sys.executable, "-c", EXPORT, str(tmp_path / "other")], check=True, env=env)
    assert contents(tmp_path / "other/datasets/fiftyone") == contents(root / "datasets/fiftyone")


def test_every_path_lies_in_the_clone(root: Path, dataset: Any) -> None:
    paths = dataset.values("filepath")
    for field in ("human_attention", "gaze_attention", "saliency"):
        paths += [path for path in dataset.values(f"{field}.map_path") if path]
    assert len(paths) == 7 + 5 + 6 + 6
    assert all(Path(path).is_relative_to(root) and Path(path).is_file() for path in paths)


def test_sample_of_a_train_image(root: Path, dataset: Any) -> None:
    sample = dataset[str(root / "datasets/source/JPEGImages/a.jpg")]
    annotation = voc.read(Tree(root / "datasets/source").annotation("a"))
    assert sample.tags == ["train", "selected"]
    assert (sample.selected, sample.reason, sample.variant) == (True, "low; high", "source")
    assert sample.human_mae == pytest.approx(0.05)
    assert sample["prediction_erasing"] is None
    for shown, known in zip(sample.ground_truth.detections, annotation.objects, strict=True):
        x, y, w, h = (SIZE * share for share in shown.bounding_box)
        assert (shown.label, shown.difficult, shown.truncated) == (known.name, False, False)
        assert (x, y, x + w, y + h) == pytest.approx(known.box)


def test_sample_of_a_test_image(root: Path, dataset: Any) -> None:
    found, empty = (dataset[str(root / f"datasets/source/JPEGImages/{image_id}.jpg")] for image_id in "de")
    assert [(p.label, p.confidence) for p in found["prediction_erasing"].detections] == [("dog", 0.9), ("cat", 0.5)]
    assert found["prediction_erasing"].detections[1].bounding_box == [0, 0.25, 0.5, 0.75]
    assert empty["prediction_erasing"].detections == []
    assert found.selected is None and found.tags == ["test"]


def test_an_image_of_the_base_split_was_neither_selected_nor_tested(root: Path, dataset: Any) -> None:
    sample = dataset[str(root / "datasets/source/JPEGImages/f.jpg")]
    assert (sample.tags, sample.selected, sample.reason, sample["prediction_erasing"]) == (["base"], None, None, None)
    assert sample.saliency is not None


def test_what_is_not_known_is_not_there(root: Path, dataset: Any) -> None:
    sample = dataset[str(root / "datasets/source/JPEGImages/b.jpg")]
    assert sample.human_attention is None and sample.human_iou is None
    assert sample.gaze_iou is not None


def test_maps_are_8_bit_at_the_image_s_size(root: Path, dataset: Any) -> None:
    sample = dataset.first()
    image = cv2.imread(sample.saliency.map_path, cv2.IMREAD_UNCHANGED)
    stored = maps.scale(maps.load(root / "datasets/saliency/a.png"), SIZE, SIZE)
    assert image.dtype == np.uint8 and image.shape == (SIZE, SIZE)
    assert np.abs(image / 255 - stored).max() <= 0.5 / 255 + 1e-6


def test_only_images_that_a_variant_changed_are_added(dataset: Any) -> None:
    added = dataset.match_tags("variant:erasing")
    assert [Path(path).stem for path in added.values("filepath")] == ["a"]
    assert added.values("variant") == ["erasing"]


def test_views_and_what_is_active(dataset: Any) -> None:
    views = {name: dataset.load_saved_view(name).values("filepath") for name in dataset.list_saved_views()}
    stems = {name: "".join(Path(path).stem for path in paths) for name, paths in views.items()}
    assert stems == {
        "source": "abcdef",
        "selected": "ac",
        "worst agreement, human": "fedca",
        "worst agreement, gaze": "fedcba",
        "variant erasing": "a",
    }
    assert set(dataset.app_config.active_fields.paths) == set(COLOURS)


def test_folder_without_an_export_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="dvc pull"):
        browse.load(tmp_path, "none")


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


@needs_browser
def test_app_draws_the_heatmaps_over_the_images_whichever_address_is_opened(app: str) -> None:
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(60_000)
        looker = page.locator("[data-cy=looker]")
        page.goto(app.partition("/datasets/")[0])  # what people type who know the port
        page.get_by_text("Dismiss").click()
        until(lambda: looker.count() == 7, 30)
        page.goto(app)
        until(lambda: looker.count() == 7, 30)
        for field, active in {**dict.fromkeys(COLOURS, True), "prediction_erasing": False}.items():
            assert page.locator(f"[data-cy=checkbox-{field}] input").is_checked() is active

        looker.first.click()
        modal = page.locator("[data-cy=modal]")
        canvas = modal.locator("[data-cy=modal-looker-container] canvas")

        def seen() -> np.ndarray:
            """The picture as the canvas has it: float [H, W, 4]. A screenshot can stop a drawing half-way."""
            data = canvas.evaluate("canvas => canvas.toDataURL('image/png')").partition(",")[2]
            return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED).astype(float)

        def change(before: np.ndarray) -> tuple[float, float]:
            """How much the left and the right half of the picture have changed; the image lies in its middle."""
            page.wait_for_timeout(2000)
            columns = np.abs(before - seen()).mean((0, 2))
            return columns[: len(columns) // 2].mean(), columns[len(columns) // 2 :].mean()

        def still() -> list[np.ndarray]:
            """The picture once the image is drawn and nothing moves any more."""
            picture = seen()
            return [picture] if picture.std() > 20 and max(change(picture)) < 1 else []

        [drawn] = until(still, 60)
        # One click, once nothing loads: two in a row can make the App send a map to its worker twice, and fail.
        modal.locator("[data-cy=checkbox-saliency]").click()
        until(lambda: change(drawn)[0] > 5, 60)
        left, right = change(drawn)
        assert right < left / 5  # where the saliency was
