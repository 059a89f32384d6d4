"""`salvoc study` as a user runs it: tables and pictures of those that run, and the mend for one that does not."""

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from commands import app
from tests.conftest import ROOT
from toolkit.voc import Tree

DETECTORS = {
    "fasterrcnn_lite0": {"weights": "checkpoint", "checkpoint": "datasets/base.safetensors", "size": 96},
    "ssdlite320_mobilenet_v3_large": {"weights": "none"},
    "mine": {"name": "fasterrcnn_lite0", "weights": "checkpoint", "checkpoint": "mine.safetensors", "size": 96},
}


@pytest.fixture
def project(workplace: Path, sample: Tree) -> Path:
    """A folder with params.yaml, whose data set is the shrunk sample's test split."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    own = {"path": str(sample.root), "human": "datasets/human"}
    values["study"] |= {
        "detectors": DETECTORS, "datasets": {"drawn": own}, "images": 2, "tested": 2, "tested_methods": ["odam"],
    }  # fmt: skip
    values["faithfulness"] |= {"shares": [0.2]}
    values["score"] |= {"resamples": 20}
    (workplace / "params.yaml").write_text(yaml.safe_dump(values))
    (workplace / "datasets" / "human").mkdir()
    return workplace


def test_those_that_run_are_compared_and_the_others_named_with_the_mend(project: Path) -> None:
    result = CliRunner().invoke(app, ["study", "--faithfulness"])
    assert result.exit_code == 0, result.output
    out = project / "reports" / "detectors"
    text = (out / "results.md").read_text()
    assert "`mine` is left out: mine.safetensors: the detector's checkpoint is missing -- name one" in text
    assert "ssdlite320_mobilenet_v3_large (random weights)" in text
    for title in ("agreement of saliency with human attention", "what is found", "which map may one believe?"):
        assert f"## drawn: {title}" in text
    assert {path.name for path in out.iterdir()} == {
        "results.md", "report.html", "agreement.csv", "drawn_scatter.png", "drawn_maps.png",
    }  # fmt: skip
    table = pd.read_csv(out / "agreement.csv")
    assert set(table["detector"]) == {"fasterrcnn_lite0", "ssdlite320_mobilenet_v3_large (random weights)"}
    assert set(table["truth"]) == {"human", "gaze"}
    again = CliRunner().invoke(app, ["study-tables"])  # of what there is
    assert again.exit_code == 0, again.output
    assert pd.read_csv(out / "agreement.csv").equals(table)


def test_what_nothing_can_be_done_of_leaves_an_older_report_as_it_is(project: Path) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["study"] |= {"detectors": {"mine": DETECTORS["mine"]}}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    (project / "reports" / "detectors").mkdir(parents=True)
    (project / "reports" / "detectors" / "results.md").write_text("older")
    assert CliRunner().invoke(app, ["study"]).exit_code == 2
    values["study"] |= {"methods": ["eigenkam"]}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    assert CliRunner().invoke(app, ["study"]).exit_code == 2  # before anything is looked at
    assert (project / "reports" / "detectors" / "results.md").read_text() == "older"


def test_an_unknown_row_is_refused_with_those_there_are(project: Path) -> None:
    result = CliRunner().invoke(app, ["study-look", "drawn", "yolov9"])
    assert result.exit_code == 2
    assert "knows no 'yolov9'" in result.output or "does not know 'yolov9'" in result.output


def test_detectors_are_listed_with_layer_size_licence_and_weights(project: Path) -> None:
    os.environ.pop("TORCH_HOME", None)
    result = CliRunner().invoke(app, ["detectors"])
    assert result.exit_code == 0, result.output
    (row,) = (line for line in result.output.splitlines() if line.startswith("| fasterrcnn_lite0 "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "backbone.body.blocks.6"
    assert "Apache-2.0" in cells[2]
    assert cells[3:] == ["imagenet (embedded), checkpoint", "288", "4.0 M"]
