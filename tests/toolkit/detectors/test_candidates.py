"""Log-odds of candidates, and the surest one of an object."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolkit.detectors.candidates import Candidates, best_log_odds, log_odds

LOGITS = st.lists(st.floats(-20, 20), min_size=2, max_size=6)


@given(LOGITS)
def test_log_odds_are_those_of_the_softmax(logits: list[float]) -> None:
    found = log_odds(torch.tensor(logits, dtype=torch.float64))
    assert torch.allclose(found.sigmoid(), torch.tensor(logits, dtype=torch.float64).softmax(dim=0))


def test_log_odds_stay_exact_where_float32_rounds_the_probability_to_0_or_1() -> None:
    sure, unsure = log_odds(torch.tensor([60.0, -60.0])).tolist()
    assert (sure, unsure) == (120.0, -120.0)
    assert log_odds(torch.tensor([[200.0, 0.0, 0.0]]))[0].tolist() == pytest.approx([200 - math.log(2), -200, -200])


def boxes(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows).reshape(-1, 4)


def shared(considered: Tensor, odds: list[list[float]]) -> Candidates:
    """Candidates whose box is the same for every class."""
    log_odds = torch.tensor(odds).reshape(len(considered), -1)
    return Candidates(considered[:, None].expand(-1, log_odds.shape[1], -1), log_odds)


def test_the_surest_candidate_that_overlaps_by_half_counts() -> None:
    near, half, less, far = (0, 0, 10, 9), (0, 0, 10, 5), (0, 0, 10, 4.9), (50, 50, 60, 60)
    candidates = shared(boxes(near, half, less, far), [[-2.0, 0.0], [-1.0, 0.0], [5.0, 0.0], [9.0, 0.0]])
    assert best_log_odds(candidates, boxes((0, 0, 10, 10)), torch.tensor([0])).tolist() == [-1.0]


def test_each_object_has_its_own_class_and_box() -> None:
    first, second = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    candidates = shared(boxes(first, second), [[1.0, 2.0], [3.0, 4.0]])
    found = best_log_odds(candidates, boxes(second, first, first), torch.tensor([0, 1, 0]))
    assert found.tolist() == [3.0, 2.0, 1.0]


def test_the_box_is_that_of_the_object_s_class() -> None:
    here, there = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    candidates = Candidates(boxes(here, there)[None], torch.tensor([[1.0, 2.0]]))
    assert best_log_odds(candidates, boxes(here, here), torch.tensor([0, 1])).tolist() == [1.0, -math.inf]


def test_an_object_that_no_candidate_meets_is_not_believed_at_all() -> None:
    candidates = shared(boxes((50, 50, 60, 60), (0, 0, 0, 0)), [[9.0], [9.0]])
    assert best_log_odds(candidates, boxes((0, 0, 10, 10)), torch.tensor([0])).tolist() == [-math.inf]
    assert best_log_odds(candidates, boxes((0, 0, 0, 0)), torch.tensor([0])).tolist() == [-math.inf]  # of no area


def test_no_candidates_and_no_objects_are_no_error() -> None:
    none = Candidates(torch.zeros(0, 2, 4), torch.zeros(0, 2))
    assert best_log_odds(none, boxes((0, 0, 10, 10)), torch.tensor([1])).tolist() == [-math.inf]
    considered = shared(boxes((0, 0, 9, 9)), [[1.0]])
    assert best_log_odds(considered, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)).tolist() == []
