"""Images on their way through a detector, for those who explain it and those who evaluate it."""

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
from torchvision.models.detection import FasterRCNN

from toolkit.files import read_image
from toolkit.tensors import device, to_tensor
from toolkit.voc import Tree
from toolkit.workers import mapped

Result = TypeVar("Result")
Look = Callable[[FasterRCNN, Sequence[Tensor]], Sequence[Result]]  # at images [3, H, W] in 0..1, all of one size


def through(
    model: FasterRCNN, look: Look[Result], tree: Tree, ids: Sequence[str], among: Sequence[str], at_once: int
) -> Iterator[tuple[str, Result]]:
    """The id of each image, and what `look` sees in it.

    A CPU gains nothing from batches, and its convolutions round differently in a batch of another size: it takes images
    one by one and in order, so that a result is the same to the last bit whatever else is computed. As many are under
    way as there are threads, each with a model of its own: hooks cannot be shared.

    A GPU has one model, and takes `at_once` images at once. They are batches of `among`, of which `ids` are some, and
    computed whole: how a result is rounded does not depend on which others were asked for.
    """
    if device().type == "cuda":
        yield from _in_batches(model, look, tree, ids, among, at_once)
    else:
        yield from zip(ids, mapped(lambda: partial(_alone, deepcopy(model), look, tree), ids), strict=True)


def _alone(model: FasterRCNN, look: Look[Result], tree: Tree, image_id: str) -> Result:
    return look(model, [to_tensor(read_image(tree.image(image_id)))])[0]


def _in_batches(
    model: FasterRCNN, look: Look[Result], tree: Tree, ids: Sequence[str], among: Sequence[str], at_once: int
) -> Iterator[tuple[str, Result]]:
    """The GPU's way, in the order of the batches.

    The CPU's threads decode what comes next, and one thread does all the waiting for the GPU: the next batch is under
    way while the caller works on this one's results. Until the last one is out the model is that thread's alone.
    """
    wanted = set(ids)
    todo = [batch for batch in batches(tree, among, at_once) if not wanted.isdisjoint(batch)]

    def seen(batch: list[str]) -> list[tuple[str, Result]]:
        pixels = [image.to(device(), non_blocking=True) for image in islice(decoded, len(batch))]
        results = look(model, [image.permute(2, 0, 1).float() / 255 for image in pixels])
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


def together(tree: Tree, ids: Sequence[str], at_once: int) -> dict[str, list[str]]:
    """Each id with the ids that it is computed beside, itself among them; a GPU's rounding may depend on these."""
    if device().type != "cuda":
        return {image_id: [image_id] for image_id in ids}
    return {image_id: batch for batch in batches(tree, ids, at_once) for image_id in batch}


def batches(tree: Tree, ids: Sequence[str], at_once: int) -> list[list[str]]:
    """The ids in batches of `at_once` at most, each of one image size, so that no image is padded to another's."""
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for image_id in ids:
        with Image.open(tree.image(image_id)) as image:
            by_size[image.size].append(image_id)
    return [same[i : i + at_once] for same in by_size.values() for i in range(0, len(same), at_once)]


def _pinned(tree: Tree, image_id: str) -> Tensor:
    """An image [H, W, 3] uint8, where a GPU can fetch it while the CPU goes on."""
    image = torch.from_numpy(read_image(tree.image(image_id)).copy())
    return image.pin_memory() if device().type == "cuda" else image
