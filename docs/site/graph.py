"""A page's graphs, drawn as pictures when the site is built: the theme would fetch from a network what draws them.

Of Mermaid's language it knows what docs/rooms.md uses: `graph LR`, then a line `A --> B` an arrow, without cycles.
"""

import re
from html import escape
from itertools import pairwise
from statistics import mean

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

BLOCK = re.compile(r"```mermaid\ngraph LR\n(.*?)```", re.DOTALL)
ARROW = re.compile(r"^ *(\S+) --> (\S+)$", re.MULTILINE)
LETTER, HIGH, GAP, LINE = 6.7, 28, 32, 44  # pixels: a letter's width, a box's height, between columns, between rows
ROUNDS = 24  # of moving each box towards its neighbours

Way = list[tuple[str, int]]  # what an arrow passes, column by column: its ends, and between them places of its own


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return BLOCK.sub(lambda block: drawn(ARROW.findall(block[1])), markdown)


def drawn(arrows: list[tuple[str, str]]) -> str:
    """The graph as SVG, from left to right; colours are the page's own."""
    column = columns(arrows)
    ways = [way(start, end, column) for start, end in arrows]
    row = rows(ways, max(column.values()) + 1)
    widths = [max(len(n) for n, c in column.items() if c == at) * LETTER + 20 for at in range(max(column.values()) + 1)]
    left = [sum(widths[:at]) + GAP * at + 1 for at in range(len(widths))]
    top = {place: LINE * (where - min(row.values())) + HIGH / 2 + 1 for place, where in row.items()}
    paths, boxes = [], []
    for passed in ways:
        turns = f"M{left[passed[0][1]] + widths[passed[0][1]]:g} {top[passed[0]]:g}"
        for before, place in pairwise(passed):
            x, y, to, half = left[place[1]], top[before], top[place], GAP / 2
            turns += f" C{x - half:g} {y:g} {x - half:g} {to:g} {x - (6 if place == passed[-1] else 0):g} {to:g}"
            turns += "" if place == passed[-1] else f" H{x + widths[place[1]]:g}"
        paths.append(f'<path d="{turns}" marker-end="url(#tip)"/>')
    for name, at in column.items():
        x, y, wide = left[at], top[name, at], widths[at]
        boxes.append(f'<rect x="{x:g}" y="{y - HIGH / 2:g}" width="{wide:g}" height="{HIGH}" rx="4"/>')
        boxes.append(f'<text x="{x + wide / 2:g}" y="{y + 4:g}">{escape(name)}</text>')
    wide, high = left[-1] + widths[-1] + 1, max(top.values()) + HIGH / 2 + 1
    told = escape("; ".join(f"{start} to {end}" for start, end in arrows))
    tip = '<marker id="tip" viewBox="0 0 6 6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    tip += '<path d="M0 0L6 3L0 6z"/></marker>'
    size = f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}"'
    picture = f'<svg {size} role="img" aria-label="{told}">{tip}{"".join(paths + boxes)}</svg>'
    return f'<div class="graph" tabindex="0">{picture}</div>'


def columns(arrows: list[tuple[str, str]]) -> dict[str, int]:
    """How many arrows lead to each box on the longest way; where none does, it stands just before what it leads to."""
    column = {name: 0 for arrow in arrows for name in arrow}
    for _ in column:
        for start, end in arrows:
            column[end] = max(column[end], column[start] + 1)
    ends = {end for _, end in arrows}
    return {n: at if n in ends else min(column[e] for s, e in arrows if s == n) - 1 for n, at in column.items()}


def way(start: str, end: str, column: dict[str, int]) -> Way:
    between = [(f"{start} --> {end}", at) for at in range(column[start] + 1, column[end])]
    return [(start, column[start]), *between, (end, column[end])]


def rows(ways: list[Way], count: int) -> dict[tuple[str, int], float]:
    """The row of each place: towards those that it is joined to, and apart from the others of its column."""
    beside: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for passed in ways:
        for before, place in pairwise(passed):
            beside.setdefault(before, []).append(place)
            beside.setdefault(place, []).append(before)
    inside = [[place for place in beside if place[1] == at] for at in range(count)]
    row = {place: number - (len(own) - 1) / 2 for own in inside for number, place in enumerate(own)}
    for _ in range(ROUNDS):
        for own in inside:
            wanted = {place: mean(row[other] for other in beside[place]) for place in own}
            own.sort(key=lambda place: wanted[place])
            for number, place in enumerate(own):
                row[place] = max(wanted[place], row[own[number - 1]] + 1) if number else wanted[place]
            shift = mean(wanted[place] - row[place] for place in own)
            for place in own:
                row[place] += shift
    return row
