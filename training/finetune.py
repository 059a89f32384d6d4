"""One arm: the base detector fine-tuned on one variant's train split, once per seed."""

import json
from functools import partial
from pathlib import Path

from dvclive import Live

from toolkit import detectors
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

    A finished seed is stored by content; an unfinished one goes on from its last saved step. An arm of no steps is the
    base detector itself.
    """
    about = json.loads((variant.root / "variant.json").read_text())
    train, classes, name = params.train_of(arm), params.data.classes, params.arms[arm].objective
    towards = objective(name)
    made_of = (about["source"], about["content"], detectors.fingerprint(params.detector, classes), arithmetic())
    for seed in train.seeds:
        settings = train.model_dump(exclude={"seeds"})
        weights = Store("training", __name__).path("arm", made_of, name, settings, seed, suffix=".safetensors")
        history, state = weights.with_suffix(".json"), weights.with_suffix(".pt")
        with Live(str(curves / f"seed-{seed}"), save_dvc_exp=False, dvcyaml=None) as live:
            log = partial(_log, live, max(train.steps // LOGGED, 1))
            if weights.exists():
                for step, losses in enumerate(json.loads(history.read_text())):
                    log(step, losses)
            else:
                data = Examples(variant, variant.ids("train"), classes)
                adapter = detectors.load(params.detector, classes)
                done = fit(adapter, towards, data, len(data), train, seed, state, f"{arm}, seed {seed}", log)
                write(history, json.dumps(done))
                save_checkpoint(adapter, weights, classes)
                state.unlink(missing_ok=True)
        link(weights, out / f"seed-{seed}.safetensors")


def _log(live: Live, every: int, step: int, losses: dict[str, float]) -> None:
    """One point of the training curve, every so many steps."""
    if step % every == 0:
        live.step = step
        for name, value in losses.items():
            live.log_metric(name, value)
