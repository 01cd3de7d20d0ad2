"""A sum."""

from __future__ import annotations

import numpy as np

from antiphon.api import IO, Param, Port, Processor, StreamSpec

NAMES = ("a", "b", "c", "d")


class Mix(Processor):
    """Adds its inputs, each at its own level."""

    inputs = tuple(Port(name) for name in NAMES)
    params = tuple(
        Param(name, default=1.0, low=0.0, high=2.0, smooth=0.004, doc=f"Factor of input {name}.") for name in NAMES
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._part = np.zeros((spec.channels, spec.block), np.float32)

    def process(self, io: IO) -> None:
        y = io.audio_out[0]
        part = self._part[:, : io.frames]
        np.multiply(io.audio_in[0], io.curve("a"), out=y)
        for x, name in zip(io.audio_in[1:], NAMES[1:], strict=True):
            np.multiply(x, io.curve(name), out=part)
            np.add(y, part, out=y)
