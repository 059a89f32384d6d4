"""Checkpoints: what was saved is read back; heads find their classes by name; what is no checkpoint is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from toolkit.detectors.checkpoint import load_checkpoint, save_checkpoint
from toolkit.detectors.rcnn import RCNN
from toolkit.errors import BadInput

FEATURES = 2


class Heads(RCNN):
    """The last layers of a Faster R-CNN, and one layer before them."""

    def __init__(self, classes: int, size: int = 0) -> None:
        super().__init__(classes, size)
        self.before, self.predictor = nn.Linear(3, FEATURES), FastRCNNPredictor(FEATURES, classes + 1)
        heads = nn.ModuleDict({"box_predictor": self.predictor})
        self.model = nn.ModuleDict({"before": self.before, "roi_heads": heads})


def numbered(classes: int, start: float) -> Heads:
    """Heads whose row of class c scores with start + c, and moves its box by start + c + 0, 0.1, 0.2 and 0.3."""
    heads = Heads(classes)
    rows = start + torch.arange(classes + 1.0)
    moves = (rows[:, None] + torch.tensor([0.0, 0.1, 0.2, 0.3])).flatten()
    with torch.no_grad():
        for layer, values in ((heads.predictor.cls_score, rows), (heads.predictor.bbox_pred, moves)):
            layer.bias.copy_(values)
            layer.weight.copy_(values[:, None] * torch.tensor([1.0, -1.0]))
    return heads


def rows_of(layer: nn.Module) -> list[float]:
    """The numbers that an output layer's rows are marked with, in weights and bias alike."""
    weight, bias = (layer.state_dict()[kind] for kind in ("weight", "bias"))
    assert torch.equal(weight, bias[:, None] * torch.tensor([1.0, -1.0]))
    return [round(value, 4) for value in bias.tolist()]


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """A checkpoint of background 10, cat 11, dog 12 and cow 13."""
    path = tmp_path / "animals.safetensors"
    save_checkpoint(numbered(3, start=10), path, ("cat", "dog", "cow"))
    return path


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    first, second = Heads(3), Heads(3)
    save_checkpoint(first, tmp_path / "a.safetensors", ("cat", "dog", "cow"))
    load_checkpoint(second, tmp_path / "a.safetensors", ("cat", "dog", "cow"))
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_weights_in_half_precision_are_read_into_float32(tmp_path: Path) -> None:
    heads = Heads(1)
    heads.before.bias.data.fill_(0.1)
    save_checkpoint(heads.half(), tmp_path / "half.safetensors", ("cat",))
    read = Heads(1)
    load_checkpoint(read, tmp_path / "half.safetensors", ("cat",))
    assert read.before.bias.tolist() == [0.0999755859375] * FEATURES  # the half nearest to 0.1
    assert {tensor.dtype for tensor in read.model.state_dict().values()} == {torch.float32}


def test_each_class_finds_its_row_by_name_and_background_stays_first(animals: Path) -> None:
    model = numbered(3, start=50)
    load_checkpoint(model, animals, ("cow", "cat", "dog"))
    assert rows_of(model.predictor.cls_score) == [10, 13, 11, 12]
    assert rows_of(model.predictor.bbox_pred) == [
        *(10.0, 10.1, 10.2, 10.3),
        *(13.0, 13.1, 13.2, 13.3),
        *(11.0, 11.1, 11.2, 11.3),
        *(12.0, 12.1, 12.2, 12.3),
    ]


def test_an_unknown_class_keeps_its_fresh_row_and_a_class_not_asked_for_is_dropped(animals: Path) -> None:
    model = numbered(2, start=50)
    load_checkpoint(model, animals, ("unicorn", "dog"))
    assert rows_of(model.predictor.cls_score) == [10, 51, 12]
    assert rows_of(model.predictor.bbox_pred) == [
        *(10.0, 10.1, 10.2, 10.3),
        *(51.0, 51.1, 51.2, 51.3),
        *(12.0, 12.1, 12.2, 12.3),
    ]


def test_all_but_the_heads_is_read_as_it_is(tmp_path: Path) -> None:
    saved, model = numbered(1, start=10), numbered(2, start=50)
    save_checkpoint(saved, tmp_path / "a.safetensors", ("cat",))
    load_checkpoint(model, tmp_path / "a.safetensors", ("unicorn", "cow"))
    assert torch.equal(model.before.weight, saved.before.weight)
    assert torch.equal(model.before.bias, saved.before.bias)
    assert rows_of(model.predictor.cls_score) == [10, 51, 52]


def test_neither_the_model_whose_fresh_rows_are_taken_nor_the_state_is_changed(animals: Path) -> None:
    model = numbered(3, start=50)
    state = numbered(3, start=10).model.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    model.with_classes(state, ("cat", "dog", "cow"), ("cow", "dog", "cat"))
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert rows_of(model.predictor.cls_score) == [50, 51, 52, 53]


def test_a_missing_checkpoint_is_refused_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.safetensors: the detector's checkpoint is missing -- name one"):
        load_checkpoint(Heads(1), tmp_path / "none.safetensors", ("cat",))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.safetensors: is not a safetensors checkpoint .* -- fetch or make"):
        load_checkpoint(Heads(1), path, ("cat",))


def stored(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("within", [None, "model", "state_dict"])
def test_what_torch_saved_is_read_as_weights_only(within: str | None, tmp_path: Path) -> None:
    saved, model = numbered(2, start=10), numbered(2, start=50)
    state = saved.model.state_dict()
    load_checkpoint(model, stored({within: state, "epoch": 3} if within else state, tmp_path / "a.pth"), ())
    assert torch.equal(model.before.weight, saved.before.weight)
    assert rows_of(model.predictor.cls_score) == [10, 51, 52]  # it names no classes


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def test_a_pickle_that_would_run_code_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = stored({"model": Malicious()}, tmp_path / "theirs.pt")
    with pytest.raises(BadInput, match=r"theirs\.pt: is a pickle that would run code .* -- .*`salvoc convert"):
        load_checkpoint(Heads(1), path, ("cat",))
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}])
def test_what_torch_saved_that_is_no_weights_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"odd\.pth: is no checkpoint \(it holds no weights\)"):
        load_checkpoint(Heads(1), stored(content, tmp_path / "odd.pth"), ("cat",))


def test_a_pickle_cut_short_is_refused(tmp_path: Path) -> None:
    path = stored(Heads(1).model.state_dict(), tmp_path / "short.pth")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"short\.pth: is "):
        load_checkpoint(Heads(1), path, ("cat",))


def test_the_weights_of_a_folder_are_its_only_file_of_them(animals: Path) -> None:
    load_checkpoint(numbered(3, start=50), animals.parent, ("cat", "dog", "cow"))
    animals.with_name("b.safetensors").write_bytes(animals.read_bytes())
    with pytest.raises(BadInput, match="holds 2 files of weights"):
        load_checkpoint(numbered(3, start=50), animals.parent, ("cat", "dog", "cow"))


@pytest.mark.parametrize(
    "classes", ["7", "null", '{"cat": 1}', "[[1]]", '["cat", 3]', "[" * 100_000, "[" * 100_000 + "]" * 100_000, "cat"]
)
def test_a_checkpoint_whose_classes_are_no_names_is_refused(classes: str, tmp_path: Path) -> None:
    save_file(Heads(1).model.state_dict(), tmp_path / "odd.safetensors", {"classes": classes})
    with pytest.raises(BadInput, match=r"odd\.safetensors: is not a safetensors checkpoint"):
        load_checkpoint(Heads(1), tmp_path / "odd.safetensors", ("cat",))


def test_a_checkpoint_with_more_classes_than_rows_is_refused(tmp_path: Path) -> None:
    save_checkpoint(Heads(1), tmp_path / "odd.safetensors", ("cat", "dog", "cow"))
    with pytest.raises(BadInput, match=r"odd\.safetensors: is another detector's checkpoint"):
        load_checkpoint(Heads(1), tmp_path / "odd.safetensors", ("cow",))


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the detector's checkpoint is missing"):
        load_checkpoint(Heads(1), tmp_path, ("cat",))


def test_a_checkpoint_cut_short_is_refused(animals: Path) -> None:
    animals.write_bytes(animals.read_bytes()[:-4])
    with pytest.raises(BadInput, match="is not a safetensors checkpoint"):
        load_checkpoint(Heads(3), animals, ("cat", "dog", "cow"))


def fewer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name != "before.bias"}


def other_shape(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"before.weight": torch.zeros(7, 7)}


def no_heads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if "cls_score" not in name}


def wider_heads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"roi_heads.box_predictor.cls_score.weight": torch.zeros(2, 7)}


@pytest.mark.parametrize("changed", [fewer, other_shape, no_heads, wider_heads])
def test_another_detector_s_checkpoint_is_refused(changed: object, tmp_path: Path) -> None:
    state = changed(Heads(1).model.state_dict())  # type: ignore[operator]
    save_file(state, tmp_path / "other.safetensors", {"classes": '["cat"]'})
    with pytest.raises(
        BadInput, match=r"(?s)other\.safetensors: is another detector's checkpoint .* -- set detector\.name"
    ):
        load_checkpoint(Heads(1), tmp_path / "other.safetensors", ("cat",))
