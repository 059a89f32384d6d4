"""The sample is what it says: exact, deterministic, and alike in its three conditions but for the cue."""

from pathlib import Path

import numpy as np
import pytest

from toolkit import maps, sources, voc
from toolkit.errors import BadInput
from toolkit.files import digest, read_image, sha256
from toolkit.params import Cue, Params
from toolkit.sources.masks import CUE, OBJECT, read_mask
from toolkit.sources.scenes import ICONS, Condition, Scene, attention, draw
from toolkit.voc import VOC_CLASSES, Tree


def scene(number: int, condition: Condition = "none", **cue: object) -> Scene:
    settings = {"correlation": 0.9, "place": "overlapping", "side": 0.18, "ambiguous": 0.0} | cue
    return draw("x", np.random.SeedSequence(number), 128, Cue.model_validate(settings), condition)


def test_there_is_an_icon_for_every_class() -> None:
    assert tuple(ICONS) == VOC_CLASSES
    assert all(ICONS.values())


def test_the_same_params_give_the_same_bytes(sample: Tree, settings: Params, tmp_path: Path) -> None:
    sources.build(settings, tmp_path)
    files = sorted(path.relative_to(sample.root) for path in sample.root.rglob("*") if path.is_file())
    assert [sha256(tmp_path / file) for file in files] == [sha256(sample.root / file) for file in files]


def test_the_sample_has_no_images_to_train_a_base_detector_on(settings: Params, tmp_path: Path) -> None:
    halved = settings.model_copy(update={"data": settings.data.model_copy(update={"base_split": "half"})})
    with pytest.raises(BadInput, match=r"data\.base_split: is 'half', .* set it to none"):
        sources.build(halved, tmp_path)
    assert not any(tmp_path.iterdir())


def test_scenes_are_drawn_as_ever() -> None:
    """Every number of the demo hangs on these pixels: another drawing is another sample, and wants all made anew."""
    drawn = [scene(number, "matching") for number in range(60)]
    assert {known.name for drawing in drawn for known in drawing.annotation.objects} == set(VOC_CLASSES)
    assert (
        digest([drawing.image.tobytes() for drawing in drawn], [drawing.mask.tobytes() for drawing in drawn])
        == "777b4c42b6dfa5c71cfcc6d423d835f5fbe0b4db6d62f4cfb01793e8bdd6c9d1"
    )


def test_every_image_has_its_annotation_attention_and_mask(sample: Tree) -> None:
    assert sorted(sample.splits()) == ["test", "test_matching", "test_random", "train"]
    for image_id in sample.all_ids():
        known = voc.read(sample.annotation(image_id))
        assert read_image(sample.image(image_id)).shape == (known.height, known.width, 3)
        assert maps.load(sample.attention(image_id)).shape == (known.height, known.width)
        assert 1 <= len(known.objects) <= 3


@pytest.mark.parametrize("number", range(8))
def test_boxes_hold_what_is_seen_of_their_objects(number: int) -> None:
    drawn = scene(number)
    inside = np.zeros(drawn.mask.shape, bool)
    for known in drawn.annotation.objects:
        x0, y0, x1, y1 = map(int, known.box)
        assert 0 <= x0 < x1 <= 128
        assert 0 <= y0 < y1 <= 128
        inside[y0:y1, x0:x1] = True
    assert (drawn.mask[~inside] == 0).all()
    first = drawn.annotation.objects[-1].box  # the last is drawn on top: its box is tight
    rows, columns = np.nonzero((drawn.mask == OBJECT)[int(first[1]) : int(first[3]), int(first[0]) : int(first[2])])
    assert (rows.min(), columns.min()) == (0, 0)
    assert (rows.max() + 1, columns.max() + 1) == (first[3] - first[1], first[2] - first[0])


@pytest.mark.parametrize("number", range(5))
def test_conditions_differ_in_the_cue_alone(number: int) -> None:
    none, matching, random = (scene(number, condition) for condition in ("none", "matching", "random"))
    assert none.annotation == matching.annotation == random.annotation
    assert not (none.mask == CUE).any()
    assert ((matching.mask == CUE) == (random.mask == CUE)).all()
    differs = (none.image != matching.image).any(axis=2)
    assert differs.any()
    assert not (differs & (matching.mask != CUE)).any()
    assert (matching.image != random.image).any()


def test_correlation_is_the_share_of_cues_that_tell_the_truth() -> None:
    truthful = [
        (scene(n, "correlated", correlation=0.7).image == scene(n, "matching", correlation=0.7).image).all()
        for n in range(120)
    ]
    assert 0.55 < np.mean(truthful) < 0.85  # four standard deviations
    for correlation, share in ((0.0, 0), (1.0, 1)):
        same = [
            (scene(n, "correlated", correlation=correlation).image == scene(n, "matching").image).all()
            for n in range(5)
        ]
        assert np.mean(same) == share


@pytest.mark.parametrize("place", ["corner", "near", "overlapping"])
def test_the_cue_lies_where_it_is_asked_for(place: str) -> None:
    touching = []
    for number in range(20):
        drawn = scene(number, "matching", place=place)
        rows, columns = np.nonzero(drawn.mask == CUE)
        assert len(rows) == 23 * 23  # 0.18 of 128 pixels, whole and inside
        x0, y0, x1, y1 = drawn.annotation.objects[0].box
        touching.append(columns.max() >= x0 and columns.min() < x1 and rows.max() >= y0 and rows.min() < y1)
        if place == "corner":
            assert {rows.min(), columns.min()} <= {4, 128 - 23 - 4}
    assert place != "overlapping" or all(touching)
    assert place != "near" or np.mean(touching) < 0.3  # only where there is no room beside the object


def test_an_ambiguous_object_is_blurred_and_only_it() -> None:
    plain, blurred = scene(3), scene(3, ambiguous=1.0)
    assert plain.annotation == blurred.annotation
    assert (plain.image != blurred.image).any()


def test_attention_is_on_visible_objects_not_on_the_cue() -> None:
    drawn = scene(1, "matching")
    looked = maps.normalise(attention(drawn.mask))
    assert looked[drawn.mask == OBJECT].mean() > 3 * looked[drawn.mask == 0].mean()


def test_masks_are_stored_as_they_are(sample: Tree) -> None:
    mask = read_mask(sample, sample.ids("test_matching")[0])
    assert mask is not None
    assert set(np.unique(mask)) == {0, OBJECT, CUE}
