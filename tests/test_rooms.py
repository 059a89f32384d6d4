"""The rooms of the house: nothing imports what stands to its right, and docs/rooms.md draws them as they are.

`python -m tests.test_rooms > docs/rooms.md` draws them anew.
"""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT
from toolkit import provenance

# From left to right; the rooms of a line do not import each other.
ORDER = [
    ["toolkit/errors", "toolkit/workers", "toolkit/shards"],
    ["toolkit/params", "toolkit/files", "toolkit/tensors", "toolkit/bootstrap", "toolkit/imagenet", "toolkit/places"],
    [
        "toolkit/provenance",
        "toolkit/presets",
        "toolkit/maps",
        "toolkit/voc",
        "toolkit/spread",
        "toolkit/processes",
    ],
    [
        "toolkit/store",
        "toolkit/metrics",
        "toolkit/boxes",
        "toolkit/pictures",
        "toolkit/mongod",
        "toolkit/download",
    ],  # up to here the ground floor
    ["toolkit/attention", "toolkit/detectors"],
    ["toolkit/sources", "toolkit/pruning", "toolkit/cluster"],  # a source may ask whose gaze is known
    ["toolkit/saliency", "toolkit/agreement"],
    ["toolkit/selection", "toolkit/faithfulness", "toolkit/look"],
    ["toolkit/variants"],
    ["toolkit/browse"],  # it previews what a rule would change
    ["toolkit/export"],
    ["training"],
    ["training/gaze", "training/study"],
    ["commands"],
]
GROUND = 4
FLOOR = {room: number for number, rooms in enumerate(ORDER) for room in rooms}


def room(module: str) -> str:
    """The room that a module is in: a package's folder, else its file; `training` and `commands` are one each."""
    path = provenance.path(module).with_suffix("")
    parent = path.parent if path.name == "__init__" else path
    inside = {"toolkit": 2, "training": 2 if (ROOT / Path(*parent.parts[:2])).is_dir() else 1, "commands": 1}
    return "/".join(parent.parts[: inside[parent.parts[0]]])


def modules() -> list[str]:
    files = (file for package in ("toolkit", "training", "commands") for file in (ROOT / package).rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if name != "toolkit")  # the house itself


@cache
def arrows() -> dict[str, set[str]]:
    """Which rooms each room imports, inside functions too."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules():
        imported = {name for name in provenance._imports(provenance._tree(module)) if provenance._file(name)}
        found[room(module)] |= {room(name) for name in imported - {"toolkit"}} - {room(module)}
    return found


def behind(of: str, arrows: dict[str, set[str]]) -> set[str]:
    """All rooms that a room stands on."""
    return arrows[of].union(*(behind(below, arrows) for below in arrows[of]))


def drawn() -> str:
    """The rooms as a Mermaid graph: an arrow from each to those that import it, if no longer way says so already."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, others in arrows().items():
        found[upstairs(name)] |= {upstairs(other) for other in others} - {upstairs(name)}
    lines = ["graph LR"]
    for name in sorted(found, key=lambda name: (FLOOR.get(name, 0), name)):
        below = found[name] - set().union(*(behind(other, found) for other in found[name]))
        lines += [f"    {other} --> {name}" for other in sorted(below)]
    return "\n".join(lines)


def upstairs(name: str) -> str:
    """The room, or the ground floor as one."""
    return "ground" if FLOOR[name] < GROUND else name


def page() -> str:
    """docs/rooms.md: the picture, and of every room what its own first line says."""
    rows = []
    for name in FLOOR:
        stem = ROOT / name
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        about = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(f"| `{name}` | {about} |" if upstairs(name) == name else f"| `{name}` (ground) | {about} |")
    return f"""# The rooms

Drawn from the imports by `python -m tests.test_rooms > docs/rooms.md`; a test holds it true. An arrow leads from a room
to one that imports it, unless a longer way says so already. Nothing imports what stands to its right.

```mermaid
{drawn()}
```

| room | what it is |
| --- | --- |
{chr(10).join(rows)}
"""


def test_every_room_is_named() -> None:
    assert {room(module) for module in modules()} == set(FLOOR)


@pytest.mark.parametrize("name", FLOOR)
def test_a_room_imports_only_what_stands_to_its_left(name: str) -> None:
    assert not {other for other in arrows()[name] if FLOOR[other] >= FLOOR[name]}


def test_the_picture_is_the_real_one() -> None:
    assert (ROOT / "docs" / "rooms.md").read_text() == page()


if __name__ == "__main__":
    print(page(), end="")
