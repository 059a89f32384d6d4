"""The embedded gaze predictor's training: readouts fitted to fixations by maximum likelihood.

    salvoc gaze train ~/osie ~/scene

The frozen network runs once over each image and its mirror image; what it gives is stored by content. A step then costs
milliseconds, and memory does not grow with the number of images.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from scipy.ndimage import gaussian_filter
from torch import Tensor
from tqdm import tqdm

from toolkit.attention import recordings
from toolkit.attention.readout import Readouts, features, prepared
from toolkit.attention.recordings import Recording, Viewing
from toolkit.errors import BadInput, Problem
from toolkit.files import digest, read_image, sha256, write
from toolkit.store import Store
from toolkit.tensors import arithmetic
from toolkit.workers import mapped

EPOCHS = 6
BATCH = 8
RATE, DECAY, WARM_UP = 3e-3, 1e-2, 50  # AdamW's, and its first steps
CELLS, SIGMA = 64, 4  # of the density over any image: cells along either side, and its blur in cells
UNIFORM = 0.1  # the share of that density that is the same everywhere: people do look at corners


@dataclass(frozen=True)
class View:
    """One image: its stored features, and its fixations as counts [h, w] on the cells of the density."""

    id: str
    features: Path
    counts: Tensor


def views_of(recording: Recording) -> list[View]:
    """Every image of a recording that somebody fixated; their features are computed where they are not stored yet."""
    store, items = Store("gaze/features", __name__), list(recording.viewings.items())
    found = mapped(lambda: lambda item: _view(store, *item), items)
    bar = tqdm(found, desc=f"{recording.name}: features", total=len(items), unit="image", mininterval=1)
    return [view for view in bar if view.counts.any()]


def _view(store: Store, image_id: str, viewing: Viewing) -> View:
    key = sha256(viewing.image), arithmetic()
    path = store.get(*key, make=lambda: _features(viewing.image), suffix=".safetensors")
    cells = load_file(path)["0"].shape[-2:]
    return View(image_id, path, torch.from_numpy(recordings.counts(viewing, *cells)))


def _features(image: Path) -> bytes:
    """The features of an image and of its mirror image, by stride."""
    pixels = prepared(read_image(image))
    both = features()(torch.stack([pixels, pixels.flip(-1)]))
    return save({str(n): given.half().contiguous() for n, given in enumerate(both)})


def pooled_density(sets: Sequence[Sequence[View]]) -> Tensor:
    """The density of fixations over any image, [CELLS, CELLS]: each set's own, blurred, in equal parts; symmetric."""
    total = torch.zeros(CELLS, CELLS, dtype=torch.float64)
    for views in sets:
        pooled = sum(_stretched(view.counts) for view in views)
        blurred = gaussian_filter(np.asarray(pooled), SIGMA, mode="nearest")
        total += torch.from_numpy(blurred / blurred.sum()) / len(sets)
    total = (1 - UNIFORM) * (total + total.flip(1)) / 2 + UNIFORM / total.numel()
    return total.float()


def _stretched(counts: Tensor) -> np.ndarray:
    """Counts on the image's own cells, laid over the square of the pooled density."""
    rows, columns = (np.arange(n) * CELLS // n for n in counts.shape)
    spread = np.zeros((CELLS, CELLS))
    np.add.at(spread, np.ix_(rows, columns), counts.numpy())
    return spread


def batches(views: Sequence[View], epoch: int, seed: int) -> Iterator[tuple[list[Tensor], Tensor]]:
    """One pass in a random order, half of the views mirrored: features [B, C, h, w] by stride, and counts [B, h, w]."""
    rng = np.random.default_rng((seed, epoch))
    by_size: dict[torch.Size, list[View]] = defaultdict(list)
    for index in rng.permutation(len(views)):
        by_size[views[index].counts.shape].append(views[index])
    parts = [same[start : start + BATCH] for same in by_size.values() for start in range(0, len(same), BATCH)]
    for index in rng.permutation(len(parts)):
        flips = rng.integers(2, size=len(parts[index]))
        loaded = [load_file(view.features) for view in parts[index]]
        stacked = [torch.stack([f[str(n)][flip] for f, flip in zip(loaded, flips, strict=True)]) for n in range(3)]
        counts = [view.counts.flip(1) if flip else view.counts for view, flip in zip(parts[index], flips, strict=True)]
        yield [f.float().contiguous(memory_format=torch.channels_last) for f in stacked], torch.stack(counts)


def likeliest(sets: Sequence[Sequence[View]], title: str, seed: int = 0) -> Readouts:
    """Readouts of the highest likelihood for the fixations of all sets; each image counts as one."""
    torch.manual_seed(seed)
    everything = [view for views in sets for view in views]
    readouts = Readouts(pooled_density(sets)).train()
    optimizer = torch.optim.AdamW(readouts.parameters(), RATE, weight_decay=DECAY)
    total = EPOCHS * len(everything)
    bar = tqdm(desc=title, total=total, unit="image", mininterval=1)
    done = 0
    for epoch in range(EPOCHS):
        for step, (given, counts) in enumerate(batches(everything, epoch, seed)):
            warm = min((step + 1) / WARM_UP, 1) if epoch == 0 else 1
            for group in optimizer.param_groups:
                group["lr"] = RATE * warm * 0.5 * (1 + math.cos(math.pi * done / total))
            loss = surprise(readouts(given), counts)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += len(counts)
            bar.update(len(counts))
            bar.set_postfix(bits=f"{float(loss.detach()) / math.log(2):.2f}", refresh=False)
    bar.close()
    return readouts.eval()


def surprise(members: Tensor, counts: Tensor) -> Tensor:
    """The mean over images and members of -log density at a fixation, in nats; [B, M, h, w] and [B, h, w]."""
    weights = counts / counts.sum((1, 2), keepdim=True)
    return -(members * weights[:, None]).sum((2, 3)).mean()


def fitted(sets: Sequence[Sequence[View]], title: str) -> Path:
    """The file of the readouts fitted to these views, made now if it was not there."""
    seen = [[(view.features.stem, digest(view.counts.tolist())) for view in views] for views in sets]
    store = Store("gaze", __name__)
    return store.get(seen, arithmetic(), make=lambda: _packed(likeliest(sets, title)), suffix=".safetensors")


def _packed(readouts: Readouts) -> bytes:
    """Half precision is finer than the fit is certain."""
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in readouts.state_dict().items()}
    return save(tensors)


def train(folders: Sequence[Path], out: Path) -> None:
    """Fit the embedded predictor to whole recordings and write its weights, which know what they were fitted to.

    Raises `BadInput` for a benchmark: a score on what a predictor was fitted to says nothing.
    """
    read = [recordings.with_images(folder) for folder in folders]
    mend = "fit to other recordings; `salvoc gaze evaluate` scores on this one"
    problems = [
        Problem(str(folder), f"is {recording.name}, a benchmark that nothing is fitted to", mend)
        for folder, recording in zip(folders, read, strict=True)
        if recording.benchmark
    ]
    if problems:
        raise BadInput(problems)
    path = fitted([views_of(recording) for recording in read], "gaze")
    about = {recording.name: content(recording) for recording in read}
    write(out, save(load_file(path), {"recordings": json.dumps(about)}))


def content(recording: Recording) -> str:
    """One hash for all images of a recording, by which it is known again."""
    return digest([sha256(viewing.image) for viewing in recording.viewings.values()])


def was_fitted_to(weights: Path, recording: Recording) -> bool:
    """Whether these images were among those that the weights were fitted to."""
    with safe_open(weights, "pt") as file:
        return content(recording) in json.loads(file.metadata()["recordings"]).values()
