"""One arm: the base detector fine-tuned on one variant's train split, once per seed.

`torchrun --nproc-per-node N -m training.finetune ARM` trains an arm's detectors on N processes: the stage finds them.
"""

import json
from pathlib import Path

from dvclive import Live

from toolkit import detectors, processes
from toolkit.detectors.checkpoint import save_checkpoint
from toolkit.files import link, write
from toolkit.params import Params
from toolkit.store import Store
from toolkit.tensors import arithmetic
from toolkit.voc import Tree
from training.data import Examples
from training.engine import fit
from training.objectives import objective

LOGGED = 25  # points of a training curve, or up to twice as many


def build(arm: str, variant: Tree, params: Params, out: Path, curves: Path) -> None:
    """Fine-tune on the variant: `seed-S.safetensors` for each seed into `out`, its training curves into `curves`.

    An arm of no steps is the base detector itself.
    """
    every = max(params.train_of(arm).steps // LOGGED, 1)
    for seed, weights in trained(arm, variant, params).items():
        link(weights, out / f"seed-{seed}.safetensors")
        with Live(str(curves / f"seed-{seed}"), save_dvc_exp=False, dvcyaml=None) as live:
            for step, losses in list(enumerate(json.loads(weights.with_suffix(".json").read_text())))[::every]:
                live.step = step
                for name, value in losses.items():
                    live.log_metric(name, value)


def trained(arm: str, variant: Tree, params: Params) -> dict[int, Path]:
    """The weights of each seed, trained if they are not there by `train.processes` that call this; `.json` has losses.

    A finished seed is stored by content. An unfinished one goes on from its last saved step, which may have been
    computed elsewhere or by another number of processes: last digits hang on these.
    """
    train, classes = params.train_of(arm), params.data.classes
    towards = objective(params.arms[arm].objective)
    found = stored(arm, variant, params)
    for seed, (weights, state) in found.items():
        if processes.first(weights.exists):
            continue
        processes.require(train.processes, weights.name)
        data = Examples(variant, variant.ids("train"), classes)
        adapter = detectors.load(params.detector, classes)
        losses = fit(adapter, towards, data, len(data), train, seed, state, f"{arm}, seed {seed}")
        if processes.rank() == 0:
            write(weights.with_suffix(".json"), json.dumps(losses))
            save_checkpoint(adapter, weights, classes)
            state.unlink(missing_ok=True)
    return {seed: weights for seed, (weights, _) in found.items()}


def stored(arm: str, variant: Tree, params: Params) -> dict[int, tuple[Path, Path]]:
    """Where the weights of each seed lie or will lie, and a state to go on from until then."""
    train, store = params.train_of(arm), Store("training", __name__)
    about = json.loads((variant.root / "variant.json").read_text())
    base = detectors.fingerprint(params.detector, params.data.classes)
    settings = train.model_dump(exclude={"seeds", "processes"})
    made_of = about["source"], about["content"], base, params.arms[arm].objective, settings
    how = train.processes, arithmetic(train.processes)
    return {
        seed: (
            store.path("arm", *made_of, seed, how, suffix=".safetensors"),
            store.path("state", *made_of, seed, suffix=".pt"),
        )
        for seed in train.seeds
    }


if __name__ == "__main__":  # as torchrun starts it; the store knows the module by its own name
    import sys

    from toolkit import places
    from toolkit.errors import require_known
    from toolkit.params import load
    from training import finetune

    def train(arm: str) -> None:
        params = load(places.PARAMS).with_weights(places.BASE_WEIGHTS)
        require_known("command line", "arm", arm, params.arms)
        places.needs(places.VARIANTS / arm, places.BASE_WEIGHTS)
        found = finetune.trained(arm, Tree(places.VARIANTS / arm, beneath=Tree(places.SOURCE)), params)
        if processes.rank() == 0:
            print(*found.values(), f"`dvc repro finetune@{arm}` takes them from there", sep="\n")

    processes.run(lambda: train(" ".join(sys.argv[1:])))
