"""Variants of the shrunk sample: who is selected, where the detector looks, and how each is made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit import maps, variants
from toolkit.files import write
from toolkit.params import Params
from toolkit.voc import Tree

Make = Callable[..., Tree]  # of a rule, and of settings that differ from params.yaml's


@pytest.fixture
def selection(sample: Tree) -> pd.DataFrame:
    """Half of the train images."""
    ids = sample.ids("train")
    return pd.DataFrame({"id": ids, "selected": [n % 2 == 0 for n in range(len(ids))]})


@pytest.fixture
def saliency(sample: Tree, workplace: Path) -> Path:
    """A map of a few cells for every image, its top a bright blob somewhere."""
    for number, image_id in enumerate(sample.all_ids()):
        coarse = np.random.default_rng(number).random((6, 6))
        write(workplace / "saliency" / f"{image_id}.png", maps.encode(maps.normalise(coarse)))
    return workplace / "saliency"


@pytest.fixture
def make(sample: Tree, saliency: Path, selection: pd.DataFrame, settings: Params, workplace: Path) -> Make:
    def build(rule: str, **aug: object) -> Tree:
        out = workplace / "variants" / rule
        variants.build(rule, rule, sample, saliency, selection, settings.aug.model_copy(update=aug), out)
        return Tree(out)

    return build
