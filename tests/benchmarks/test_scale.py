"""How measurements are carried on to more images, by laws of growth that are known; and the images that they are of."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale import project
from benchmarks.scale.__main__ import shown
from benchmarks.scale.growth import carried, exponent, slope
from toolkit import params
from toolkit.files import sha256
from toolkit.sources import folder
from toolkit.voc import Tree

SIZES = (1_000, 10_000, 100_000)
START = st.floats(0, 100)
EACH = st.floats(0.01, 1)


@given(START, EACH, st.sampled_from([1, 1.5, 2]))
def test_the_exponent_is_that_of_the_growth_whatever_a_process_costs_before_it_begins(
    start: float, each: float, power: float
) -> None:
    assert exponent({size: start + each * size**power for size in SIZES}) == pytest.approx(power, abs=1e-3)


@given(START, EACH)
def test_what_grows_linearly_is_carried_on_exactly(start: float, each: float) -> None:
    points = {size: start + each * size for size in SIZES}
    assert slope(points) == pytest.approx(each)
    assert carried(points, 1_000_000) == pytest.approx(start + each * 1_000_000)


def test_what_moves_by_less_than_noise_has_no_exponent_and_what_shrinks_no_slope() -> None:
    assert math.isnan(exponent({1_000: 350.0, 10_000: 351.0, 100_000: 352.0}))
    assert slope({1_000: 350.0, 10_000: 349.0}) == 0


def test_sizes_that_do_not_grow_by_a_factor_are_refused() -> None:
    with pytest.raises(ValueError, match="10, 20, 30"):
        exponent({10: 1.0, 20: 2.0, 30: 3.0})


def test_what_was_measured_is_never_told_as_extrapolated_nor_the_other_way() -> None:
    measured = {size: {"seconds": size / 1000, "mib": 300.0} for size in SIZES}
    row = shown({"source": measured}, "seconds").loc["source"]
    assert row["100,000"] == "100" and row["100,000, extrapolated"] == ""
    assert row["1,000,000"] == "" and row["1,000,000, extrapolated"] == "1000"
    assert row["an image"] == "1 ms" and row["exponent"] == "1.00"


def test_a_projects_images_are_good_and_no_two_are_the_same_file(tmp_path: Path) -> None:
    project.make(tmp_path, 40)
    data = params.load(tmp_path / "params.yaml").data
    own = Tree(tmp_path / data.path)
    ids, problems = folder.check(own, {"train": data.train_split, "test": data.test_split}, data.classes)
    assert not problems
    assert (len(ids["train"]), len(ids["test"])) == (36, 4)
    assert len({sha256(own.image(image_id)) for image_id in own.all_ids()}) == 40
