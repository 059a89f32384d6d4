"""Fixtures: the project's own params, shrunk, and the parts that many tests read; nothing invented beside them."""

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from toolkit import params, sources, voc
from toolkit.files import copy, new_folder
from toolkit.params import Params
from toolkit.voc import Tree

ROOT = Path(__file__).parent.parent
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips", metavar="FILE", help="fail what is skipped for a reason that begins no line of FILE")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch  # takes seconds: only those who need it wait

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return excused((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return excused((yield), collector.config)


def excused(report: Report, config: pytest.Config) -> Report:
    """What was skipped fails where `--skips` names a list that does not have its reason."""
    path = config.getoption("skips")
    if path and report.skipped:
        _, _, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if not any(line.startswith(f"{reason}: ") for line in (config.rootpath / path).read_text().splitlines()):
            report.outcome, report.longrepr = "failed", f"skipped, for a reason that is not in {path}: {reason}"
    return report


def shrunk(settings: Params) -> Params:
    """The real params with fewer and smaller scenes and a few steps of everything."""
    cue = settings.sample.cue.model_copy(update={"ambiguous": 0.2})
    return settings.model_copy(
        update={
            "sample": settings.sample.model_copy(update={"size": 96, "train_scenes": 8, "test_scenes": 4, "cue": cue}),
            "detector": settings.detector.model_copy(update={"size": 96}),
            "faithfulness": settings.faithfulness.model_copy(update={"images": 2, "shares": [0.2]}),
            "aug": settings.aug.model_copy(update={"threshold": 0.4}),
            "train": settings.train.model_copy(update={"steps": 3, "batch": 2}),
            "score": settings.score.model_copy(update={"resamples": 20}),
        }
    )


def part_of(whole: Tree, root: Path, splits: Mapping[str, Sequence[str]]) -> Tree:
    """A VOC tree of some of another's images, copied, in splits of its own."""
    part = Tree(root)
    for split, ids in splits.items():
        voc.write_ids(part.split(split), ids)
        for image_id in ids:
            copy(whole.image(image_id), part.image(image_id))
            copy(whole.annotation(image_id), part.annotation(image_id))
    return part


@pytest.fixture(scope="session")
def settings() -> Params:
    return shrunk(params.load(ROOT / "params.yaml"))


@pytest.fixture(scope="session")
def sample(settings: Params, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The shrunk sample; tests read it and write elsewhere."""
    folder = tmp_path_factory.mktemp("sample") / "source"
    with new_folder(folder) as out:
        sources.build(settings, out)
    return Tree(folder)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the test works in, with a store of its own and the committed base checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SALVOC_STORE", raising=False)
    (tmp_path / "datasets").mkdir()
    shutil.copyfile(ROOT / "datasets" / "base.safetensors", tmp_path / "datasets" / "base.safetensors")
    return tmp_path


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data, where there is one."""
    if "SALVOC_REAL" not in os.environ:
        pytest.skip("SALVOC_REAL names no folder of real photographs")
    return Path(os.environ["SALVOC_REAL"])
