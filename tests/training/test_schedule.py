"""The order of the views and the learning rate: functions of seed and step alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine import batches, learning_rate


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 7), st.integers(0, 100))
def test_every_pass_sees_every_image_once(count: int, steps: int, batch: int, seed: int) -> None:
    todo = batches(count, steps, batch, seed)
    assert [len(views) for views in todo] == [batch] * steps
    seen = [number for views in todo for number, _ in views]
    for start in range(0, len(seen) - count + 1, count):
        assert sorted(seen[start : start + count]) == list(range(count))
    assert todo == batches(count, steps, batch, seed)


def test_half_of_the_views_are_mirrored_and_every_pass_has_its_own_order_and_flips() -> None:
    todo = [view for views in batches(1000, 20, 100, seed=0) for view in views]
    first, second = todo[:1000], todo[1000:]
    for views in (first, second):
        assert 450 < sum(flip for _, flip in views) < 550  # a share of 0.5 is within 50 in 998 of 1000 draws
    assert [number for number, _ in first] != [number for number, _ in second]
    both = [dict(first)[number] != dict(second)[number] for number in range(1000)]
    assert 450 < sum(both) < 550
    assert todo != [view for views in batches(1000, 20, 100, seed=1) for view in views]


@pytest.mark.parametrize(
    ("step", "steps", "share"),
    [
        (0, 200, 1 / 20),  # a tenth of the steps is warm-up
        (9, 200, 10 / 20),
        (18, 200, 19 / 20),
        (20, 200, 0.5 + 0.5 * 0.9510565),  # cos 18 degrees
        (100, 200, 0.5),
        (150, 200, 0.5 - 0.5 * 0.7071068),
        (199, 200, 0.0000617),
        (0, 2000, 1 / 50),  # and never more than 50 steps
        (24, 2000, 25 / 50),
        (500, 2000, 0.5 + 0.5 * 0.7071068),
        (0, 5, 1.0),  # five steps have no warm-up
        (0, 1, 1.0),
    ],
)
def test_the_learning_rate_rises_in_a_line_and_falls_as_half_a_cosine(step: int, steps: int, share: float) -> None:
    assert learning_rate(step, steps) == pytest.approx(share, rel=1e-3)
