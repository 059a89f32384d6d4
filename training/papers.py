"""The study's tables 4a and 4b for a run's arms: mAP, MAE and IoU against the gaze predictor and against people.

For a page and, since they go into papers, as LaTeX: the same cells.
"""

import pandas as pd

from training.headings import headings
from training.tables import WITHOUT_DETECTOR, baseline_rows, wide

TRUTHS = {"a": ("gaze", "the gaze predictor"), "b": ("human", "people")}
SYMBOLS = {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "[-": "[$-$", ", -": ", $-$", "& -": "& $-$"}


def tables4(results: pd.DataFrame, known: pd.DataFrame) -> dict[str, tuple[str, pd.DataFrame]]:
    """By the table's name, `4a` and `4b`, its title and cells; without one whose truth is not known.

    A row an arm, below them what takes no detector; `results` and `known` as in `training.tables`.
    """
    found = {}
    for part, (truth, about) in TRUTHS.items():
        cells = wide(results, ["detection.map50", f"{truth}.mae", f"{truth}.iou"])
        if f"{truth}.iou" in cells:
            rows = pd.concat([cells, baseline_rows(known, list(cells.columns))]).fillna("")
            found[f"4{part}"] = (f"Table 4{part}: the arms, and their saliency compared with {about}", rows)
    return found


def latex(title: str, cells: pd.DataFrame, label: str) -> str:
    r"""The table for a paper that has `\usepackage{booktabs}`."""
    titled = cells.rename(columns={name: str(heading) for name, heading in headings().items()}).rename_axis(
        columns=None
    )
    styled = (
        titled.style.format(escape="latex").format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    )
    caption = f"{title.partition(': ')[2].capitalize()}. Brackets are 95\\,\\% intervals."
    text = styled.to_latex(
        hrules=True, column_format="l" + "r" * cells.shape[1], caption=caption, label=label, position_float="centering"
    )
    for symbol, written in SYMBOLS.items():
        text = text.replace(symbol, written)
    first = next((name for name in cells.index if name in WITHOUT_DETECTOR), None)
    return text.replace(f"\n{first} &", f"\n\\midrule\n{first} &") if first else text
