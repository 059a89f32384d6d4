"""Pickles that are trusted: their weights become tensors, with the classes that a model names."""

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from commands import app
from tests.toolkit.detectors.described import ULTRALYTICS
from tests.toolkit.detectors.test_checkpoint import Heads, numbered, rows_of
from tests.toolkit.detectors.test_contract import built, installed
from toolkit.detectors.checkpoint import load_checkpoint, read
from toolkit.detectors.convert import convert
from toolkit.errors import BadInput

ANIMALS = ("cat", "dog", "cow")


def pickled(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


class Named(nn.Linear):
    names = ["cat", "dog"]  # noqa: RUF012


def test_a_model_stored_whole_becomes_its_tensors(tmp_path: Path) -> None:
    saved, model = numbered(3, start=10), numbered(3, start=50)
    out = tmp_path / "a.safetensors"
    assert convert(pickled(saved.model, tmp_path / "a.pt"), out, ANIMALS) == [*ANIMALS]
    load_checkpoint(model, out, ("cow", "cat", "dog"))
    assert rows_of(model.predictor.cls_score) == [10, 13, 11, 12]


@pytest.mark.parametrize(("given", "known"), [((), ["cat", "dog"]), (("b", "a"), ["b", "a"])])
def test_the_classes_are_those_that_it_names_unless_others_are_given(
    given: tuple[str, ...], known: list[str], tmp_path: Path
) -> None:
    """As a training script stores it: the averaged model beside the other, its weights in half precision."""
    network = Named(2, 2)
    stored = {"epoch": 3, "model": Named(2, 2), "ema": network.half()}
    convert(pickled(stored, tmp_path / "a.pt"), tmp_path / "a.safetensors", given)
    state, named = read(tmp_path / "a.safetensors")
    assert named == known
    assert state["weight"].dtype == torch.float32
    assert torch.equal(state["weight"], network.weight.float())


def test_weights_that_share_memory_are_written_each(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    convert(pickled({"a": shared, "b": shared[:2]}, tmp_path / "a.pt"), tmp_path / "a.safetensors")
    state, _ = read(tmp_path / "a.safetensors")
    assert state["b"].tolist() == [0, 1]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        convert(pickled(Heads(1).model.state_dict(), tmp_path / "a.pt"), out)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"not a pickle"])
def test_what_is_no_pickle_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.pt: cannot be read"):
        convert(tmp_path / "a.pt", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_a_pickle_of_a_package_that_is_not_there_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"cno_such_package\nModel\n.")
    with pytest.raises(BadInput, match=r"a\.pt: needs the module no_such_package -- install"):
        convert(tmp_path / "a.pt", tmp_path / "a.safetensors")


def test_ultralytics_own_pickle_loads_once_it_is_converted(tmp_path: Path) -> None:
    """Laid out as its trainer's best.pt: no weights but the averaged model's, in half precision."""
    adapter = built(installed("ultralytics"))
    adapter.model.names = dict(enumerate(ANIMALS))
    pickled({"epoch": 3, "model": None, "ema": adapter.model.half(), "train_args": {}}, tmp_path / "best.pt")
    (tmp_path / "model.yaml").write_text(ULTRALYTICS)
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "best.pt"), str(tmp_path / "best.safetensors")])
    assert done.exit_code == 0, done.output
    assert "cat, dog, cow" in done.output
    other = built(installed("ultralytics"))
    load_checkpoint(other, tmp_path, ANIMALS)
    for name, tensor in adapter.model.float().state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
