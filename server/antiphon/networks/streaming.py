"""The interface of streaming models: a torch module that maps a hop and a state to an answer and the next state.

Imported by models, their training and workers, never by control or engine: it imports torch.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

import torch

State: TypeAlias = tuple[torch.Tensor, ...]
"""The state of a model between hops: tensors `[slots, …]` of any type, one row for each slot."""


class StreamingModel(torch.nn.Module, ABC):
    """Network that computes one hop a step, for several streams at once, one row of the batch each.

    The constructor takes no arguments; weights are loaded later. Rows must not depend on each other, and all memory
    must be in the state: slots are masked and cleared by its rows.

    Attributes:
        rate: Frames per second.
        hop: Frames of a hop, or values of it for each input.
        latency: Algorithmic latency in frames, beyond the hop that has to be gathered first. What the host adds is not
            part of it.
        answer: Values of an answer for each output; None for `hop`.
        frames: Frames from one hop to the next; None for `hop`.
    """

    name: ClassVar[str] = ""
    rate: ClassVar[int] = 48000
    hop: ClassVar[int] = 480
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 1
    latency: ClassVar[int] = 0
    answer: ClassVar[int | None] = None
    frames: ClassVar[int | None] = None

    @property
    def said(self) -> tuple[int, int]:
        """Shape of one slot's answer: outputs, and values of each."""
        return self.outputs, self.hop if self.answer is None else self.answer

    @abstractmethod
    def start(self, slots: int) -> State:
        """Initial state of `slots` streams. Returns tensors on the CPU whose first dimension is `slots`."""

    @abstractmethod
    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Computes one hop of every slot. Neither `x` nor `state` is written to.

        `x`: float32 `[slots, inputs, hop]`; any number of slots from 1. `state`: as `start` or the step before gave it.
        Returns float32 `[slots, outputs, answer]`, and the state after the hop, of the same shapes and types as before.
        """
