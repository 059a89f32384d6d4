"""A report's figures as pure functions: small panels, each as SVG for a page of either theme, or all as one PNG.

A panel is as wide as a telephone: a page sets several side by side where there is room. In SVG the ink is the page's
own (`currentColor`) and the two hues are its variables: a figure follows the page into the dark. Text stays text.
The hues are Okabe and Ito's, which people with any colour vision tell apart, darkened where white would swallow them;
a mark's form says the same.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.files import replacing

WIDTH = 3.4  # inches of a panel; at 9 points its text is read on a telephone
ACROSS = 3  # panels of a PNG's row
ROW = 0.25  # inches of an arm or a class
INK, GOOD, BAD = "#1f2328", "#0072b2", "#b84a00"
THEMED = {INK: "currentColor", GOOD: "var(--good)", BAD: "var(--bad)"}  # in a page
# One of these an arm: its form tells it where two hues look alike. They stand out from white and from black.
MARKS = [
    ("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#c0639a", "D"), ("#b87d00", "v"), ("#2f8fc4", "P"),
    ("#8c6bb1", "X"), ("#7f7f7f", "<"),
]  # fmt: skip
STYLE: dict[Any, object] = {
    "font.size": 9, "axes.titlesize": 9, "font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "salvoc",
    "axes.spines.top": False, "axes.spines.right": False, "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8,
    "ytick.labelsize": 9, "axes.labelsize": 8, "legend.fontsize": 8, "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A title, what it shows in words, its height in inches, and what draws it into axes."""

    title: str
    says: str
    height: float
    draw: Callable[[Axes], None]


def forest(gaps: pd.DataFrame, titles: Mapping[str, tuple[str, bool]], shown: Sequence[tuple[str, str]]) -> list[Panel]:
    """A panel a metric: of each arm its difference to `none` and the interval, a row an arm.

    `gaps` as `training.tables.differences`; `titles`: a metric's title and whether more is better; `shown`: the
    arms and metrics whose difference is one. The band is the smallest difference that would have shown in every row.
    """
    panels = []
    for metric, (title, more) in titles.items():
        rows = gaps[gaps["metric"] == metric].dropna(subset="value")
        each = [f"{r.arm} {r.value:+.3f}, from {r.lo:+.3f} to {r.hi:+.3f}" for r in rows.itertuples()]
        band = float(rows["detectable"].max())
        says = f"{title}, difference to none: {'; '.join(each)}."
        says += "" if np.isnan(band) else f" A difference of {band:.3f} would have shown in every row."
        known = {arm for arm, name in shown if name == metric}
        panels.append(Panel(title, says, 0.95 + ROW * len(rows), _forest(rows, known, band, more)))
    return panels


def _forest(rows: pd.DataFrame, shown: set[str], band: float, more: bool) -> Callable[[Axes], None]:
    def draw(axis: Axes) -> None:
        if not np.isnan(band):
            axis.axvspan(-band, band, color=INK, alpha=0.1, linewidth=0)
        axis.axvline(0, color=INK, linewidth=0.8)
        for at, row in enumerate(rows.to_dict("records")):
            hue = INK if row["arm"] not in shown else GOOD if (row["value"] > 0) == more else BAD
            axis.plot([row["lo"], row["hi"]], [at, at], color=hue, linewidth=1.6, solid_capstyle="butt")
            mark = ("D" if hue == GOOD else "s") if row["arm"] in shown else "o"
            axis.plot(row["value"], at, mark, color=hue, markersize=5.5, fillstyle="full" if hue != INK else "none")
        axis.set_yticks(range(len(rows)), list(rows["arm"]))
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlabel("better →" if more else "← better", loc="right" if more else "left")
        axis.locator_params(axis="x", nbins=5)
        axis.tick_params(axis="y", length=0)

    return draw


def training(losses: Mapping[str, Mapping[str, pd.Series]], reference: str) -> list[Panel]:
    """A panel an arm: its training loss by step, a line a seed, over the mean of the reference arm's, dashed.

    `losses`: by arm and seed the loss, indexed by step.
    """
    top = max(float(loss.max()) for seeds in losses.values() for loss in seeds.values())
    mean = pd.concat(losses[reference], axis=1).mean(axis=1) if reference in losses else pd.Series(dtype=float)
    panels = []
    for arm, seeds in losses.items():
        ends = ", ".join(f"{seed}: {loss.iloc[0]:.2f} to {loss.iloc[-1]:.2f}" for seed, loss in seeds.items())
        says = f"Training loss of {arm}, over {next(iter(seeds.values())).index.max() + 1} steps; {ends}."
        panels.append(Panel(arm, says, 1.7, _curves(seeds, mean if arm != reference else mean[:0], top, reference)))
    return panels


def _curves(seeds: Mapping[str, pd.Series], mean: pd.Series, top: float, reference: str) -> Callable[[Axes], None]:
    def draw(axis: Axes) -> None:
        for loss in seeds.values():
            axis.plot(loss.index, loss, color=GOOD, linewidth=0.9)
        if len(mean):
            axis.plot(mean.index, mean, color=INK, linewidth=0.9, linestyle="--", label=reference)
            axis.legend(loc="upper right")
        axis.set(xlabel="step", ylabel="loss", ylim=(0, top * 1.2))

    return draw


def per_class(precision: pd.DataFrame, title: str) -> Panel:
    """A row a class, a mark an arm: average precision; `precision` [classes, arms], classes without objects are NaN."""
    known = precision.dropna(how="all")
    means = known.mean()
    says = (
        f"{title}, over {len(known)} classes. Mean: "
        + ", ".join(f"{arm} {mean:.3f}" for arm, mean in means.items())
        + "."
    )

    def draw(axis: Axes) -> None:
        for at in range(len(known)):
            axis.axhline(at, color=INK, alpha=0.15, linewidth=0.8)
        for number, arm in enumerate(known):
            hue, mark = MARKS[number % len(MARKS)]
            shift = (number - (known.shape[1] - 1) / 2) * 0.5 / known.shape[1]
            axis.plot(known[arm], np.arange(len(known)) + shift, mark, color=hue, markersize=4, label=arm, alpha=0.9)
        axis.set_yticks(range(len(known)), list(known.index))
        axis.set(ylim=(len(known) - 0.5, -0.5), xlim=(-0.03, 1.03))
        axis.tick_params(axis="y", length=0)
        axis.legend(loc="upper center", bbox_to_anchor=(0.35, -0.05), ncols=2, handletextpad=0.2, columnspacing=1)

    return Panel(title, says, 0.6 + 0.22 * len(known) + 0.2 * -(-known.shape[1] // 2), draw)


def histogram(iou: np.ndarray, threshold: float, title: str) -> Panel:
    """How many train images have which IoU, [n], with the threshold below which they are selected."""
    below = int((iou < threshold).sum())
    says = f"{title}: {below} of {len(iou)} train images below the threshold of {threshold:g}"
    says += f"; median {np.median(iou):.3f}." if len(iou) else "."

    def draw(axis: Axes) -> None:
        edges = np.linspace(0, 1, 41)
        counts, _ = np.histogram(iou, edges)
        hues = [BAD if right <= threshold + 1e-9 else INK for right in edges[1:]]
        axis.bar(edges[:-1], counts, width=1 / 40, align="edge", color=hues, alpha=0.75, linewidth=0)
        axis.axvline(threshold, color=BAD, linestyle="--", linewidth=1.2)
        axis.annotate(
            f"{below} below {threshold:g}", (threshold, 1), xycoords=("data", "axes fraction"),
            xytext=(4, -9), textcoords="offset points", color=BAD, fontsize=8,
        )  # fmt: skip
        axis.set_ylim(0, max(counts.max() * 1.2, 1))
        axis.set(xlabel="IoU of the top 10 %", ylabel="train images", xlim=(0, max(float(iou.max(initial=0)), 0.5)))

    return Panel(title, says, 2.0, draw)


def stacked(counts: pd.DataFrame, title: str) -> Panel:
    """A row a line of the table, a bar of as many parts as it has columns, with its numbers; `counts` [rows, parts]."""
    each = "; ".join(
        f"{name}: " + ", ".join(f"{n:g} {part}" for part, n in row.items()) for name, row in counts.iterrows()
    )

    def draw(axis: Axes) -> None:
        left = np.zeros(len(counts))
        for number, part in enumerate(counts):
            hue = MARKS[number % len(MARKS)][0]
            axis.barh(
                range(len(counts)), counts[part], left=left, height=0.7, label=part, color=hue,
                edgecolor="white", linewidth=0.6,
            )  # fmt: skip
            left += counts[part].to_numpy(np.float64)
        axis.set_yticks(range(len(counts)), [str(name) for name in counts.index])
        axis.set_ylim(len(counts) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.legend(loc="upper center", bbox_to_anchor=(0.35, -0.12), ncols=3, handlelength=1, columnspacing=1)

    return Panel(title, f"{title}. {each}.", 0.8 + ROW * len(counts) + 0.2 * -(-counts.shape[1] // 3), draw)


def svg(panel: Panel, name: str) -> str:
    """The panel as an SVG element whose ids begin with `name`, the same bytes for the same panel."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, panel.height), layout="constrained")
        panel.draw(figure.subplots())
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([\w.-]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    for colour, themed in THEMED.items():
        text = text.replace(colour, themed)
    text = re.sub(r" font-family: 'DejaVu Sans';|(?<=<svg)( xmlns:xlink=\S+| width=\S+| height=\S+)+", "", text)
    return re.sub(r"\s*\n\s*", "\n", text)


def png(panels: Sequence[Panel], path: Path) -> None:
    """All panels in one picture on white, for DVC's plots."""
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context(STYLE), replacing(path) as partial:
        height = max(panel.height for panel in panels) + 0.2
        figure = Figure(figsize=(WIDTH * across, height * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flat
        for axis, panel in zip(axes, panels, strict=False):
            panel.draw(axis)
            axis.set_title(panel.title, loc="left", fontweight="bold")
        for axis in list(figure.axes)[len(panels) :]:
            axis.axis("off")
        figure.savefig(partial, dpi=110, format="png", metadata={"Software": None})
