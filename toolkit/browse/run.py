"""What there is to show of a run, and which of its images stand side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from toolkit.sources.masks import TEST_SPLITS
from toolkit.voc import Tree

SOURCE = "source"  # the slice of every image as it is
REFERENCE = "none"  # the arm that the others are compared with
CONDITIONS = {
    split: "no cue" if condition == "none" else f"{condition} cue" for split, condition in TEST_SPLITS.items()
}


@dataclass(frozen=True)
class Arm:
    """What there is of an arm, of its first seed; of test images alone, but for its variant."""

    variant: Tree  # its train images
    heatmaps: Path  # a folder of ID.png, or of nothing
    detections: pd.DataFrame  # a row a box: `id`, `label`, `score`, x0 y0 x1 y1 in pixels
    images: pd.DataFrame  # a row an image: `id`, its scores


@dataclass(frozen=True)
class Run:
    """The stages' results: folders as they lie, and tables with a row an image (of `selection`: and arm)."""

    source: Tree
    attention: Path
    saliency: Path
    agreement: pd.DataFrame
    selection: pd.DataFrame
    arms: Mapping[str, Arm]

    def groups(self) -> Iterator[dict[str, str]]:
        """The ids of each group by slice, `SOURCE` first: one image, but of a test scene all conditions.

        The sample's test splits list the same scenes in the same order.
        """
        tests = [split for split in TEST_SPLITS if self.source.split(split).exists()]
        others = {
            image_id: {CONDITIONS[split]: other for split, other in zip(tests[1:], rest, strict=True)}
            for image_id, *rest in zip(*map(self.source.ids, tests), strict=True)
        }
        versions = {other for slices in others.values() for other in slices.values()}
        for image_id in sorted(set(self.agreement["id"]) - versions):
            yield {SOURCE: image_id, **others.get(image_id, {})}
