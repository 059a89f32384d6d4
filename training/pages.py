"""A report's paragraphs and tables, as Markdown for a terminal and as a page with pictures."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup, escape

from training.headings import headings

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>salvoc: results</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; white-space: nowrap }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left } img { max-width: 100% }
</style></head><body><h1>Results</h1>
{% for title, text in blocks %}
{% if title %}<h2>{{ title }}</h2>{{ text }}{% else %}<p>{{ text }}</p>{% endif %}
{% endfor %}
{% for file, title in pictures.items() %}<h2>{{ title }}</h2><img src="{{ file }}" alt="{{ title }}">{% endfor %}
</body></html>
"""
Block = str | tuple[str, pd.DataFrame]  # of a report: a paragraph, or a title and its table


def markdown(blocks: Sequence[Block]) -> str:
    """The blocks for a terminal or a README."""
    titles = {name: str(heading) for name, heading in headings().items()}
    parts = ["# Results"]
    for block in blocks:
        if isinstance(block, str):
            parts.append(block)
        else:
            parts.append(f"## {block[0]}\n\n{block[1].rename(columns=titles).to_markdown(floatfmt='.3f')}")
    return "\n\n".join(parts) + "\n"


def html(blocks: Sequence[Block], pictured: Mapping[str, str]) -> str:
    """The same with pictures, file and title each, as one page beside them."""
    titles = {name: str(heading) for name, heading in headings().items()}
    template = Environment(autoescape=True).from_string(PAGE)
    coded = [
        ("", _coded(block)) if isinstance(block, str)
        else (_coded(block[0]), Markup(block[1].rename(columns=titles).to_html(border=0)))
        for block in blocks
    ]  # fmt: skip
    return template.render(blocks=coded, pictures=pictured)


def _coded(text: str) -> Markup:
    """Text for a page, with code where Markdown has it."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
