"""Pictures for people: overlays of maps on images, and the scores with their intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from toolkit import maps, voc
from toolkit.files import read_image, replacing
from toolkit.shards import exists
from toolkit.voc import Tree

OPACITY, COLOURS = 0.55, "inferno"


def overlay(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """The map [h, w] in colours over the image [H, W, 3] uint8, in grey; where it is 0 that shows through darker.

    Colours of its own would read as the map's: a yellow bottle as one that is looked at.
    """
    scaled = maps.scale(heatmap, *image.shape[:2])
    colours = matplotlib.colormaps[COLOURS](scaled)[..., :3] * 255
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    return np.rint((1 - OPACITY) * grey + OPACITY * colours).astype(np.uint8)


def sheet(rows: Sequence[Mapping[str, np.ndarray]], path: Path, names: Sequence[str] = ()) -> None:
    """A contact sheet: a row an image, a column a step, titled by the first row's keys."""
    columns = list(rows[0])
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(1.9 * len(columns), 1.95 * len(rows)), squeeze=False, layout="constrained"
    )
    for r, row in enumerate(rows):
        for c, title in enumerate(columns):
            axes[r, c].imshow(row[title])
            axes[r, c].set(xticks=[], yticks=[])
            axes[r, c].set_title(title if r == 0 else "", fontsize=9)
        if names:
            axes[r, 0].set_ylabel(names[r], fontsize=7)
    _save(figure, path)


def variant_row(
    source: Tree, attention: Path, saliency: Path, variants: Mapping[str, Tree], image_id: str
) -> dict[str, np.ndarray]:
    """One train image on its way: itself with its boxes, attention, saliency, and what each variant made of it."""
    image = read_image(source.image(image_id))
    human = attention / "human" / f"{image_id}.png"
    looked = human if exists(human) else attention / "gaze" / f"{image_id}.png"
    row = {
        "image": boxed(image, source.annotation(image_id)),
        f"attention ({looked.parent.name})": overlay(image, maps.load(looked)),
        "saliency": overlay(image, maps.load(saliency / f"{image_id}.png")),
    }
    return row | {
        name: boxed(read_image(tree.image(image_id)), tree.annotation(image_id)) for name, tree in variants.items()
    }


def boxed(image: np.ndarray, annotation: Path) -> np.ndarray:
    """The image with its annotated boxes drawn in."""
    return framed(image, [known.box for known in voc.read(annotation).objects])


def framed(image: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """The image with boxes drawn in, each x0, y0, x1, y1 in pixels."""
    drawn = image.copy()
    height, width = image.shape[:2]
    thick = max(round(max(height, width) / 200), 1)
    for box in boxes:
        x0, y0, x1, y1 = (round(v) for v in box)
        inner = np.zeros((height, width), bool)
        inner[max(y0, 0) : y1, max(x0, 0) : x1] = True
        edge = inner.copy()
        edge[max(y0, 0) + thick : y1 - thick, max(x0, 0) + thick : x1 - thick] = False
        drawn[edge] = (60, 220, 120)
    return drawn


def looked(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[str],
    panels: Mapping[str, np.ndarray],
    path: Path,
    title: str,
) -> None:
    """A photo [H, W, 3] with labelled boxes [D, 4] in shares of its sides, and by its title each map [h, w] over it."""
    height, width = image.shape[:2]
    tall = float(np.clip(height / width, 0.3, 2))  # of a panel, over its width
    figure, axes = plt.subplots(
        1, 1 + len(panels), figsize=(4 * (1 + len(panels)) + 0.6, 4 * tall + 0.8), layout="constrained"
    )
    axes[0].imshow(image)
    axes[0].set_title("photo", fontsize=9)
    for number, ((x0, y0, x1, y1), label) in enumerate(
        zip(boxes * [width, height, width, height], labels, strict=True)
    ):
        colour = f"C{number % 10}"
        axes[0].add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2))
        axes[0].text(
            max(x0, 0), max(y0, 0), label, fontsize=8, color="white", va="top", clip_on=True,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    for axis, (name, heatmap) in zip(axes[1:], panels.items(), strict=True):
        axis.imshow(overlay(image, heatmap))
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    scale = plt.cm.ScalarMappable(cmap=COLOURS)
    bar = figure.colorbar(scale, ax=axes, fraction=0.02, pad=0.01, ticks=[0, 1])
    bar.set_ticklabels(["least", "most"], fontsize=8)
    figure.suptitle(title, fontsize=9)
    _save(figure, path)


def intervals(results: pd.DataFrame, metrics: Mapping[str, str], path: Path) -> None:
    """Value and 95 % interval of each metric, by its title, for every arm; `results`: arm, metric, value, lo, hi."""
    figure, axes = plt.subplots(1, len(metrics), figsize=(2.6 * len(metrics), 2.6), squeeze=False, layout="constrained")
    for axis, (metric, title) in zip(axes[0], metrics.items(), strict=True):
        rows = results[results["metric"] == metric].iloc[::-1]
        spread = np.abs(rows[["lo", "hi"]].to_numpy().T - rows["value"].to_numpy())
        axis.errorbar(rows["value"], rows["arm"], xerr=spread, fmt="o", capsize=3, color="#335c81")
        axis.set_title(title, fontsize=9)
        axis.grid(axis="x", alpha=0.3)
        axis.tick_params(labelsize=7, labelleft=axis is axes[0, 0])
    _save(figure, path)


def against_each_other(points: pd.DataFrame, truths: Mapping[str, str], path: Path) -> None:
    """A panel a truth by its title: each detector's IoU over its MAE, with their intervals; better is up and left.

    `points` has rows of the metrics `mae` and `iou`, with columns detector, truth, metric, value, lo, hi.
    """
    figure, axes = plt.subplots(1, len(truths), figsize=(4.2 * len(truths), 3.8), squeeze=False, layout="constrained")
    for axis, (truth, title) in zip(axes[0], truths.items(), strict=True):
        own = points[points["truth"] == truth]
        for number, (detector, rows) in enumerate(own.groupby("detector", sort=False)):
            (x, x_ends), (y, y_ends) = (_with_ends(rows[rows["metric"] == name]) for name in ("mae", "iou"))
            axis.errorbar(
                x, y, xerr=x_ends, yerr=y_ends, fmt="o", label=detector, capsize=2, lw=1, ms=4, color=f"C{number}"
            )
        axis.set(xlabel="MAE (less is better)", ylabel="IoU (more is better)")
        axis.set_title(title, fontsize=9)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7)
    _save(figure, path)


def _with_ends(rows: pd.DataFrame) -> tuple[float, np.ndarray]:
    """The value of the only row, and how far its interval reaches on either side, [2, 1]."""
    value, lo, hi = rows[["value", "lo", "hi"]].to_numpy(np.float64)[0]
    return value, np.array([[max(value - lo, 0)], [max(hi - value, 0)]])


def falling(curves: pd.DataFrame, shares: Sequence[float], path: Path) -> None:
    """The mean score as pixels go and as they come back, a line an order; `curves` as faithfulness' `by_image`."""
    parts = curves.groupby(["direction", "fill"], sort=False)
    figure, axes = plt.subplots(1, parts.ngroups, figsize=(3 * parts.ngroups + 1.6, 3), sharey=True, squeeze=False)
    axes = axes[0]
    steps = [0.0, *shares]
    for axis, ((direction, fill), rows) in zip(axes, parts, strict=True):
        means = rows.groupby("order", sort=False)[[f"at {share:g}" for share in steps]].mean()
        for number, (order, values) in enumerate(means.iterrows()):
            first = number == 0
            colour = "black" if first else f"C{number - 1}"
            axis.plot(np.array(steps) * 100, values, label=order, color=colour, linewidth=2.2 if first else 1)
        axis.set_title(f"{direction}, {fill}", fontsize=9)
        axis.set(xlabel="% of the pixels " + ("hidden" if direction == "deletion" else "shown"), ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("score of the object")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    _save(figure, path)


def swept(table: pd.DataFrame, names: Sequence[str], metrics: Mapping[str, str], path: Path) -> None:
    """A panel a metric by its title: over the first swept name's values, a line an arm and combination of the rest.

    `table` has columns `arm`, those `names`, and of a metric `M` itself and perhaps `M lo` and `M hi`; an arm whose
    names are `any` is a level line.
    """
    rows = -(-len(metrics) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(12, 3 * rows), squeeze=False, layout="constrained")
    level = table[names[0]].astype(str) == "any"
    ticks = list(dict.fromkeys(table.loc[~level, names[0]]))
    lines = [(str(arm), own) for arm, own in table[level].groupby("arm", sort=False)]
    for _, own in table[~level].groupby(["arm", *names[1:]], sort=False):
        settings = ", ".join(f"{name.split('.')[-1]} {own[name].iloc[0]}" for name in names[1:])
        lines.append((own["arm"].iloc[0] + (f" ({settings})" if settings else ""), own))
    for axis, (metric, title) in zip(axes.flat, metrics.items(), strict=False):
        for number, (label, own) in enumerate(lines):
            if len(own) == 1 and str(own[names[0]].iloc[0]) == "any":
                axis.axhline(own[metric].iloc[0], label=label, color=f"C{number}", linestyle="--", linewidth=1)
                continue
            at = np.array([ticks.index(value) for value in own[names[0]]]) + (number - len(lines) / 2) * 0.03
            spread = None
            if f"{metric} lo" in own:
                spread = np.abs(own[[f"{metric} lo", f"{metric} hi"]].to_numpy().T - own[metric].to_numpy())
            axis.errorbar(
                at, own[metric], yerr=spread, label=label, color=f"C{number}", marker="o", ms=3, lw=1, capsize=2
            )
        axis.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(names[0], fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(metrics) :]:
        axis.axis("off")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
