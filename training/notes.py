"""How to read a report's tables, in words."""

from toolkit.attention import PREDICTORS
from toolkit.metrics import BASELINES, PEOPLE
from toolkit.params import Arm, Params
from toolkit.variants.rules import RULES

ONE_SEED = (
    "Each arm was fine-tuned with one seed. Brackets are 95 % bootstrap intervals over the test images; p is that of a "
    "paired permutation test over them. Seeds: not covered, by none of these nor by the smallest difference that would "
    "have shown. Another seed might move a score, and a difference, further than its interval reaches: set several "
    "`train.seeds` before you believe one."
)
SEVERAL_SEEDS = (
    "Each arm was fine-tuned with {seeds} seeds. Scores are means over them; ± is the standard deviation between them. "
    "Brackets are 95 % t intervals that cover the choice of both test images and seeds; p is from the same t. `base` "
    "has no seeds: the interval of its scores covers the images alone, that of its difference to `none` covers both."
)
DIFFERENCES = (
    "Differences are taken in pairs of the same images and seed. Their p is corrected for the number of arms in its "
    "column (Holm). The last row says what the data can decide: a true difference of that size would have shown in "
    "each row of its column with a probability of about 80 % or more (two-sided test at 5 %, before Holm; variances as "
    "they are measured here). A smaller one may well be there unseen."
)
CUE = (
    "Cue reliance is mAP@0.5 with the matching cue less mAP@0.5 with a random one. In log-odds it is, scene by scene, "
    "how much surer the detector is of the main object's class, in the best of its candidates that overlap it by half, "
    "with the matching cue than with the random one. Saliency on cue is the share of the most salient 2.5 % of the "
    "pixels that lie on a random cue."
)


def notes(params: Params, seeds: int, people: bool) -> list[str]:
    """How to read the tables of arms with so many seeds each, a paragraph each; `people`: they are compared too."""
    arms = {
        arm: told_of(row) if params.train_of(arm).steps else "the detector before fine-tuning"
        for arm, row in params.arms.items()
    }
    without = BASELINES | ({"people": PEOPLE} if people else {})
    baselines = "; ".join(f"{name}: {about}" for name, about in without.items())
    predictor = params.attention.predictor
    return [
        "An arrow says which way a score is better. " + (SEVERAL_SEEDS.format(seeds=seeds) if seeds > 1 else ONE_SEED),
        DIFFERENCES,
        "Arms, by their train images. " + "; ".join(f"`{arm}`: {about}" for arm, about in arms.items()) + ".",
        *([CUE] if params.data.source == "sample" or params.data.plant else []),
        f"The last rows of agreement take no detector. {baselines}.",
        f"The gaze predictor is `{predictor}`: {PREDICTORS[predictor].about}.",
    ]


def told_of(row: Arm) -> str:
    """What an arm's train images are, and what it does otherwise than the other arms."""
    own = row.model_dump(exclude={"variant"}, exclude_defaults=True)
    return RULES[row.variant].about + "".join(f", {key} {value}" for key, value in own.items())
