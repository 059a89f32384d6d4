"""The saved views: each answers a question. The App opens on the first."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from toolkit.agreement import TRUTHS
from toolkit.browse import fields
from toolkit.browse.run import REFERENCE

if TYPE_CHECKING:
    import fiftyone


class Question(NamedTuple):
    """A saved view: its name, what it shows and in which order, its colour in the list."""

    name: str
    about: str
    colour: str
    view: "fiftyone.DatasetView"


def save_views(dataset: "fiftyone.Dataset", arms: list[str]) -> None:
    """Save the views that the dataset's fields allow, but for empty ones."""
    for question in _questions(dataset, arms):
        if question.view.limit(1):
            dataset.save_view(question.name, question.view, description=question.about, color=question.colour)


def _questions(dataset: "fiftyone.Dataset", arms: list[str]) -> Iterator[Question]:
    from fiftyone import ViewField as F

    iou = next(f"{truth}_iou" for truth in TRUTHS if dataset.has_field(f"{truth}_iou"))
    people = TRUTHS[iou.removesuffix("_iou")]
    if dataset.has_field("selected"):
        yield Question(
            "selected for erasing",
            f"Train images whose saliency agrees so little with {people} that an arm may change them, the worst first. "
            "Open one: its variants stand beside it.",
            "#e4572e",
            dataset.match(F("selected")).sort_by(iou),
        )
    yield Question(
        "people and detector disagree most",
        f"All images, by the IoU of the base detector's saliency with {people}: the lowest first.",
        "#f3a712",
        dataset.exists(iou).sort_by(iou),
    )
    for arm in arms:
        gain = fields.of(iou.replace("iou", "gain"), arm)
        if dataset.has_field(gain):
            yield Question(
                f"{arm}: agreement gained",
                f"Test images in which {arm} looks more where people look than {REFERENCE} does, by IoU with {people}: "
                "what gained most first.",
                "#29a36a",
                dataset.exists(gain).match(F(gain) > 0).sort_by(gain, reverse=True),
            )
            yield Question(
                f"{arm}: agreement lost",
                f"Test images in which {arm} looks less where people look than {REFERENCE} does, by IoU with {people}: "
                "what lost most first.",
                "#8f6bd9",
                dataset.exists(gain).match(F(gain) < 0).sort_by(gain),
            )
    if REFERENCE not in arms:
        return
    pointed, wrong = fields.of("pointed", REFERENCE), fields.of("eval", REFERENCE)
    if dataset.has_field(pointed):
        prediction = fields.of("prediction", REFERENCE)
        yield Question(
            "false positives, looked away",
            f"What {REFERENCE} finds and is not there, in test images whose most salient pixel lies in no object.",
            "#d7263d",
            dataset.exists(pointed)
            .match(~F(pointed))
            .filter_labels(prediction, F(wrong) == "fp")
            .sort_by(f"{wrong}_fp", reverse=True),
        )
    looked = fields.of("cue_looked_at", REFERENCE)
    if dataset.has_field(looked):
        yield Question(
            "cue looked at",
            f"Test scenes with another class's cue, by the share of {REFERENCE}'s most salient pixels that lie on it.",
            "#2e86ab",
            dataset.select_group_slices("random cue").sort_by(looked, reverse=True),
        )
