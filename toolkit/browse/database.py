"""FiftyOne's database: connected to, and an export loaded into it."""

import logging
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from toolkit import mongod
from toolkit.errors import BadInput, Problem

if TYPE_CHECKING:
    import fiftyone


def connect(folder: Path | None = None) -> ModuleType:
    """FiftyOne, connected to FIFTYONE_DATABASE_URI, else to a database in `folder` (none: gone when the process ends).

    A process has one database and the first call decides: what `load` imports after a `build` goes with the process.
    """
    mongod.start(folder)
    return _fiftyone()


def project(root: Path = Path()) -> ModuleType:
    """FiftyOne, connected to the project's own database."""
    return connect(Path(os.environ.get("FIFTYONE_DATABASE_DIR", root / ".salvoc" / "fiftyone")))


def load(folder: Path, name: str, *, root: Path = Path()) -> "fiftyone.Dataset":
    """Import an export into the project's database; it replaces the dataset that has this name."""
    _check(folder)
    return _imported(project(root), folder, name, root)


def push(folder: Path, name: str, *, overwrite: bool = False, root: Path = Path()) -> int:
    """Import an export into the user's own FiftyOne; returns the number of images.

    Their database is FIFTYONE_DATABASE_URI's, else the one that FiftyOne starts by itself. Raises `BadInput` where it
    has a dataset of this name that is not to be replaced.
    """
    _check(folder)
    mongod.mongod()
    fo = _fiftyone()
    if not overwrite and fo.dataset_exists(name):
        mend = "choose another name, or let it be replaced (--overwrite)"
        raise BadInput(Problem(name, "is a dataset in your FiftyOne already", mend))
    return len(_imported(fo, folder, name, root))


def _fiftyone() -> ModuleType:
    """FiftyOne as salvoc uses it: it tells nobody, and warns of nothing that is no danger."""
    for name, value in {"DO_NOT_TRACK": "true", "DATABASE_VALIDATION": "false", "LOGGING_LEVEL": "WARNING"}.items():
        os.environ.setdefault(f"FIFTYONE_{name}", value)
    import fiftyone

    logging.getLogger("fiftyone.core.collections").addFilter(_is_no_false_alarm)
    return fiftyone


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """FiftyOne warns of what might lie in a folder that it exports to; salvoc's are new and empty."""
    return "export will be merged with existing files" not in record.getMessage()


def _check(folder: Path) -> None:
    if not (folder / "samples.json").is_file():
        raise BadInput(Problem(str(folder), "is not an export for FiftyOne", "run `dvc repro` or `dvc pull`"))


def _imported(fo: ModuleType, folder: Path, name: str, root: Path) -> "fiftyone.Dataset":
    return fo.Dataset.from_dir(
        str(folder),
        fo.types.FiftyOneDataset,
        name=name,
        overwrite=True,
        persistent=True,
        rel_dir=str(root.absolute()),
        progress=True,
    )
