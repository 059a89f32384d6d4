"""The benchmark of one GPU: its measures run on a CPU in little, and its page says what was reached and what failed."""

import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.gpu.__main__ import BUDGETS, measured
from benchmarks.gpu.figures import MEMORY, Figure, Part, limit, page, stage, told
from benchmarks.gpu.parts import MEASURES, PRIOR, Sizes
from benchmarks.gpu.study import in_hours
from benchmarks.limits import Work, counted
from tests.conftest import ROOT

LITTLE = Sizes(
    matrix=64, copied=2**16, small=96, large=64, batch=2, files=4, library=1, steps=3, turns=1, prior=32, prior_steps=1,
    holes=2, tests="tests/toolkit/saliency/test_eigencam.py",
)  # fmt: skip
OF_THE_EMBEDDED = {"eigencam": 7, "fine-tuning": 3, "prediction": 2}  # figures that come first

MACHINE = {"GPU": "a GPU"}
SPEEDS = Part("limits", 40, 12.3, [Figure("product", 2e12, "FLOP/s", by="tf32"), Figure("copy", 1e9, "B/s", by=MEMORY)])


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("part", MEASURES)
def test_every_part_measures_something_on_a_cpu(part: str) -> None:
    figures = list(islice(MEASURES[part](LITTLE), OF_THE_EMBEDDED.get(part)))
    assert len({figure.what for figure in figures}) == len(figures) > 0
    for figure in figures:
        assert figure.value >= 0
        assert figure.flop > 0 or figure.by in ("", MEMORY) or figure.unit == "FLOP/s"


def test_every_part_has_a_budget_and_all_together_take_less_than_ten_minutes() -> None:
    assert BUDGETS.keys() == MEASURES.keys()
    assert sum(BUDGETS.values()) < 600


def test_in_float32_maps_are_a_cpu_s_but_for_rounding() -> None:
    *_, largest, median, ranks, tops = MEASURES["maps"](LITTLE)
    assert 0 <= median.value <= largest.value < 1e-3
    assert ranks.value == pytest.approx(1, abs=0.01)
    assert tops.value == pytest.approx(1, abs=0.01)


def test_the_work_of_a_call_is_its_arithmetic_and_what_it_moves() -> None:
    layer = nn.Linear(100, 10, bias=False)
    images = torch.zeros(20, 100)
    with torch.no_grad():
        work = counted(lambda: layer(images))
    assert work == Work(2 * 20 * 100 * 10, 4 * (20 * 100 + 100 * 10 + 20 * 10))


def test_views_and_empty_tensors_move_nothing() -> None:
    images = torch.zeros(20, 100)
    assert counted(lambda: (images.T, images[3:], torch.empty(99))) == Work(0, 0)


def test_a_stage_waits_for_its_arithmetic_or_its_memory_whichever_takes_longer() -> None:
    speeds = {"tf32": 2e12, MEMORY: 1e9}
    assert limit(stage("s", 1, Work(int(4e12), int(8e9)), "tf32", images=2), speeds) == (4, MEMORY)
    assert limit(stage("s", 1, Work(int(8e12), int(2e9)), "tf32", images=2), speeds) == (2, "tf32")
    assert limit(stage("s", 1, Work(int(8e12), int(2e9)), "bfloat16"), speeds) is None  # a speed that was not measured


def test_the_page_says_what_is_reached_and_which_part_failed() -> None:
    parts = [
        SPEEDS,
        Part(
            "eigencam", 120, 60, [
                stage("saliency", 8, Work(int(8e12), 0), "tf32", images=4),
                Figure("over the backbone", 1.2, "", at_most=1.3),
                Figure("over the library", 20, "times as fast", at_least=50),
            ], "out of memory",
        ),
    ]  # fmt: skip
    shown = page(MACHINE, parts, [Figure("a study", 3, "h", at_most=2, note="extrapolated")])
    assert "on GPU a GPU." in shown
    assert "| product | 2 | TFLOP/s |" in shown
    assert "| saliency | 0.5 | images/s |  |  | 2000 | 1 | 50 % | tf32 |  |" in shown
    assert "| over the backbone | 1.2 |  | at most 1.3 | yes |" in shown
    assert "| over the library | 20 | times as fast | at least 50 | **no** |" in shown
    assert "| a study | 3 | h | at most 2 | **no** |  |  |  |  | extrapolated |" in shown
    assert "| limits | 12 | 40 | none |" in shown
    assert "| eigencam | 60 | 120 | out of memory |" in shown
    saliency = told(MACHINE, parts, [])["parts"][1]["figures"][0]
    assert (saliency["limit_s"], saliency["of_limit"], saliency["bound_by"]) == (1, 0.5, "tf32")


def test_hours_of_a_study_come_from_every_stage_that_takes_long() -> None:
    detector = "fasterrcnn_resnet50_fpn at 800 px"
    figures = [
        Figure(f"saliency from files, {detector}", 100, "images/s"),
        Figure(PRIOR.format("fast"), 0.1, "s an image"),
        Figure(f"fine-tuning, {detector}", 50, "images/s"),
        Figure(f"prediction from files, {detector}", 100, "images/s"),
    ]
    (found,) = in_hours([Part("all", 1, 1, figures)])
    arms, seeds, views = 6, 3, 7150 * 4
    seconds = 11_540 / 100 + 2 * 2_287 * 0.1 + arms * seeds * views / 50 + 5_823 * (arms * seeds + 1) / 100
    assert found.value == pytest.approx(seconds / 3600)
    assert not found.met
    assert in_hours([Part("all", 1, 1, figures[:-1])]) == []


def said(then: str) -> list[str]:
    figure = '{"what": "first", "value": 1, "unit": "images/s"}'
    return [sys.executable, "-c", f"import subprocess, sys, time\nprint('''{figure}''', flush=True)\n{then}"]


def test_what_a_part_found_before_it_failed_is_kept() -> None:
    part = measured("name", said("raise RuntimeError('no memory')"), budget=60)
    assert part.figures == [Figure("first", 1, "images/s")]
    assert part.error == "RuntimeError: no memory"


def test_a_part_is_stopped_after_its_budget_with_all_that_it_started(tmp_path: Path) -> None:
    late = tmp_path / "late"
    child = f"import time, pathlib; time.sleep(4); pathlib.Path({str(late)!r}).touch()"
    part = measured("name", said(f"subprocess.run([sys.executable, '-c', {child!r}])"), budget=2)
    assert part.figures == [Figure("first", 1, "images/s")]
    assert part.error == "stopped after 2 s"
    time.sleep(4)
    assert not late.exists()


def test_without_a_gpu_it_says_what_is_missing_and_what_to_run() -> None:
    blind = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], env=blind, capture_output=True, text=True)
    assert done.returncode == 2
    assert "torch can use no CUDA device" in done.stderr
    assert "python -m benchmarks.limits" in done.stderr
    assert "Traceback" not in done.stderr
