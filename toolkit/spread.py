"""The images of a stage, a chunk at a time.

A chunk is what is computed, kept in mind and handed out at once: memory does not grow with the number of images. Here
chunks come one after the other; `toolkit.cluster` has them made side by side on the machines of a cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from tqdm import tqdm

from toolkit.workers import batches

CHUNK = 512  # images: what a GPU computes together is chosen within a chunk
Value = TypeVar("Value")
Work = Callable[[Sequence[str]], Iterable[tuple[str, Value]]]  # of a chunk's ids: each with its value, in any order


class Spread(Protocol):
    """How work is spread over images: the ids in their order, each with its value.

    `prepare` is called once by each process that takes part, before its first chunk, and gives the work. It travels to
    other machines: it holds paths and settings, and loads what is large when it is called or needed.
    """

    def __call__(
        self, prepare: Callable[[], Work[Value]], ids: Sequence[str], title: str
    ) -> Iterator[tuple[str, Value]]: ...


def here(prepare: Callable[[], Work[Value]], ids: Sequence[str], title: str) -> Iterator[tuple[str, Value]]:
    """In this process, chunk after chunk."""
    work = prepare()
    with tqdm(desc=title, total=len(ids), unit="image", mininterval=1) as bar:
        for chunk in batches(ids, CHUNK):
            values = {}
            for image_id, value in work(chunk):
                values[image_id] = value
                bar.update()
            yield from ((image_id, values[image_id]) for image_id in chunk)
