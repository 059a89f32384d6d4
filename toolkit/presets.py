"""Presets: whole params files, each told by what differs from `sample.yaml`."""

from collections.abc import MutableMapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

BASE = "sample"


def names(folder: Path) -> list[str]:
    """The presets that there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def text(folder: Path, name: str, path: str | None = None, human: str | None = None) -> str:
    """The params file of a preset; `path` and `human` are data.path and attention.human, where they are given.

    The comments of `sample.yaml` stay.
    """
    yaml = YAML()
    yaml.width = 1000  # no line is broken anew
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    values = yaml.load(folder / f"{BASE}.yaml")
    if name != BASE:
        _change(values, yaml.load(folder / f"{name}.yaml"))
    for section, key, given in (("data", "path", path), ("attention", "human", human)):
        if given is not None:
            values[section][key] = str(Path(given).expanduser())
    written = StringIO()
    yaml.dump(values, written)
    return written.getvalue()


def _change(values: MutableMapping[str, Any], changes: MutableMapping[str, Any]) -> None:
    """Change values in place, which is what keeps their comments; what is changed to null goes."""
    for key, change in changes.items():
        if change is None:
            del values[key]
        elif isinstance(change, MutableMapping) and isinstance(values.get(key), MutableMapping):
            _change(values[key], change)
        else:
            values[key] = change
