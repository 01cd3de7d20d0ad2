"""A processor whose block is one call of a kernel."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from antiphon.contract.block import StreamSpec
from antiphon.contract.processor import IO, Processor
from antiphon.native import Kernel


class KernelProcessor(Processor):
    """The base of processors that call one kernel a block, with arrays that they carry from block to block.

    Attributes:
        kernel: Called with the sounds in, the sound out, the curves, the carried arrays, `arguments`, and the rate, Hz.
        curves: Names of the parameters whose curves it takes, in its order.
    """

    kernel: ClassVar[Kernel[..., None]]
    curves: ClassVar[tuple[str, ...]]

    def carried(self, spec: StreamSpec) -> tuple[NDArray[Any], ...]:
        """Makes the arrays that are carried, which a reset fills with zeros."""
        raise NotImplementedError

    def arguments(self, io: IO) -> tuple[Any, ...]:
        """Gives what the kernel takes between the carried arrays and the rate. On the block path."""
        return ()

    def prepare(self, spec: StreamSpec) -> None:
        """Makes the carried arrays."""
        self._run, self._rate, self._age = self.kernel.caller(), float(spec.rate), 0
        self._carried = self.carried(spec)
        self.reset()

    def reset(self) -> None:
        """Fills them with zeros."""
        for array in self._carried:
            array.fill(0)
        self._age = 0

    def process(self, io: IO) -> None:
        """Calls the kernel."""
        self._run(
            *io.audio_in,
            io.audio_out[0],
            *[io.curve(name) for name in self.curves],
            *self._carried,
            *self.arguments(io),
            self._rate,
        )
        self._age += io.frames

    def clock(self, io: IO) -> tuple[float, float]:
        """The beat of the block's first frame, and the beats of a frame."""
        return io.time.beat, io.time.tempo / (60.0 * self._rate) if io.time.playing else 0.0
