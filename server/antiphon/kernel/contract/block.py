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
"""Seconds in which the sound falls to silence where a block is missing."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The format of a stream, which a processor is prepared for.

    Attributes:
        rate: Frames per second.
        block: The most frames that one `process` call carries; a call may carry fewer.
        feedback: Frames by which a wire that closes a cycle comes late to this processor, where it compensates for that
            (`Processor.compensates`); otherwise 0.
    """

    rate: int = 48000
    block: int = 256
    channels: int = 2
    feedback: int = 0


def missed_fall(block: int, rate: int) -> F32:
    """The gains by which the last frame before a missing block falls to silence in it: float32 `[frames]`.

    `FALL_SECONDS` long, at most a block; `rate`: Hz. The last one is 0.
    """
    frames = max(1, min(block, round(FALL_SECONDS * rate)))
    left = np.arange(frames - 1, -1, -1) / frames
    return (left * left * (3.0 - 2.0 * left)).astype(np.float32)
