"""Spread over images: a chunk at a time, in the order of the ids whatever the order of the work."""

from collections.abc import Iterator, Sequence

import pytest

from toolkit import spread
from toolkit.spread import Work, here


@pytest.fixture(autouse=True)
def chunks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "CHUNK", 3)


def test_values_come_in_the_order_of_the_ids() -> None:
    given: list[str] = []

    def work(ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        given.append("".join(ids))
        yield from ((image_id, image_id.upper()) for image_id in reversed(ids))

    assert list(here(lambda: work, "dacbefg", "letters")) == [(i, i.upper()) for i in "dacbefg"]
    assert given == ["dac", "bef", "g"]


def test_a_process_prepares_once_and_no_chunk_begins_before_it_is_asked_for() -> None:
    prepared, begun = [], []

    def prepare() -> Work[int]:
        prepared.append(1)

        def work(ids: Sequence[str]) -> Iterator[tuple[str, int]]:
            begun.append(ids)
            yield from ((image_id, 0) for image_id in ids)

        return work

    values = here(prepare, "abcdef", "letters")
    assert next(values) == ("a", 0)
    assert begun == ["abc"]
    assert len(list(values)) == 5
    assert prepared == [1]
