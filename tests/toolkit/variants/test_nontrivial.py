"""The nontrivial augmentation: published policies, drawn by the seed alone, and at least one object left."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolkit.variants.operating import apply, photo
from toolkit.errors import BadInput
from toolkit.files import digest
from toolkit.variants.nontrivial import transform
from toolkit.variants.operations import OPERATIONS
from toolkit.variants.policies import POLICIES
from toolkit.voc import Box


def test_the_policies_have_the_published_sub_policies() -> None:
    assert {name: len(policy) for name, policy in POLICIES.items()} == {"v0": 5, "v1": 20, "v2": 15, "v3": 15}
    assert POLICIES["v1"][:5] == POLICIES["v0"]
    steps = {name: sum(len(sub_policy) for sub_policy in policy) for name, policy in POLICIES.items()}
    assert steps == {"v0": 10, "v1": 40, "v2": 44, "v3": 30}  # one of v2's has two steps, not three


def test_the_policies_are_the_published_ones_to_the_last_number() -> None:
    """Compared once, line by line, with their tables; from then on by their hash."""
    assert digest(sorted(POLICIES.items())) == "5f2552f702fb1b271e8bd3b17526b14125b2a53113ea9c3573980ff863910281"


def test_every_step_is_a_known_operation_with_a_magnitude_where_it_takes_one() -> None:
    for name, probability, magnitude in itertools.chain.from_iterable(itertools.chain(*POLICIES.values())):
        assert 0 <= probability <= 1
        assert (magnitude is not None) == (OPERATIONS[name].amount is not None), name
        assert magnitude is None or magnitude in range(11)


@given(
    policy=st.sampled_from(sorted(POLICIES)),
    seed=st.integers(0, 2**60),
    boxes=st.lists(
        st.tuples(st.integers(0, 89), st.integers(0, 69), st.integers(3, 90), st.integers(3, 70)),
        min_size=1,
        max_size=4,
    ),
)
@settings(max_examples=25, deadline=None)
def test_new_boxes_lie_inside_the_image_and_one_object_at_least_stays(
    policy: str, seed: int, boxes: list[tuple[int, int, int, int]]
) -> None:
    inside: list[Box] = [
        (float(min(x, 87)), float(min(y, 67)), float(min(x + w + 3, 90)), float(min(y + h + 3, 70)))
        for x, y, w, h in boxes
    ]
    image = photo(70, 90)
    new, moved, _ = transform(image, inside, policy, seed)
    assert (new.shape, new.dtype, len(moved)) == (image.shape, np.uint8, len(inside))
    left = [box for box in moved if box is not None]
    assert left and all(0 <= x0 < x1 <= 90 and 0 <= y0 < y1 <= 70 for x0, y0, x1, y1 in left)


def test_a_transformation_that_would_leave_no_object_is_not_kept() -> None:
    image, boxes = photo(), [(0.0, 0.0, 40.0, 40.0)]
    texts = set()
    for seed in range(10):
        new, moved, text = apply("TranslateX_BBox", 8, image, boxes, seed)
        texts.add(text)
        assert None not in moved
        assert text.startswith("left") == (np.array_equal(new, image) and moved == boxes)
    assert texts == {"left as it is: no object would remain after TranslateX_BBox -200", "TranslateX_BBox 200"}


def test_the_seed_alone_decides() -> None:
    image = photo(70, 90)
    boxes: list[Box] = [(10.0, 10.0, 60.0, 50.0), (40.0, 20.0, 80.0, 60.0)]
    forward = {seed: transform(image, boxes, "v2", seed) for seed in range(12)}
    backward = {seed: transform(image, boxes, "v2", seed) for seed in reversed(range(12))}
    for seed, (new, moved, text) in forward.items():
        assert np.array_equal(new, backward[seed][0]) and (moved, text) == backward[seed][1:]
    assert len({text for _, _, text in forward.values()}) > 6


def test_no_text_means_no_change() -> None:
    image = photo(70, 90)
    boxes: list[Box] = [(10.5, 10.0, 60.0, 50.25)]
    results = [transform(image, boxes, "v3", seed) for seed in range(40)]
    for new, moved, text in results:
        same = np.array_equal(new, image) and moved == boxes
        assert same == (text == "" or text.startswith("left as it is"))
    assert any(text == "" for _, _, text in results)


def test_asking_for_imgaug_where_it_is_missing_says_how_to_get_it() -> None:
    with (
        mock.patch.dict("sys.modules", {"imgaug": None}),
        pytest.raises(BadInput, match=r"aug\.nontrivial\.engine: imgaug is not installed -- `make install`"),
    ):
        transform(photo(70, 90), [], "v3", 0, "imgaug")
