"""Images side by side: as many at a time as there are threads, each computed on one.

That is faster than one image on many threads (the parts of a small network are too short to be shared out), gives way
to other processes, and rounds the same however many threads there are.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import local
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # items in flight for each thread: results wait for the slowest, memory stays bounded


def mapped(prepare: Callable[[], Callable[[Item], Result]], items: Iterable[Item]) -> Generator[Result]:
    """The results for all items, in order.

    `prepare` is called once by each thread and gives the function that this thread works with, so that what cannot be
    shared (a model with hooks) is its own. Where an item raises or the consumer stops, what has not begun never begins.
    """
    threads, own = _threads(), local()

    def work(item: Item) -> Result:
        if not hasattr(own, "function"):
            own.function = prepare()
        return own.function(item)

    flying: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=_set_threads, initargs=(1,))
    try:
        for item in items:
            flying.append(pool.submit(work, item))
            if len(flying) >= AHEAD * threads:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        _set_threads(threads)


def _threads() -> int:
    """How many threads torch uses, where it is imported; else how many cores there are. It takes seconds to import."""
    return sys.modules["torch"].get_num_threads() if "torch" in sys.modules else os.cpu_count() or 1


def _set_threads(count: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in order, `size` at a time; the last batch may be smaller."""
    return [items[start : start + size] for start in range(0, len(items), size)]
