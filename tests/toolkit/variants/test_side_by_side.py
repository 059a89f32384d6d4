"""Images side by side: on one core each, but for the study's network, which takes all."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.toolkit.variants.conftest import Make
from toolkit import params, variants
from toolkit.params import Aug, Inpaint
from toolkit.variants.rules import RULES, Changed, Original
from toolkit.voc import Tree


def tell_threads_of_torch(name: str, source: str, saliency: str, out: str) -> None:
    """Make a variant of two images where torch was not imported; print what it computed on, image by image."""
    assert "torch" not in sys.modules
    rule = RULES[name]

    def telling(originals: list[Original], aug: Aug) -> list[Changed]:
        changed = rule.change(originals, aug)
        if originals:
            sys.stdout.write(f"{sys.modules['torch'].get_num_threads()}\n")  # whole: two threads tell at once
        return changed

    RULES[name] = replace(rule, change=telling)
    selection = pd.DataFrame({"id": Tree(Path(source)).ids("train")[:2], "selected": True})
    aug = params.load("presets/sample.yaml").aug
    variants.build(name, name, Tree(Path(source)), Path(saliency), selection, aug, Path(out))


@pytest.mark.parametrize("name", ["inpainting", "nontrivial"])
def test_each_image_is_computed_on_one_core_whoever_imported_torch(
    sample: Tree, saliency: Path, workplace: Path, name: str
) -> None:
    """More would round otherwise, and be slower."""
    code = f"import sys; from {__name__} import tell_threads_of_torch as tell; tell(*sys.argv[1:])"
    environment = os.environ | {"OMP_NUM_THREADS": "3", "SALVOC_STORE": str(workplace / "store")}
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(sample.root), str(saliency), str(workplace / "out")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "1"], done.stderr


def test_the_study_s_network_has_every_core_and_what_it_filled_is_kept(
    make: Make, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from toolkit.variants import study_prior

    begun, threads = 0, torch.get_num_threads()

    def fill(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
        nonlocal begun
        assert threading.current_thread() is threading.main_thread()
        assert torch.get_num_threads() == threads
        assert len(list((workplace / ".salvoc" / "variants" / "inpainting").rglob("*.json"))) == begun
        begun += 1
        if begun == 3:
            raise KeyboardInterrupt
        return np.where(hole[..., None], np.uint8(0), image)

    monkeypatch.setattr(study_prior, "fill", fill)
    with pytest.raises(KeyboardInterrupt):
        make("inpainting", inpaint=Inpaint(method="dip", preset="study"))
    assert len(list((workplace / ".salvoc" / "variants" / "inpainting").rglob("*.json"))) == 2
