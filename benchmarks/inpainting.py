"""python -m benchmarks.inpainting: how well and how fast holes in photographs are filled.

The holes are where selection makes them: the top 2.5 % of the saliency of the sample's detector. What they hide is
known, so that PSNR and SSIM can be taken inside them: of the study's Deep Image Prior (channels first, 4,001 steps), of
salvoc's, OpenCV's Telea and Navier-Stokes, scikit-image's biharmonic, and of the mean colour of all known pixels.

The study's procedure takes hours of a CPU for an image of its own size. There, its quality comes from small squares
(`small`), and its time at full size from a few of its steps (`full`, `study_extrapolated_from`). On a GPU it runs in
full at full size (`--device cuda`); all else stays on the CPU.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import cv2
import numpy as np
import typer
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic
from tqdm import tqdm

from benchmarks.photographs import Count, Folder, most_salient_parts, photographs
from benchmarks.timing import Device, report, rounded, use
from toolkit.params import Inpaint
from toolkit.variants import study_prior
from toolkit.variants.inpainting import RADIUS, Holed, inpaint, telea
from toolkit.workers import batches, mapped

DIP = Inpaint(method="dip", preset="fast")
TIMED = 3  # of the study's steps, where it does not run in full
SEED = 1
Side = Annotated[int, typer.Option(help="Pixels of the small squares, on a CPU.", min=16)]
Fill = Callable[[Sequence[Holed]], list[np.ndarray]]


def main(device: Device = "cpu", images: Count = 4, folder: Folder = None, side: Side = 64) -> None:
    """Deep Image Prior, the study's and salvoc's, beside classical inpainting: four minutes a photograph on 2 cores.

    Examples: `python -m benchmarks.inpainting`, `python -m benchmarks.inpainting --images 1 --side 32`, `python -m
    benchmarks.inpainting --device cuda --folder MY-PHOTOGRAPHS --images 64`
    """
    use(device)
    shown = photographs(folder, images)
    small = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in shown]
    full = [cv2.resize(image, (study_prior.SIDE, study_prior.SIDE), interpolation=cv2.INTER_AREA) for image in shown]
    ways: dict[str, Fill] = {
        "salvoc": by_salvoc,
        "telea": lambda work: [telea(image, hole) for image, hole, _ in work],
        "navier_stokes": lambda work: [_navier_stokes(*holed) for holed in work],
        "biharmonic": lambda work: [_biharmonic(*holed) for holed in work],
        "mean_colour": lambda work: [_mean_colour(*holed) for holed in work],
    }
    if device == "cuda":
        in_full: dict[str, Fill] = {
            "study": lambda work: [study_prior.fill(*each) for each in tqdm(work, unit="image")]
        }
        found = {"full": _scores(in_full | ways, full)}
        ratio = found["full"]["study"]["seconds"] / found["full"]["salvoc"]["seconds"]
        report("inpainting", images=len(shown), speed_ratio=rounded(ratio), **found)
        return
    study_s = seconds_a_step(*holed(full[:1])[0]) * study_prior.ITERATIONS
    in_full = {"study": lambda work: [study_prior.fill(*each, side=side) for each in tqdm(work, unit="image")]}
    found = {"full": _scores(ways, full), "small": _scores(in_full | ways, small)}
    report(
        "inpainting",
        images=len(shown),
        study_full_s=rounded(study_s),
        study_extrapolated_from=f"{TIMED} of {study_prior.ITERATIONS} steps",
        speed_ratio=rounded(study_s / found["full"]["salvoc"]["seconds"]),
        small_side=side,
        small_speed_ratio=rounded(found["small"]["study"]["seconds"] / found["small"]["salvoc"]["seconds"]),
        **found,
    )


def _scores(ways: dict[str, Fill], images: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """Of each way: mean PSNR (dB) and SSIM of the pixels in the holes, and seconds an image, all images at once."""
    work = holed(images)
    found = {}
    for name, fill in ways.items():
        if name != "study":
            fill(work[:1])  # warm
        start = time.perf_counter()
        filled = fill(work)
        seconds = (time.perf_counter() - start) / len(work)
        quality = [_quality(got, image, hole) for got, image, (_, hole, _) in zip(filled, images, work, strict=True)]
        psnr, ssim = np.mean(quality, axis=0)
        found[name] = {"psnr": round(psnr, 2), "ssim": round(ssim, 3), "seconds": rounded(seconds)}
    return found


def holed(images: Sequence[np.ndarray]) -> list[Holed]:
    """The images, black where they are to be filled."""
    holes = zip(images, most_salient_parts(images), strict=True)
    return [Holed(np.where(hole[..., None], np.uint8(0), image), hole, SEED) for image, hole in holes]


def by_salvoc(work: Sequence[Holed]) -> list[np.ndarray]:
    """As the stage fills them: on every core another."""
    return [image for (image,) in mapped(lambda: partial(inpaint, settings=DIP), batches(work, 1))]


def _quality(filled: np.ndarray, image: np.ndarray, hole: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of the hole's pixels; a pixel's SSIM looks at the window around it."""
    error = np.square(filled[hole].astype(float) - image[hole]).mean()
    _, similar = structural_similarity(image, filled, channel_axis=2, full=True)
    return float(10 * np.log10(255**2 / max(error, 1e-9))), float(similar[hole].mean())


def seconds_a_step(
    image: np.ndarray, hole: np.ndarray, seed: int, side: int = study_prior.SIDE, steps: int = TIMED
) -> float:
    """Of the study's procedure, the mean of some steps, on every core or the GPU."""
    fill = partial(study_prior.fill, image, hole, seed, side=side)
    fill(iterations=1)
    start = time.perf_counter()
    fill(iterations=steps)
    return (time.perf_counter() - start) / steps


def _navier_stokes(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
    return cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS)


def _biharmonic(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
    return np.rint(inpaint_biharmonic(image, hole, channel_axis=2).clip(0, 1) * 255).astype(np.uint8)


def _mean_colour(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
    return np.where(hole[..., None], np.rint(image[~hole].mean(axis=0)).astype(np.uint8), image)


if __name__ == "__main__":
    typer.run(main)
