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


def text(folder: Path, name: str, path: str | None = None) -> str:
    """The params file of a preset, `data.path` set where `path` is given; the comments of `sample.yaml` stay."""
    yaml = YAML()
    yaml.width = 1000  # no line is broken anew
    yaml.preserve_quotes = True
    values = yaml.load(folder / f"{BASE}.yaml")
    if name != BASE:
        _change(values, yaml.load(folder / f"{name}.yaml"))
    if path is not None:
        values["data"]["path"] = str(Path(path).expanduser())
    written = StringIO()
    yaml.dump(values, written)
    return written.getvalue()


def _change(values: MutableMapping[str, Any], changes: MutableMapping[str, Any]) -> None:
    """Change values in place, which is what keeps their comments; what is changed to null goes."""
    for key, change in changes.items():
        if change is None:
            del values[key]
        elif isinstance(change, MutableMapping) and key in values:
            _change(values[key], change)
        else:
            values[key] = change
