"""The base detector, which saliency and every arm start from: as it comes, or fine-tuned on the base split.

The base split is a third one beside train and test. Fine-tuning on it is for those who have no COCO weights: heads that
were never trained find no objects, and where such a detector looks says little.
"""

from pathlib import Path

from toolkit import detectors
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.files import link, sha256
from toolkit.params import Params
from toolkit.store import Store
from toolkit.tensors import arithmetic
from toolkit.voc import Tree
from training.data import Examples
from training.engine import fit
from training.objectives import OBJECTIVES


def build(source: Tree, params: Params, out: Path) -> None:
    """Write the detector that `params.detector` says, after `base.steps` on the base split, as the checkpoint `out`.

    A finished one is stored by content, that of the base split alone; an unfinished one goes on from its last saved
    step.
    """
    base, classes = params.base, params.data.classes
    ids = source.ids("base") if base.steps else []
    images = [(sha256(source.image(i)), sha256(source.annotation(i))) for i in ids]
    made_of = (detectors.fingerprint(params.detector, classes), images, base, arithmetic())
    weights = Store("training", __name__).path("base", *made_of, suffix=".safetensors")
    if not weights.exists():
        adapter, state = detectors.load(params.detector, classes), weights.with_suffix(".pt")
        if base.steps:
            data = Examples(source, ids, classes)
            fit(adapter, OBJECTIVES["detection"], data, len(data), base, base.seed, state, "base")
        save_checkpoint(adapter, weights, classes)
        state.unlink(missing_ok=True)
    link(weights, out)
