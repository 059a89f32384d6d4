"""The comparison's report: tables as CSV and Markdown, a scatter of MAE against IoU, a contact sheet a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from toolkit import maps, pictures, places
from toolkit.agreement import TRUTHS
from toolkit.attention import PREDICTORS
from toolkit.files import read_image, write
from toolkit.metrics import PEOPLE
from toolkit.params import Params
from toolkit.shards import exists
from toolkit.voc import Tree
from training import gallery
from training.pages import Block, Figure, Section, html, markdown
from training.study import tables
from training.study.tables import TRIVIAL, UNTRAINED, Look

TITLE = "Which detectors look where people look?"
PICTURED = 6  # images in a contact sheet
ABOUT = (
    "Brackets are 95 % bootstrap intervals over the images; an arrow says which way a score is better. *By chance*: "
    "the map's own values at random places. The last rows take no detector. {trivial}. {people}"
)
MARKED = (
    f"Detectors marked *{UNTRAINED}* have learned nothing: their rows show that all runs, and are no results. A "
    "checkpoint is believed to be of a trained one."
)
BOXES = (
    "In and around the box that people looked at: of the detections the smallest box that holds half of their "
    "attention. The method's map of that detection alone, over the box and half of its size on each side."
)


def build(params: Params, missing: Mapping[str, str], out: Path, root: Path = Path()) -> str:
    """Write tables and pictures of all that was looked at into `out`; returns the tables as Markdown.

    `missing` says of a detector that could not be looked with why. `root` is the repository's.
    """
    blocks: list[Block] = [_about(params)]
    blocks += [f"`{name}` is left out: {why}" for name, why in missing.items()]
    rows: list[pd.DataFrame] = []
    drawn: dict[str, str] = {}
    for dataset, images in params.study.datasets.items():
        folder = root / places.COMPARED / dataset
        looks = [
            tables.read(folder / "looks" / name)
            for name in params.study.detectors
            if name not in missing and (folder / "looks" / name).is_dir()
        ]
        if not looks:
            continue
        if not all(look.trained for look in looks) and MARKED not in blocks:
            blocks.append(MARKED)
        source = Tree(folder / "source")
        for truth, title in TRUTHS.items():
            for part, about in (("", ""), ("box_", ", inside and around the box that people looked at")):
                table = tables.agreement(looks, truth, params.score, part)
                if not table.empty:
                    rows.append(table.assign(dataset=dataset, truth=truth, part=part.strip("_") or "image"))
                    read = tables.shown(table, looks, truth, part, images.published)
                    blocks.append((f"{dataset}: agreement of saliency with {title}{about}", read))
                if part and not table.empty and BOXES not in blocks:
                    blocks.append(BOXES)
        blocks.append(
            (f"{dataset}: what is found", tables.detections(looks, source, params.data.classes, params.score))
        )
        believed = _believed(folder / "tested", params)
        if not believed.empty:
            blocks.append((f"{dataset}: which map may one believe?", believed))
        drawn |= _pictures(dataset, folder, looks, rows, out)
    if not rows:
        blocks.append("Nothing has been looked at yet.")
    else:
        pd.concat(rows, ignore_index=True).to_csv(out / "agreement.csv", index=False, float_format="%.4f")
    shown = [Figure(title, [gallery.whole(out / file, title)]) for file, title in drawn.items()]
    sections = [Section("Compared", blocks), *([Section("Pictures", shown)] if shown else [])]
    text = markdown(TITLE, sections)
    write(out / "results.md", text)
    write(out / "report.html", html(TITLE, sections))
    return text


def _about(params: Params) -> str:
    predictor = params.attention.predictor
    trivial = "; ".join(f"{name}: {about}" for name, about in TRIVIAL.items())
    people = f"people: {PEOPLE}, where they are known apart."
    about = f" The gaze predictor is `{predictor}` ({PREDICTORS[predictor].about})."
    return ABOUT.format(trivial=trivial, people=people) + about


def _believed(folder: Path, params: Params) -> pd.DataFrame:
    """The tables of `believed.build` under one another, where any was made."""
    files = {name: folder / f"{name}.csv" for name in params.study.detectors}
    parts = [pd.read_csv(file).fillna("").assign(detector=name) for name, file in files.items() if file.exists()]
    return pd.concat(parts, ignore_index=True).set_index("detector") if parts else pd.DataFrame()


def _pictures(
    dataset: str, folder: Path, looks: Sequence[Look], rows: Sequence[pd.DataFrame], out: Path
) -> dict[str, str]:
    """Draw a data set's pictures; gives each file with its title."""
    source, method = Tree(folder / "source"), str(looks[0].agreement["method"].iloc[0])
    whole = pd.concat([table for table in rows if table["dataset"].iloc[0] == dataset])
    points = whole[(whole["part"] == "image") & (whole["method"] == method) & whole["metric"].isin(["mae", "iou"])]
    titles = {t: f"{name} ({method})" for t, name in TRUTHS.items() if t in set(points["truth"])}
    pictures.against_each_other(points, titles, out / f"{dataset}_scatter.png")
    ids = sorted(looks[0].agreement["id"].unique())[:PICTURED]
    sheet = []
    for image_id in ids:
        image = read_image(source.image(image_id))
        row = {"image": pictures.boxed(image, source.annotation(image_id))}
        for truth, title in TRUTHS.items():
            path = folder / "attention" / truth / f"{image_id}.png"
            if exists(path):
                row[title] = pictures.overlay(image, maps.load(path))
        for look in looks:
            heatmap = folder / "looks" / look.name / "heatmaps" / method / f"{image_id}.png"
            row[look.label.replace(" (", "\n(")] = pictures.overlay(image, maps.load(heatmap))
        sheet.append(row)
    pictures.sheet(sheet, out / f"{dataset}_maps.png", ids)
    return {
        f"{dataset}_scatter.png": f"{dataset}: MAE against IoU ({method})",
        f"{dataset}_maps.png": f"{dataset}: where people and detectors look ({method})",
    }
