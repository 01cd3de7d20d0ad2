"""What a streaming model is: a torch module that takes a hop and its past, and gives a hop and the new past.

Imported by models, their training and workers, never by control or engine: it imports torch.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import torch

State: TypeAlias = tuple[torch.Tensor, ...]
"""All a model remembers: tensors `[slots, …]` of any type, each slot's row its own."""


class StreamingModel(torch.nn.Module):
    """A network played hop by hop, many streams at once, a row of the batch each.

    rate: frames per second.  hop: frames of a step.  inputs, outputs: channels of one stream.  answer: values
    of an answer for each output, None for `hop`; where hop and answer are no sound, they are between the network
    and its processor.  frames: from one hop to the next, None for `hop`.
    latency: algorithmic, in frames: by how much the output lags the input beyond the hop that has to be
    gathered first. What a host adds (rebuffering, a hop for the worker) is not part of it.

    The class is made without arguments; weights come from outside. Rows must not touch each other, and
    nothing may be remembered but in the state: slots are masked, cleared and moved by rows of it.
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

    def start(self, slots: int) -> State:
        """The state of `slots` streams with no past, on the CPU."""
        raise NotImplementedError(f"{type(self).__name__} has no start")

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """One hop: x float32 `[slots, inputs, hop]` → y float32 `[slots, outputs, answer]` and the state after it.

        `x` and `state` are not written to. slots may be any number from 1; shapes and types of the state stay.
        """
        raise NotImplementedError(f"{type(self).__name__} has no step")
