"""The base detector, which saliency and every arm start from: as it comes, or fine-tuned on the base split.

The base split is a third one beside train and test. Fine-tuning on it is for those who have no COCO weights: heads that
were never trained find no objects, and where such a detector looks says little. `torchrun --nproc-per-node N -m
training.base` does it on N processes: the stage finds what they leave.
"""

from pathlib import Path

from toolkit import detectors, processes
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
    """Write the detector that `params.detector` says, after `base.steps` on the base split, as the checkpoint `out`."""
    link(trained(source, params), out)


def trained(source: Tree, params: Params) -> Path:
    """The detector's weights, made if they are not there by the processes that call this: `params.base_processes`.

    A finished one is stored by content, that of the base split alone; an unfinished one goes on from its last saved
    step, which may have been computed elsewhere or by another number of processes: last digits hang on these.
    """
    base, classes = params.base, params.data.classes
    weights, state = stored(source, params)
    if processes.first(weights.exists):
        return weights
    processes.require(params.base_processes, weights.name)
    adapter = detectors.load(params.detector, classes)
    if base.steps:
        data = Examples(source, source.ids("base"), classes)
        fit(adapter, OBJECTIVES["detection"], data, len(data), base, base.seed, state, "base")
    if processes.rank() == 0:
        save_checkpoint(adapter, weights, classes)
        state.unlink(missing_ok=True)
    return weights


def stored(source: Tree, params: Params) -> tuple[Path, Path]:
    """Where the weights lie or will lie, and a state to go on from until then."""
    base, store = params.base, Store("training", __name__)
    ids = source.ids("base") if base.steps else []
    images = [(sha256(source.image(i)), sha256(source.annotation(i))) for i in ids]
    made_of = detectors.fingerprint(params.detector, params.data.classes), images, base
    how = params.base_processes, arithmetic(params.base_processes)
    return store.path("base", *made_of, how, suffix=".safetensors"), store.path("state", *made_of, suffix=".pt")


if __name__ == "__main__":  # as torchrun starts it; the store knows the module by its own name
    from toolkit import places
    from toolkit.errors import BadInput, Problem
    from toolkit.params import load
    from training import base

    def train() -> None:
        places.needs(places.SOURCE)
        params = load(places.PARAMS)
        if not params.base.steps:
            raise BadInput(
                Problem("base.steps", "is 0: there is nothing to train", "`dvc repro base` takes it as it is")
            )
        base.trained(Tree(places.SOURCE), params)

    processes.run(train)
