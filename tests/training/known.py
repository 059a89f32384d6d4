"""Scores that are known beforehand, for tables and the report."""

import numpy as np
import pandas as pd

from training.comparison import Score


def score(*values: float, images: int = 8) -> Score:
    """A score whose resamples lie .1 to either side of each seed's value."""
    return Score(np.array(values), np.array(values)[:, None] + [-0.1, 0.1], images)


def by_image(value: float) -> pd.DataFrame:
    """Eight test images that score alike."""
    known = {"human_iou": np.full(8, value), "split": "test", "main": "cat", "verdict": "right class"}
    return pd.DataFrame(known, index=[f"{n}" for n in range(8)])
