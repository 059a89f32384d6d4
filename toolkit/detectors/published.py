"""Weights that others publish, trained on COCO: where they are, where they lie once they are here, their classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import WeightsEnum

from toolkit.errors import BadInput, Problem
from toolkit.voc import voc_name


class Published(Protocol):
    """Weights on a server, which the library that they belong to downloads, verifies and keeps."""

    @property
    def url(self) -> str: ...

    def file(self) -> Path:
        """Where they lie once they are downloaded."""

    def load(self) -> tuple[dict[str, Tensor], list[str]]:
        """The weights, downloaded where they are not there yet, and by VOC's names the classes that they know.

        Raises `BadInput` where they cannot be had.
        """


@dataclass(frozen=True)
class Torchvision:
    """torchvision's own; a part of the file's SHA-256 is in its name."""

    weights: WeightsEnum
    unused: Sequence[str] = ()  # beginnings of names of tensors that the adapter has no use for

    @property
    def url(self) -> str:
        return str(self.weights.url)

    def file(self) -> Path:
        return checkpoints() / Path(self.url).name

    def load(self) -> tuple[dict[str, Tensor], list[str]]:
        try:
            state = self.weights.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:  # RuntimeError: of another hash, or no such file
            raise cannot_be_had(self, error) from None
        kept = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(self.unused))}
        return kept, [voc_name(name) for name in self.weights.meta["categories"][1:]]  # the first is background


def checkpoints() -> Path:
    """Where torch keeps what it downloads: below $TORCH_HOME, by default ~/.cache/torch."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def cannot_be_had(published: Published, error: Exception) -> BadInput:
    """What to say where weights cannot be downloaded, or are not what they should be."""
    mend = f"check the connection, or put the file at {published.file()} by hand, or set detector.weights to another"
    return BadInput(Problem(published.url, f"cannot be had ({error})", mend))
