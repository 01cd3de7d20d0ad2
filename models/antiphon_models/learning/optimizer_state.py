"""State of a PyTorch optimizer as arrays for a checkpoint."""

import numpy as np
import torch

from antiphon_models.learning.checkpoint import Arrays


def moments_of(optimizer: torch.optim.Optimizer) -> Arrays:
    """Copies of the optimizer's state, by "PARAMETER.NAME"."""
    return {
        f"{number}.{name}": np.array(torch.as_tensor(value).detach().cpu().numpy())
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def set_moments(optimizer: torch.optim.Optimizer, moments: Arrays) -> None:
    """Restores the state returned by `moments_of`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = torch.tensor(value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
