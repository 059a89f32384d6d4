"""Images side by side: in order, a few ahead, and nothing goes on when nobody waits for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Timer, get_ident

import pytest
import torch

from toolkit.workers import AHEAD, batches, mapped

THREADS = 2


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


class Held:
    """Work that counts the items begun, of which all but the first are held until they are let go."""

    def __init__(self, first: Callable[[], None]) -> None:
        self.first, self.go, self.begun = first, Event(), 0

    def __call__(self, item: int) -> int:
        self.begun += 1
        if item == 0:
            self.first()
        else:
            self.go.wait()
        return item

    def let_go_soon(self) -> None:
        Timer(0.3, self.go.set).start()


def test_results_come_in_the_order_of_the_items() -> None:
    second_is_done = Event()

    def work(item: int) -> int:
        if item == 0:
            second_is_done.wait()  # so that the later one finishes first
        if item == 1:
            second_is_done.set()
        return item * item

    assert list(mapped(lambda: work, range(50))) == [item * item for item in range(50)]


def test_no_items_give_no_results() -> None:
    assert list(mapped(lambda: lambda item: item, [])) == []


def test_no_more_items_are_taken_than_are_in_flight() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(100):
            taken += 1
            yield item

    for given, _ in enumerate(mapped(lambda: lambda item: item, items())):
        assert taken <= given + AHEAD * THREADS


def test_each_thread_prepares_once_and_works_with_its_own() -> None:
    prepared = []

    def prepare() -> Callable[[int], bool]:
        mine = get_ident()
        prepared.append(mine)
        return lambda item: mine == get_ident()

    assert all(mapped(prepare, range(200)))
    assert len(prepared) == len(set(prepared)) <= THREADS


def threads_of_torch() -> list[int]:
    """How many it computes on here, and in a thread that begins now: torch keeps the two apart."""
    with ThreadPoolExecutor(1) as another:
        return [torch.get_num_threads(), another.submit(torch.get_num_threads).result()]


def test_torch_computes_on_one_thread_in_each_and_on_all_again_afterwards() -> None:
    assert set(mapped(lambda: lambda item: torch.get_num_threads(), range(9))) == {1}
    assert threads_of_torch() == [THREADS, THREADS]


def test_what_is_queued_never_begins_once_the_consumer_stops() -> None:
    held = Held(first=lambda: None)
    results = mapped(lambda: held, range(100))
    assert next(results) == 0
    held.let_go_soon()
    results.close()
    assert held.begun <= 1 + THREADS
    assert threads_of_torch() == [THREADS, THREADS]


def test_what_is_queued_never_begins_once_an_item_raises() -> None:
    def fail() -> None:
        held.let_go_soon()
        raise ValueError("no such image")

    held = Held(first=fail)
    with pytest.raises(ValueError, match="no such image"):
        list(mapped(lambda: held, range(100)))
    assert held.begun <= 1 + THREADS


def test_batches_are_in_order_and_the_last_one_is_what_is_left() -> None:
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert batches([], 2) == []
