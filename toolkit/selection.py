"""The train images on which the detector does not look where people look."""

import pandas as pd

from toolkit.errors import BadInput, Problem


def select(agreement: pd.DataFrame, threshold: float, against: str) -> pd.DataFrame:
    """One row a train image: `id`, `truth` (what it was judged against), `iou`, `selected`, `reason`.

    An image is selected where its IoU is below `threshold`. `against`: `human` or `gaze` attention, or `known`, which
    is human attention where there is any and a gaze predictor's elsewhere. Without a truth none is selected.
    """
    train = agreement[agreement["split"] == "train"]
    if train.empty:
        raise BadInput(Problem("train split", "has no images", "name a split with images in data.train"))
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
