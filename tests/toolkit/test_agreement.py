"""The table of agreement: its scores are today's and stay so, and what it says of images with and without fixations."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit import agreement, maps, metrics
from toolkit.attention.bottom_up import centre_bias
from toolkit.errors import BadInput
from toolkit.files import png, write
from toolkit.metrics import METRICS, Metric
from toolkit.voc import Tree, write_ids

MAPS = arrays(np.float32, (10, 12), elements=st.floats(0, 1, width=32)).map(maps.normalise)


def independent(heatmap: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """MAE, IoU and CC by numpy alone."""
    a, b = maps.top(heatmap, 0.1), maps.top(truth, 0.1)
    varied = heatmap.max() > heatmap.min() and truth.max() > truth.min()
    return {
        "mae": np.abs(heatmap.astype(np.float64) - truth).mean(),
        "iou": np.minimum(a, b).sum() / max(np.maximum(a, b).sum(), 1),
        "cc": np.corrcoef(heatmap.ravel(), truth.ravel())[0, 1] if varied else 0.0,
    }


def spread(height: int = 24, width: int = 32) -> np.ndarray:
    return maps.normalise(np.outer(np.hanning(height), np.hanning(width)))


@pytest.fixture
def source(tmp_path: Path) -> Tree:
    """Six grey images of different sizes."""
    tree = Tree(tmp_path / "source")
    for number in range(6):
        write(tree.image(f"{number}"), png(np.full((60 + number, 90 - number, 3), 128, np.uint8)))
    write_ids(tree.split("train"), ["0", "2", "4"])
    write_ids(tree.split("test"), ["1", "3", "5"])
    return tree


def looked_at(folder: Path, fixations: dict[str, np.ndarray]) -> Path:
    """An attention folder with fixations [N, 2] in pixels by image id."""
    (folder / "fixations").mkdir(parents=True)
    for image_id, points in fixations.items():
        pd.DataFrame(points, columns=["x", "y"]).to_csv(folder / "fixations" / f"{image_id}.csv", index=False)
    return folder


@settings(deadline=None)
@given(MAPS, MAPS)
def test_scores_are_those_of_an_independent_computation(heatmap: np.ndarray, truth: np.ndarray) -> None:
    scores = agreement.compare(heatmap, {"map": truth})
    middle = maps.normalise(centre_bias(10, 12))
    for name, value in independent(heatmap, truth).items():
        assert scores[name] == pytest.approx(value, abs=1e-7)
    for name, value in independent(middle, truth).items():
        assert scores[f"centre_{name}"] == pytest.approx(value, abs=1e-7)
    assert scores["constant_mae"] == pytest.approx(truth.mean(dtype=np.float64))
    pairs = np.abs(heatmap.reshape(-1, 1).astype(np.float64) - truth.reshape(1, -1))
    assert scores["chance_mae"] == pytest.approx(pairs.mean(), abs=1e-7)
    assert scores["chance_iou"] == metrics.chance_iou(heatmap, truth)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": st.text()},
            optional={"iou": st.floats(0, 1), "pointed": st.booleans(), "count": st.integers(0, 9)},
        ),
        min_size=1,
        max_size=9,
    )
)
def test_a_table_that_is_made_by_chunks_is_that_of_all_rows_at_once(rows: list[dict[str, object]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "CHUNK", 3)
        table = agreement.table_of(rows)
    pd.testing.assert_frame_equal(table, pd.DataFrame(rows))


def test_an_empty_map_has_a_good_mae_where_attention_is_sparse() -> None:
    truth = np.zeros((100, 100), np.float32)
    truth[40:50, 40:50] = 1
    noise = maps.normalise(np.random.default_rng(0).random((100, 100)))
    scores = agreement.compare(noise, {"map": truth})
    assert scores["constant_mae"] < scores["mae"] / 10


def test_an_empty_map_is_a_uniform_density() -> None:
    truth = np.zeros((10, 10), np.float32)
    truth[:, :5] = 1
    scores = agreement.compare(spread(10, 10), {"map": truth})
    assert scores["constant_sim"] == pytest.approx(0.5)
    assert scores["constant_kl"] == pytest.approx(np.log(2))


def test_maps_of_any_size_are_compared_on_one_grid(tmp_path: Path) -> None:
    smooth = spread(12, 16)
    write(tmp_path / "human" / "a.png", maps.encode(maps.scale(smooth, 384, 512)))
    row = agreement.against(smooth, tmp_path, "a")
    assert row["human_iou"] > 0.95
    assert row["human_mae"] < 0.01
    assert not any(name.startswith("gaze") for name in row)


@pytest.mark.parametrize(("size", "cells"), [((100, 200), (128, 256)), ((200, 100), (256, 128)), ((900, 1), (256, 1))])
def test_the_grid_has_256_cells_on_the_longer_side(size: tuple[int, int], cells: tuple[int, int]) -> None:
    assert agreement.grid(*size) == cells


def test_points_fall_on_the_cells_that_hold_them() -> None:
    shares = np.array([[0, 0], [0.5, 0.5], [0.5, 0.5], [0.99, 0.01], [1, 1]])
    assert agreement.counts(shares, 2, 4).tolist() == [[1, 0, 0, 1], [0, 0, 2, 1]]
    assert agreement.counts(shares[:0], 2, 4).sum() == 0


def test_a_map_of_the_fixations_scores_high_and_the_opposite_low() -> None:
    shares = {
        "fixations": np.random.default_rng(0).normal(0.3, 0.05, (200, 2)).clip(0, 1),
        "others": np.random.default_rng(1).random((200, 2)),
    }
    truth = {name: agreement.counts(points, 48, 64) for name, points in shares.items()}
    y, x = np.mgrid[:48, :64]
    right = maps.normalise(-np.hypot(y / 48 - 0.3, x / 64 - 0.3))
    scores, opposite = (agreement.compare(heatmap, truth) for heatmap in (right, maps.normalise(-right)))
    assert scores["nss"] > scores["centre_nss"]
    assert min(scores["auc"], scores["sauc"]) > 0.9
    assert opposite["nss"] == pytest.approx(-scores["nss"], rel=1e-3)
    assert opposite["auc"] == pytest.approx(1 - scores["auc"], abs=1e-3)


def test_the_shuffled_auc_compares_with_other_images_fixations_scaled_to_this_image(
    source: Tree, tmp_path: Path
) -> None:
    shares = {image_id: np.random.default_rng(int(image_id)).random((20, 2)) for image_id in ("0", "1", "2")}
    attention = looked_at(
        tmp_path, {image_id: xy * [90 - int(image_id), 60 + int(image_id)] for image_id, xy in shares.items()}
    )
    fixations = agreement.fixations_of(source, attention)
    for image_id in shares:
        others = np.concatenate([points for other, points in shares.items() if other != image_id])
        assert fixations.shares[image_id] == pytest.approx(shares[image_id])
        assert np.sort(fixations.others(image_id), axis=0) == pytest.approx(np.sort(others, axis=0))
    row = agreement.against(spread(), attention, "1", fixations)
    size = agreement.grid(61, 89)
    pooled = {"fixations": shares["1"], "others": np.concatenate([shares["0"], shares["2"]])}
    truth = {name: agreement.counts(points, *size) for name, points in pooled.items()}
    expected = agreement.compare(maps.scale(spread(), *size), truth)
    assert row == pytest.approx({f"human_{name}": value for name, value in expected.items()})


def test_no_more_negatives_are_kept_than_are_needed_and_always_the_same(source: Tree, tmp_path: Path) -> None:
    seen = {str(number): np.random.default_rng(number).random((4000, 2)) * 60 for number in range(4)}
    attention = looked_at(tmp_path, seen)
    first, again = agreement.fixations_of(source, attention), agreement.fixations_of(source, attention)
    assert len(first.pool) == agreement.NEGATIVES
    assert np.array_equal(first.pool, again.pool)
    assert pd.Series(first.owners).value_counts(normalize=True).to_numpy() == pytest.approx(0.25, abs=0.02)


def test_every_table_of_fixations_that_is_none_is_named(source: Tree, tmp_path: Path) -> None:
    wrong = ["x,y\n1,two\n", "y,x\n1,2\n", "x,y\n1,\n", "x,y\n1,1000\n", ""]
    for number, text in enumerate([*wrong, "x,y\n85.0,65.0\n"]):
        write(tmp_path / "fixations" / f"{number}.csv", text)
    with pytest.raises(BadInput) as caught:
        agreement.fixations_of(source, tmp_path)
    assert [Path(problem.file).stem for problem in caught.value.problems] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("row", ["1,1,,9", "1,1,0,", "1,1,0,0"])
def test_a_table_that_names_persons_names_each_and_has_a_degree(source: Tree, tmp_path: Path, row: str) -> None:
    write(tmp_path / "fixations" / "0.csv", f"x,y,observer,degree\n{row}\n")
    with pytest.raises(BadInput):
        agreement.fixations_of(source, tmp_path)


# ---- people against people


def persons(source: Tree, folder: Path, *fixations: Sequence[tuple[float, float]]) -> dict[str, float]:
    """What persons who fixated these points of image 0, 90 x 60 pixels, score against one another."""
    rows = [f"{x},{y},{person},9" for person, points in enumerate(fixations) for x, y in points]
    write(folder / "fixations" / "0.csv", "\n".join(["x,y,observer,degree", *rows]) + "\n")
    write(folder / "fixations" / "1.csv", "x,y\n5,5\n80,50\n")
    return agreement.people("0", agreement.fixations_of(source, folder))


def test_persons_who_look_alike_agree_as_well_as_can_be(source: Tree, tmp_path: Path) -> None:
    found = persons(source, tmp_path, [(20, 30)], [(20, 30)], [(20, 30)])
    assert found.keys() == METRICS.keys()
    best = {name: found[name] for name in ("mae", "iou", "cc", "sim", "kl", "sauc")}
    assert best == pytest.approx({"mae": 0, "iou": 1, "cc": 1, "sim": 1, "kl": 0, "sauc": 1}, abs=1e-6)


def test_persons_who_look_elsewhere_do_not_agree(source: Tree, tmp_path: Path) -> None:
    found = persons(source, tmp_path, [(10, 10)], [(80, 50)])
    assert found["iou"] == 0
    assert max(found["cc"], found["nss"]) < 0
    assert found["auc"] < 0.5


def test_each_persons_map_is_blurred_by_a_degree_and_judged_by_all_others(source: Tree, tmp_path: Path) -> None:
    first, second, third = [(30, 20), (32, 24)], [(60, 40)], [(33, 21)]
    found = persons(source, tmp_path, first, second, third)
    height, width = 171, 256  # of 60 x 90
    y, x = np.mgrid[:height, :width] + 0.5
    sums: defaultdict[str, float] = defaultdict(float)
    for own, rest in ((first, second + third), (second, first + third), (third, first + second)):
        drawn = [
            maps.normalise(sum(
                np.exp(-((np.floor(px * 256 / 90) + 0.5 - x) ** 2 + (np.floor(py * 171 / 60) + 0.5 - y) ** 2)
                       / 2 / (9 * 256 / 90) ** 2)
                for px, py in points
            ))
            for points in (own, rest)
        ]  # fmt: skip
        for name, value in independent(*drawn).items():
            sums[name] += value / 3
    assert {name: found[name] for name in sums} == pytest.approx(dict(sums), abs=0.002)  # the blur is cut at 4 sigma


@pytest.mark.parametrize("fixations", [[], [[(10, 10), (20, 20)]], [[(10, 10)], []]])
def test_of_one_person_nobody_else_can_be_foretold(
    source: Tree, tmp_path: Path, fixations: Sequence[Sequence[tuple[float, float]]]
) -> None:
    assert persons(source, tmp_path, *fixations) == {}


def test_where_it_is_not_known_whose_a_fixation_is_people_are_not_compared(source: Tree, tmp_path: Path) -> None:
    known = agreement.fixations_of(source, looked_at(tmp_path, {"0": np.array([[40, 40], [20, 30]])}))
    assert agreement.people("0", known) == {}


@pytest.fixture
def attention(source: Tree, tmp_path: Path) -> Path:
    """Image 0 is known in every way, 1 was shown and nobody looked, 2 is known by the gaze predictor alone."""
    folder = looked_at(tmp_path / "attention", {"0": np.array([[40, 40]]), "1": np.zeros((0, 2))})
    for image_id in source.all_ids():
        write(tmp_path / "saliency" / f"{image_id}.png", maps.encode(spread()))
    for name in ("human/0", "gaze/0", "gaze/2"):
        write(folder / f"{name}.png", maps.encode(spread()))
    return folder


def test_an_image_that_nobody_fixated_has_no_score_at_fixations(source: Tree, attention: Path, tmp_path: Path) -> None:
    table = agreement.build(source, tmp_path / "saliency", attention).set_index("id")
    assert table["split"].tolist() == ["train", "test"] * 3
    assert table["human_nss"].notna().tolist() == [True, False, False, False, False, False]
    assert table["human_sauc"].isna().all()  # nobody fixated another image
    assert table["gaze_iou"].notna().tolist() == [True, False, True, False, False, False]
    assert not any(name.startswith("gaze_nss") for name in table)


def test_a_table_has_every_metric_beside_its_baselines(source: Tree, attention: Path, tmp_path: Path) -> None:
    table = agreement.build(source, tmp_path / "saliency", attention)
    by_map = {
        *("mae", "iou", "cc", "sim", "kl", "centre_mae", "centre_iou", "centre_cc", "centre_sim", "centre_kl"),
        *("chance_mae", "chance_iou", "constant_mae", "constant_sim", "constant_kl"),
    }
    at_fixations = {"nss", "auc", "sauc", "centre_nss", "centre_auc", "centre_sauc"}
    assert {f"human_{name}" for name in by_map | at_fixations} | {f"gaze_{name}" for name in by_map} <= set(table)
    assert not {f"gaze_{name}" for name in at_fixations} & set(table)  # a predictor has no fixations
    for name, metric in METRICS.items():
        assert {f"human_{name}", f"human_centre_{name}"} <= set(table)
        assert (f"human_chance_{name}" in table) == (metric.chance is not None)
        assert (f"human_constant_{name}" in table) == metric.constant


def test_a_metric_is_one_row_of_the_metrics_table(
    source: Tree, attention: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Metric("Fake", lambda heatmap, truth: float((heatmap * truth).max()), form=lambda heatmap: 1 - heatmap)
    monkeypatch.setitem(METRICS, "fake", fake)
    table = agreement.build(source, tmp_path / "saliency", attention)
    for column in ("human_fake", "gaze_fake", "human_centre_fake", "gaze_centre_fake"):
        assert table[column][0] == pytest.approx(1, abs=0.01)
    assert not any(name.endswith(("chance_fake", "constant_fake")) for name in table)
