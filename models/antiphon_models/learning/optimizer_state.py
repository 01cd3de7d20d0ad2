"""What an optimizer of PyTorch knows beside the weights, as arrays for a checkpoint."""

from __future__ import annotations

import numpy as np
import torch

from antiphon_models.learning.checkpoint import Arrays


def moments_of(optimizer: torch.optim.Optimizer) -> Arrays:
    """Copies of its state, by "PARAMETER.NAME"."""
    return {
        f"{number}.{name}": np.array(torch.as_tensor(value).detach().cpu().numpy())
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def set_moments(optimizer: torch.optim.Optimizer, moments: Arrays) -> None:
    """Takes what `moments_of` gave; it goes on as if it had never stopped."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = torch.tensor(value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
