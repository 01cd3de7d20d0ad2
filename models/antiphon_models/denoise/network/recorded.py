"""A network's hop, traced once: on the CPU half of an eager hop is Python between operations of microseconds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from antiphon.api.networks import State

Hop: TypeAlias = Callable[[torch.Tensor, State], tuple[torch.Tensor, State]]


class Recorded:
    """Plays a network's `hop`: as recorded for that many slots where nothing is learned and no card computes.

    The recording holds the network's own weights and not copies, so it may be made before they are loaded.
    """

    def __init__(self, network: torch.nn.Module, hop: Hop) -> None:
        self._network, self._hop = network, hop
        self._made: dict[int, Any] = {}

    def __call__(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        if self._network.training or torch.is_grad_enabled() or x.device.type != "cpu":
            return self._hop(x, state)
        made = self._made.get(len(x))
        if made is None:
            with warnings.catch_warnings():
                # that lengths become constants is meant: there is a recording for each
                warnings.simplefilter("ignore")
                made = torch.jit.trace(_Whole(self._network, self._hop).eval(), (x, *state), check_trace=False)
            self._made[len(x)] = made
        gain, *after = made(x, *state)
        return gain, tuple(after)


class _Whole(torch.nn.Module):
    """A hop as a module, with the network's weights among its own."""

    def __init__(self, network: torch.nn.Module, hop: Hop) -> None:
        super().__init__()
        self.network, self._hop = network, hop

    def forward(self, x: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gain, after = self._hop(x, state)
        return gain, *after
