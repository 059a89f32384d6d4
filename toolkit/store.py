"""Finished work by content: what the same code made once from the same input and settings is never made again."""

import os
from collections.abc import Callable
from pathlib import Path

from toolkit.files import digest, repository, write
from toolkit.provenance import code


def home() -> Path:
    """The folder that all stores are in, of the outer repository where DVC works in a checkout of its own."""
    return Path(os.environ.get("SALVOC_STORE", repository() / ".salvoc"))


class Store:
    """One kind of finished work, by what it was made of.

    It survives a kill and a change of parameters, and lies outside the stages' outputs, which DVC removes before a run.
    The key has the code of `maker`, the module that makes the work, with all that it imports: work of older code is not
    found. Delete the folder at will: the next run makes again what it needs; `salvoc store` prunes it.
    """

    def __init__(self, kind: str, maker: str) -> None:
        self.root, self.maker = home() / kind, maker

    def path(self, *made_of: object, suffix: str = ".png") -> Path:
        """Where the work made of these values, by the code as it is now, lies or will lie."""
        key = digest(code(self.maker), *made_of)
        return self.root / key[:2] / f"{key}{suffix}"

    def get(self, *made_of: object, make: Callable[[], bytes], suffix: str = ".png") -> Path:
        """The stored file of the work made of these values, made now if it is not there."""
        path = self.path(*made_of, suffix=suffix)
        if not path.exists():
            write(path, make())
        return path
