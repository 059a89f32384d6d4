"""The fields' names and what they hold, told once.

`image` (the group's id in the source), `split`, `condition` (of the sample's test scenes), `variant` (`source`, or the
arm whose train image it is), `selected`, `reason`; `ground_truth`, `prediction_ARM`; `human_attention`,
`gaze_attention`, `saliency` (of the base detector), `saliency_ARM`; `parts` (object and cue), `changed` (by a variant);
`human_iou` and the like (the base's agreement), `human_iou_ARM`, `human_gain_ARM` (of IoU, over `none`), `pointed_ARM`,
`cue_looked_at_ARM`; `eval_ARM_tp`, `eval_ARM_fp`, `eval_ARM_fn`. A field that no sample would have is not there.
"""


def of(name: str, arm: str) -> str:
    """An arm's own field."""
    return f"{name}_{arm}"


def attention(truth: str) -> str:
    """The field of what is known of where people look: a name in `TRUTHS`."""
    return f"{truth}_attention"
