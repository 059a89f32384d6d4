"""The embedded sample: generated scenes as a VOC tree, the same bytes from the same params; no download.

`train` carries each main object's own cue with probability `cue.correlation`. The test scenes are drawn three times,
alike but for the cue: `test` without, `test_matching` with the main object's own, `test_random` with another class's.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from toolkit import maps, voc
from toolkit.files import seed_of, write
from toolkit.params import Sample
from toolkit.sources.masks import TEST_SPLITS, Condition
from toolkit.sources.planted import named, write_image
from toolkit.sources.scenes import attention, draw
from toolkit.voc import Tree


def build(settings: Sample, out: Path) -> dict[str, object]:
    """Write the sample's VOC tree, with `Attention/` and `Masks/`; returns its counts."""
    splits = {"train": [f"train_{n:05d}" for n in range(settings.train_scenes)]}
    jobs: list[tuple[str, str, Condition]] = [(image_id, image_id, "correlated") for image_id in splits["train"]]
    for split, condition in TEST_SPLITS.items():
        scenes = [f"test_{n:05d}" for n in range(settings.test_scenes)]
        splits[split] = [named(scene, condition) for scene in scenes]
        jobs += [(image_id, scene, condition) for image_id, scene in zip(splits[split], scenes, strict=True)]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        work = pool.map(partial(_write_scene, settings, Tree(out)), jobs, chunksize=8)
        for _ in tqdm(work, desc="sample", total=len(jobs), unit="image", mininterval=1):
            pass
    for split, ids in splits.items():
        voc.write_ids(Tree(out).split(split), ids)
    return {"images": len(jobs), "attention": len(jobs), "skipped": []} | {s: len(ids) for s, ids in splits.items()}


def _write_scene(settings: Sample, tree: Tree, job: tuple[str, str, Condition]) -> None:
    image_id, scene_id, condition = job
    seed = np.random.SeedSequence(seed_of(settings.seed, scene_id))
    scene = draw(image_id, seed, settings.size, settings.cue, condition)
    write_image(tree, image_id, scene.image, scene.annotation, scene.mask)
    write(tree.attention(image_id), maps.encode(maps.normalise(attention(scene.mask))))
