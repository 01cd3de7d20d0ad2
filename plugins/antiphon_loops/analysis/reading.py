"""A loop's sound, of a file that may be anything: at most two channels, at most three minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError

SHORTEST, LONGEST = 1.0, 180.0
"""Seconds of a loop."""
MOST_BYTES = 256 << 20
_MOST_SAMPLES = 1 << 25
"""Of both channels: 180 s of 92 kHz."""


class NoLoop(FileError):
    """A sound that is no loop.

    Args:
        name: Name of its file, for the message.
        reason: Why, after "is no loop: ".

    Attributes:
        reason: The same.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is no loop: {reason}")
        self.reason = reason


def sound_of(path: Path, name: str, rate: int | None = None) -> tuple[NDArray[np.float32], int]:
    """float32 `[1 or 2, frames]`, the first channels of those there are, and its rate: `rate` where that is given.

    Raises `FileError`, one sentence that names it `name`, for what cannot be read or is too long to be a loop.
    """
    from antiphon.api.backends.files import printable_path, stream_sound

    pieces: list[NDArray[np.float32]] = []
    frames = 0
    try:
        if path.stat().st_size > MOST_BYTES:
            raise too_large(name)
        with stream_sound(path, rate=rate) as (info, blocks):
            channels, known = min(2, info.channels), info.frames or 0
            got = rate or info.rate
            most = most_frames(got, channels)
            if known * got > most * info.rate:
                raise too_long(name, known / info.rate, most / got)
            for block in blocks:
                frames += block.shape[1]
                if frames > most:
                    raise too_long(name, frames / got, most / got)
                pieces.append(np.array(block[:2]))
    except OSError as error:
        raise FileError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None
    except NoLoop:
        raise
    except FileError as error:
        raise FileError(str(error).replace(printable_path(path), printable_path(name))) from None
    if not frames:
        raise NoLoop(name, "there is nothing in it")
    return np.ascontiguousarray(np.concatenate(pieces, axis=1)), got


def most_frames(rate: int, channels: int) -> int:
    """Frames of the longest loop at a rate, of one or two channels."""
    return min(round(LONGEST * rate), _MOST_SAMPLES // channels)


def too_large(name: str) -> NoLoop:
    """The error for a file of more than `MOST_BYTES`."""
    return NoLoop(name, f"it is larger than {MOST_BYTES >> 20} MB")


def too_long(name: str, seconds: float, most: float) -> NoLoop:
    """The error for a sound of more than `most` seconds."""
    return NoLoop(name, f"it is at least {seconds:.3g} s long, and {most:.3g} s is the most")
