"""What a command asks before it begins."""

from collections.abc import Collection

from toolkit import params, places
from toolkit.errors import BadInput, Problem
from toolkit.params import Params


def settings() -> Params:
    """The repository's params.yaml."""
    return params.load(places.PARAMS)


def known(name: str, names: Collection[str]) -> None:
    """Refuse a name that is none of these."""
    if name not in names:
        raise BadInput(Problem("command line", f"does not know {name!r}", f"choose one of: {', '.join(names)}"))
