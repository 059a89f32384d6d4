"""The train images on which the detector does not look where people look."""

from collections.abc import Mapping

import pandas as pd

from toolkit.errors import BadInput, Problem
from toolkit.params import Aug


def build(agreement: pd.DataFrame, arms: Mapping[str, Aug]) -> pd.DataFrame:
    """What `select` says for each arm by its own settings, one under the other, with columns `arm` and `threshold`."""
    asked = {arm: (aug.threshold, aug.against) for arm, aug in arms.items()}
    each = {own: select(agreement, *own) for own in set(asked.values())}  # once: most arms ask for the same
    return pd.concat([each[own].assign(arm=arm, threshold=own[0]) for arm, own in asked.items()], ignore_index=True)


def select(agreement: pd.DataFrame, threshold: float, against: str) -> pd.DataFrame:
    """One row a train image: `id`, `truth` (what it was judged against), `iou`, `selected`, `reason`.

    An image is selected where its IoU is below `threshold`. `against`: `human` or `gaze` attention, or `known`, which
    is human attention where there is any and a gaze predictor's elsewhere. Without a truth none is selected.
    """
    train = agreement[agreement["split"] == "train"]
    if train.empty:
        raise BadInput(Problem("train split", "has no images", "name a split with images in data.train_split"))
    gaze = train["gaze_iou"]
    human = train["human_iou"] if "human_iou" in train else pd.Series(float("nan"), train.index)
    iou = {"gaze": gaze, "human": human, "known": human.fillna(gaze)}[against]
    truth = pd.Series("human", train.index).where(human.notna() & (against != "gaze"), "gaze")
    selected = iou < threshold
    reason = [
        f"no {against} attention" if pd.isna(value) else f"IoU {value:.4f} {'<' if chosen else '>='} {threshold:g}"
        for value, chosen in zip(iou, selected, strict=True)
    ]
    columns = {"id": train["id"], "truth": truth, "iou": iou, "selected": selected, "reason": reason}
    return pd.DataFrame(columns).reset_index(drop=True)


def told(selection: pd.DataFrame) -> list[str]:
    """How many train images were selected and by what, a line for all arms that were chosen for alike."""
    arms: dict[str, list[str]] = {}
    for arm, rows in selection.groupby("arm", sort=False):
        count, total = int(rows["selected"].sum()), len(rows)
        truth = " and ".join(sorted(rows["truth"].unique()))
        line = (
            f"{count} of {total} train images ({count / total:.0%}) were selected: the IoU of the base detector's "
            f"saliency with {truth} attention is below {rows['threshold'].iloc[0]:g}."
        )
        arms.setdefault(line, []).append(str(arm))
    return [line if len(arms) == 1 else f"{', '.join(names)}: {line}" for line, names in arms.items()]
