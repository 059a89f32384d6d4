"""The pages of the site: those of the repository that its navigation names, and what these lead to.

Every file keeps its place in the repository, so that a relative link leads to the same file on a git host and here: to
a Markdown file as a page, to any other (a picture, a table) as it is.
"""

import re
from pathlib import Path
from posixpath import dirname, join, normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
TARGET = re.compile(r"\]\((?!\w+:)([^)#\s]+)")  # of a link or a picture, without its anchor


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that the navigation names and all that can be reached from them."""
    waiting, seen = named(config.nav), set()
    while waiting:
        name = waiting.pop()
        if (
            name in seen or not (ROOT / name).is_file()
        ):  # a page made by another hook, or a fault for `--strict` to find
            continue
        seen.add(name)
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
        if name.endswith(".md"):
            text = FENCE.sub("", (ROOT / name).read_text("utf-8"))
            waiting += [normpath(join(dirname(name), target)) for target in TARGET.findall(text)]
    return files


def named(nav: object) -> list[str]:
    """The pages of a navigation, or of a part of it."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else []
    return [page for part in parts for page in named(part)]
