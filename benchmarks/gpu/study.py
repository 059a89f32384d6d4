"""What a study of VOC 2012's size would take of the machine, from what was measured."""

from collections.abc import Sequence

from benchmarks.gpu.figures import Figure, Part
from benchmarks.gpu.parts import PRIOR, Sizes, preset

TRAIN, TEST = 5_717, 5_823  # images
SELECTED = 0.4  # of the train images
ARE_FILLED = ("inpainting", "random_inpainting")  # rules


def in_hours(parts: Sequence[Part]) -> list[Figure]:
    """The stages that take long, with the photographs' detector; nothing where one of them was not measured.

    All others stay on the CPU and are not in it: the source, attention, agreement, faithfulness, scores, the dataset
    for FiftyOne.
    """
    params = preset("voc2012")
    images, seeds = TRAIN + TEST, len(params.train.seeds)
    trained = [arm for arm in params.arms if params.train_of(arm).steps]
    filled = sum(params.arms[arm].variant in ARE_FILLED for arm in trained)
    detector = f"{params.detector.name} at {Sizes().large} px"
    counts = {
        f"saliency from files, {detector}": images,
        PRIOR.format("fast"): round(SELECTED * TRAIN) * filled,
        f"fine-tuning, {detector}": len(trained) * seeds * params.train.steps * params.train.batch,
        f"prediction from files, {detector}": TEST * (len(trained) * seeds + 1),
    }
    measured = {figure.what: figure.seconds for part in parts for figure in part.figures}
    if not counts.keys() <= measured.keys():
        return []
    hours = sum(count * measured[what] for what, count in counts.items()) / 3600
    note = "extrapolated: saliency, inpainting, fine-tuning and prediction alone"
    return [Figure(f"a study of VOC 2012, {len(trained)} arms of {seeds} seeds", hours, "h", at_most=2, note=note)]
