"""Images on their way through a detector, for those who explain it and those who predict with it."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from toolkit.detectors.adapter import Adapter
from toolkit.files import read_image
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree
from toolkit.workers import batches, mapped

Result = TypeVar("Result")
Examine = Callable[[Adapter, Sequence[Tensor]], Sequence[Result]]  # of images [3, H, W] in 0..1, all of one size


def through(
    adapter: Adapter, examine: Examine[Result], tree: Tree, ids: Sequence[str], among: Sequence[str], at_once: int
) -> Iterator[tuple[str, Result]]:
    """The id of each image, and what `examine` gives for it.

    A CPU gains nothing from batches, and its convolutions round differently in a batch of another size: it takes images
    one by one and in order, so that a result is the same to the last bit whatever else is computed. As many are under
    way as there are threads, each with a detector of its own: hooks cannot be shared.

    A GPU has one detector, and takes `at_once` images at once. They are batches of `among`, of which `ids` are some,
    and computed whole: how a result is rounded does not depend on which others were asked for.
    """
    if device().type == "cuda":
        yield from _in_batches(adapter, examine, tree, ids, among, at_once)
    else:
        yield from zip(ids, mapped(lambda: partial(_alone, deepcopy(adapter), examine, tree), ids), strict=True)


def _alone(adapter: Adapter, examine: Examine[Result], tree: Tree, image_id: str) -> Result:
    return examine(adapter, [to_tensor(read_image(tree.image(image_id)))])[0]


def _in_batches(
    adapter: Adapter, examine: Examine[Result], tree: Tree, ids: Sequence[str], among: Sequence[str], at_once: int
) -> Iterator[tuple[str, Result]]:
    """The GPU's way, in the order of the batches.

    The CPU's threads decode what comes next, and one thread does all the waiting for the GPU: the next batch is under
    way while the caller works on this one's results. Until the last one is out the detector is that thread's alone.
    """
    wanted = set(ids)
    todo = [batch for batch in alike(tree, among, at_once) if not wanted.isdisjoint(batch)]

    def seen(batch: Sequence[str]) -> list[tuple[str, Result]]:
        pixels = [image.to(device(), non_blocking=True) for image in islice(decoded, len(batch))]
        results = examine(adapter, [image.permute(2, 0, 1).float() / 255 for image in pixels])
        return [(image_id, result) for image_id, result in zip(batch, results, strict=True) if image_id in wanted]

    flying: deque[Future[list[tuple[str, Result]]]] = deque()
    decoding = mapped(lambda: partial(_pinned, tree), chain.from_iterable(todo))
    with closing(decoding) as decoded, ThreadPoolExecutor(1) as gpu:
        for batch in todo:
            flying.append(gpu.submit(seen, batch))
            if len(flying) > 1:
                yield from flying.popleft().result()
        for last in flying:
            yield from last.result()


def together(tree: Tree, ids: Sequence[str], at_once: int) -> dict[str, Sequence[str]]:
    """Each id with the ids that it is computed beside, itself among them; a GPU's rounding may depend on these."""
    if device().type != "cuda":
        return {image_id: [image_id] for image_id in ids}
    return {image_id: batch for batch in alike(tree, ids, at_once) for image_id in batch}


def alike(tree: Tree, ids: Sequence[str], at_once: int) -> list[Sequence[str]]:
    """The ids in batches of `at_once` at most, each of one image size, so that no image is padded to another's."""
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for image_id in ids:
        with Image.open(tree.image(image_id)) as image:
            by_size[image.size].append(image_id)
    return list(chain.from_iterable(batches(same, at_once) for same in by_size.values()))


def _pinned(tree: Tree, image_id: str) -> Tensor:
    """An image [H, W, 3] uint8, where a GPU can fetch it while the CPU goes on."""
    image = torch.from_numpy(read_image(tree.image(image_id)).copy())
    return image.pin_memory() if device().type == "cuda" else image
