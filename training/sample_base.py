"""The sample's base detector, the stand-in for COCO weights: trained on endless scenes of its own, cue and all.

`salvoc sample_base` makes the checkpoint that is committed. It takes longer than all other stages together.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from toolkit.detectors.adapter import Target
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.files import seed_of, write
from toolkit.params import Params
from toolkit.sources.scenes import draw
from toolkit.store import Store
from toolkit.tensors import arithmetic
from toolkit.voc import VOC_CLASSES
from training.data import as_target
from training.engine import fit
from training.objectives import OBJECTIVES


class Scenes(Dataset[tuple[Tensor, Target]]):
    """Scenes drawn when asked for; every number is another one, and none is the sample's."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def __getitem__(self, view: tuple[int, bool]) -> tuple[Tensor, Target]:
        number, flip = view
        sample = self.params.sample
        seed = seed_of(sample.base.seed, "base", number)
        scene = draw(f"base_{number}", np.random.SeedSequence(seed), sample.size, sample.cue, "correlated")
        return as_target(scene.image, scene.annotation, VOC_CLASSES, flip)


def build(params: Params, out: Path) -> None:
    """Train the embedded detector on scenes and write its checkpoint."""
    base = params.sample.base
    weights = Store("training", __name__).path("base", base, params.sample, arithmetic(), suffix=".safetensors")
    if not weights.exists():
        torch.manual_seed(base.seed)
        adapter = FasterRCNNLite0(len(VOC_CLASSES), params.sample.size)
        state = weights.with_suffix(".pt")
        views = base.steps * base.batch
        fit(adapter, OBJECTIVES["detection"], Scenes(params), views, base, base.seed, state, "base")
        save_checkpoint(adapter.half(), weights, VOC_CLASSES)  # it is committed in half, and read back into float32
        state.unlink(missing_ok=True)
    write(out, weights.read_bytes())  # no link: git keeps this file, and may write to it
