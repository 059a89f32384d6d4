"""What a report says of each score, by the score's name `group.name`: told here once, or by the table it comes from."""

from collections.abc import Collection
from dataclasses import dataclass

from toolkit.agreement import TRUTHS
from toolkit.metrics import METRICS

GROUPS = {
    "detection": "Detection, on the untouched test split",
    **{truth: f"Agreement of saliency with {name}" for truth, name in TRUTHS.items()},
    "cue": "Reliance on the cue",
}
VERDICTS = ("right class", "wrong class", "not found")  # what became of an image's main object
FAILURES = {  # the kinds of failure (see training/failures.py)
    "classification": "in the right place, of the wrong class",
    "localisation": "of the right class, not quite in its place",
    "both": "both of these",
    "duplicate": "a second detection of an object",
    "background": "where there is no object",
    "missed": "an object that nothing came near",
}


@dataclass(frozen=True)
class Heading:
    """A column's title, whether more of it is better, whether it is among the pictured scores, and its unit."""

    title: str
    higher_is_better: bool
    pictured: bool = False
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.title} {'↑' if self.higher_is_better else '↓'} {self.unit}".rstrip()


def glance(known: Collection[str]) -> list[str]:
    """Of the known scores the few that are told first: detection, the study's two of agreement, reliance.

    Agreement is that with people, where they are known.
    """
    truth = next((truth for truth in TRUTHS if f"{truth}.iou" in known), "gaze")
    names = ["detection.map50", f"{truth}.mae", f"{truth}.iou", "cue.reliance", "cue.log_odds"]
    return [name for name in names if name in known]


def headings() -> dict[str, Heading]:
    """The scores that reports show, in their order (not `cue.gain` and `cue.harm`, of which reliance is the sum)."""
    agreement = {
        f"{truth}.{name}": Heading(f"{metric.heading} {truth}", metric.higher_is_better, name == "iou", metric.unit)
        for truth in TRUTHS
        for name, metric in METRICS.items()
    }
    return {
        "detection.map50": Heading("mAP@0.5", True, pictured=True),
        "detection.map": Heading("mAP@[.5:.95]", True),
        "detection.map50_voc": Heading("mAP@0.5 VOC", True),
        **agreement,
        "cue.map50_matching": Heading("mAP@0.5 matching cue", True),
        "cue.map50_random": Heading("mAP@0.5 random cue", True),
        "cue.reliance": Heading("cue reliance", False, pictured=True),
        "cue.log_odds": Heading("cue reliance in log-odds", False, pictured=True, unit="nats"),
        "cue.looked_at": Heading("saliency on cue", False),
    }
