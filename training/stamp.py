"""A copy of the report that names the commit and the machine it comes from, to send to somebody.

A stage runs before its commit, and the same inputs make the same page on any machine: so the page itself cannot say.
"""

import platform
import subprocess
from pathlib import Path

import pandas as pd

from toolkit import places, provenance
from toolkit.errors import BadInput, Problem
from toolkit.files import sha256, write
from toolkit.tensors import device
from training.made_of import ABOUT
from training.pages import BEGIN, END, coded, table

TITLE = "Where this copy comes from"


def build(out: Path, root: Path = Path()) -> None:
    """Write the copy to `out`, which is not there yet. `root` is the repository's.

    Raises `BadInput` without a page or a commit.
    """
    if out.exists():
        raise BadInput(Problem(str(out), "exists already", "name another file: nothing is overwritten"))
    page = root / places.STUDY / "report.html"
    if not page.exists():
        raise BadInput(Problem(str(page), "is not there", "`dvc repro report` makes it, `dvc pull` brings it"))
    known = facts(page, root)
    told = pd.DataFrame({"what": known}).rename_axis("of")
    lead = f'<a href="#copy">{TITLE}</a>'
    first = f"<p>{lead}: commit {known['commit']}; {known['changed since, and not committed']} changed since.</p>"
    text = page.read_text().replace(str(coded(ABOUT)), f"{lead} stands below.").replace(BEGIN, f"{BEGIN}\n{first}")
    write(out, text.replace(END, f'<section><h2 id="copy">{TITLE}</h2>{table(TITLE, told)}</section>\n{END}'))


def facts(page: Path, root: Path) -> dict[str, str]:
    """Commit, what is not committed, the page's hash, and the machine and libraries of now."""
    known = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    if known.returncode:
        raise BadInput(Problem(str(root.resolve()), "has no commit", "`git init && git add -A && git commit`"))
    listed = ["git", "status", "--porcelain", "--untracked-files=no"]
    changed = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    libraries = provenance.libraries(provenance.modules("training.finetune", "toolkit.saliency", "training.report"))
    return {
        "commit": known.stdout.strip(),
        "changed since, and not committed": ", ".join(line[3:] for line in changed) or "nothing",
        "page without this table, SHA-256": sha256(page),
        "machine that made this copy": f"{platform.platform()}, torch computes on {device()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries),
    }
