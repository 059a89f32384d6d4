"""Notebooks as pages: their text, their code, and what it printed and drew when last run (a test runs it anew)."""

import re
from base64 import b64decode
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of each notebook of docs/, and its pictures."""
    for path in sorted((ROOT / "docs").glob("*.ipynb")):
        parts: list[str] = []
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                kind = next((kind for kind in PICTURES if kind in data), None)
                if kind:
                    name = f"{path.stem}-{number}.{PICTURES[kind]}"
                    files.append(File.generated(config, f"docs/{name}", content=b64decode(data[kind])))
                    parts.append(f"![What the code above draws]({name})")
                elif text := output.get("text") or data.get("text/plain"):
                    parts.append(f"```text\n{text.rstrip()}\n```")
        files.append(File.generated(config, f"docs/{path.stem}.md", content="\n\n".join(parts)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead to the page of a notebook where a git host shows the notebook itself."""
    return re.sub(r"(\]\([\w/.]+)\.ipynb\)", r"\1.md)", markdown)
