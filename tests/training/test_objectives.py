"""Every objective there is gives finite losses that can be trained on."""

import pytest
import torch

from toolkit.detectors.fasterrcnn_lite0 import FasterRCNNLite0
from toolkit.tensors import device
from training.objectives import OBJECTIVES, objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_gives_losses_that_move_the_detector(name: str) -> None:
    torch.manual_seed(0)
    adapter = FasterRCNNLite0(3, 96).to(device()).train()
    image = torch.rand(3, 96, 96, device=device())
    target = {"boxes": torch.tensor([[8.0, 8, 60, 70]]), "labels": torch.tensor([2])}
    losses = objective(name)(adapter, [image], [{key: value.to(device()) for key, value in target.items()}])
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in adapter.parameters())
