"""The shape of sound: float32 arrays of `[channels, frames]`, in blocks of a stream."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
"""An array of single precision."""
F64: TypeAlias = NDArray[np.float64]
"""An array of double precision."""
Samples: TypeAlias = F32
"""Sound: float32 `[channels, frames]`, full scale at -1 to 1."""
FALL_SECONDS = 0.0015
"""Length of the fade-out where a block is missing, in seconds."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The format of a stream, which a processor is prepared for.

    Attributes:
        rate: Frames per second.
        block: The most frames that one `process` call carries; a call may carry fewer.
        feedback: Delay in frames of a wire that closes a cycle into this processor, where the processor compensates for
            it (`Processor.compensates`); otherwise 0.
    """

    rate: int = 48000
    block: int = 256
    channels: int = 2
    feedback: int = 0


def missed_fade_out(block: int, rate: int) -> F32:
    """Returns the fade-out of the last frame before a missing block: float32 gains `[frames]`.

    It lasts `FALL_SECONDS`, at most a block; the last gain is 0. `rate`: Hz.
    """
    frames = max(1, min(block, round(FALL_SECONDS * rate)))
    left = np.arange(frames - 1, -1, -1) / frames
    return (left * left * (3.0 - 2.0 * left)).astype(np.float32)
