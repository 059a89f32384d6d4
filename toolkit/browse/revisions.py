"""Other states of the repository, to look at beside each other: commits and DVC experiments.

Each is checked out into `.salvoc/revisions/COMMIT`, from git and the repository's own cache; the working tree is left
as it is.
"""

import io
import subprocess
import tarfile
from pathlib import Path

from toolkit import places
from toolkit.errors import BadInput, Problem
from toolkit.files import new_folder

PLACE = Path(".salvoc") / "revisions"
WORKSPACE = "workspace"  # the working tree, as DVC calls it
# what an export leads to, and what the panel reads
WANTED = (places.FIFTYONE, places.SOURCE, places.VARIANTS, places.SALIENCY, places.AGREEMENT)


def checked_out(revision: str) -> Path:
    """The root of a revision's files: the repository's own for `workspace`.

    Raises `BadInput` for a revision that there is not, and for one whose outputs are not in the cache.
    """
    if revision == WORKSPACE:
        return Path()
    commit = _commit(revision)
    folder = PLACE / commit
    if not folder.is_dir():
        with new_folder(folder) as out:
            archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(out, filter="data")
            _fetch(revision, out)
    return folder


def _commit(revision: str) -> str:
    from dvc.repo import Repo
    from dvc.scm import RevError, resolve_rev

    with Repo() as repository:
        try:
            return str(resolve_rev(repository.scm, revision))
        except RevError:
            mend = "name a branch, a tag, a commit, or what `dvc exp list --all` or `git log` lists"
            raise BadInput(Problem("--rev", f"knows no {revision!r}", mend)) from None


def _fetch(revision: str, folder: Path) -> None:
    """Link or copy what is wanted of a revision's outputs out of the repository's cache."""
    from dvc.exceptions import CheckoutError
    from dvc.repo import Repo

    with Repo() as repository:
        cache = repository.cache.local_cache_dir
    config = {"cache": {"dir": str(Path(cache).absolute())}, "core": {"no_scm": True}}
    with Repo(str(folder), config=config) as checkout:
        made = [Path(out.fs_path) for out in checkout.index.outs if out.hash_info]
        targets = [path for path in made if any(path.is_relative_to(folder.absolute() / wanted) for wanted in WANTED)]
        if folder.absolute() / places.FIFTYONE not in targets:
            raise BadInput(
                Problem(
                    revision, f"has no {places.FIFTYONE}", "check it out, run `dvc repro browse`, and commit dvc.lock"
                )
            )
        try:
            checkout.checkout(targets=[str(target) for target in targets])
        except CheckoutError as error:
            missing = ", ".join(str((Path.cwd() / path).relative_to(folder.absolute())) for path in error.target_infos)
            mend = "`dvc pull --all-commits` fetches a commit's, `dvc exp pull REMOTE NAME` an experiment's; or run it"
            raise BadInput(Problem(revision, f"is not in the cache whole: {missing}", mend)) from None
