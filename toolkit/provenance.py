"""What code makes a result: the modules of this repository that its maker imports, and the libraries that compute.

Part of the key of everything that is stored, so that no store answers with what older code made, and what `dvc.yaml`
lists as a stage's dependencies (a test compares the two).
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from threading import Lock

from toolkit.files import digest

ROOT = Path(__file__).parent.parent
# Where this repository's modules lie; a package's own __init__ runs before any of them.
PACKAGES = ("commands", "toolkit", "training")
# What decides no stored byte: errors end a run, and what params say is in the key as values.
NOT_DECIDING = {"toolkit.errors", "toolkit.params"}
NOT_COMPUTING = {"defusedxml", "dvclive", "fsspec", "pydantic", "requests", "rich", "tqdm", "typer", "upath", "yaml"}
_parsing = Lock()  # Python 3.11 cannot parse in two threads at once


@cache
def code(maker: str) -> str:
    """One hash for the code that runs when the module `maker` makes something.

    It is that of the syntax trees of `modules` without docstrings, so that a comment or a new line costs nothing, and
    of the versions of Python and of the libraries that they import.
    """
    read = tuple(name for name in modules(maker) if name not in NOT_DECIDING)
    trees = [(name, ast.dump(_without_docstrings(_tree(name)))) for name in read]
    return digest(trees, sys.version_info[:2], libraries(read))


def modules(*makers: str) -> tuple[str, ...]:
    """The modules of this repository that these import, directly or not, and they themselves; sorted.

    Imports inside functions count, those for types alone (`if TYPE_CHECKING`) and those of a module that is run as a
    program (`if __name__ == "__main__"`) do not. A string that is a module's full
    name is an import too: that is how modules are chosen by name. A package's own `__init__` counts where something is
    taken from it, not where one of its modules is.
    """
    found: set[str] = set()
    todo = [*makers, *(name for name in PACKAGES if any(maker.startswith(f"{name}.") for maker in makers))]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [imported for imported in _imports(_tree(name)) if _file(imported)]
    return tuple(sorted(found))


def libraries(read: tuple[str, ...]) -> list[tuple[str, str]]:
    """The distributions and versions of what modules import from elsewhere, but for those that decide no value."""
    tops = {imported.partition(".")[0] for name in read for imported in _imports(_tree(name))}
    foreign = tops - {*PACKAGES, *sys.stdlib_module_names, *NOT_COMPUTING}
    installed = _distributions()
    return sorted({(found, version(found)) for top in foreign for found in installed.get(top, [])})


def path(module: str) -> Path:
    """A module's file, from the repository's root."""
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(f"{module} is no module of this repository")
    return file.relative_to(ROOT)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _file(module: str) -> Path | None:
    """The file of a module of this repository; None for any other text."""
    if not module.startswith(PACKAGES) or not all(map(str.isidentifier, module.split("."))):
        return None
    stem = ROOT.joinpath(*module.split("."))
    files = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    with _parsing:
        return ast.parse((ROOT / path(module)).read_text("utf-8"))


def _imports(tree: ast.AST) -> Iterator[str]:
    """The full names of what this code imports, as `modules` says, and of what it takes from there."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Compare(left=ast.Name(id="__name__"))):
                continue
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                for name in names:
                    inner = f"{module}.{name.name}"
                    yield inner if _file(inner) else module
            case ast.Constant(value=str(text)) if "." in text and _file(text):
                yield text
        yield from _imports(node)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree with every docstring empty."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            assert isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            first.value.value = ""
    return tree
