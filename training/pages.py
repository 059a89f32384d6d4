"""A report's sections of paragraphs, tables and figures, as Markdown for a terminal and as one page with all inside."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup, escape

from training.figures import Panel, svg
from training.headings import headings

BEGIN, END = '<main id="main">', "</main>"  # of a page's sections


@dataclass(frozen=True)
class Figure:
    """What a page alone shows: a title, its elements, and a sentence on how to read it."""

    title: str
    elements: Sequence[Markup]
    about: str = ""


Block = str | tuple[str, pd.DataFrame] | Figure  # a paragraph, a title and its table, or a figure


@dataclass(frozen=True)
class Section:
    """Blocks under one title; a page shows a folded one's when it is asked to."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The sections for a terminal or a README, without figures."""
    parts = [f"# {title}"]
    for section in sections:
        blocks = [block for block in section.blocks if not isinstance(block, Figure)]
        parts += [f"## {section.title}"] if blocks else []
        for block in blocks:
            if isinstance(block, str):
                parts.append(block)
            else:
                parts.append(f"### {block[0]}\n\n{_titled(block[1]).to_markdown(floatfmt='.3f')}")
    return "\n\n".join(parts) + "\n"


def html(title: str, sections: Sequence[Section]) -> str:
    """The same with its figures: a page that asks nothing of any network."""
    return _template().render(title=title, sections=sections)


def table(title: str, cells: pd.DataFrame) -> Markup:
    """One table as a page has it."""
    return Markup(_template().module.table(title, cells))  # type: ignore[attr-defined]


def _template() -> Template:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(Path(__file__).parent)
    )
    environment.filters |= {"coded": coded, "read": _read, "anchor": _anchor, "titled": _titled}
    environment.tests |= {"figure": lambda block: isinstance(block, Figure)}
    return environment.get_template("page.html")


def drawn(panels: Mapping[str, Panel]) -> list[Markup]:
    """Panels by the name that their ids begin with, each an element of a figure with what it says in words."""
    element = Markup('<div class="panel"><h3>{title}</h3>{svg}</div>')
    return [
        element.format(
            title=panel.title,
            svg=Markup(
                svg(panel, name).replace("<svg", Markup('<svg role="img" aria-label="{}"').format(panel.says), 1)
            ),
        )
        for name, panel in panels.items()
    ]


def _titled(table: pd.DataFrame) -> pd.DataFrame:
    """With the scores' headings, and each column in its own type row by row."""
    return table.rename(columns={name: str(heading) for name, heading in headings().items()}).astype(object)


def coded(text: object) -> Markup:
    """Text for a page, with code, bold and italic type where Markdown has them."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
    italic = re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", bold)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", italic))


def _read(cell: object) -> Markup:
    """A table's cell; nothing for what is not known."""
    return coded("" if pd.isna(cell) else f"{cell:.3f}") if isinstance(cell, float) else coded(cell)


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")
