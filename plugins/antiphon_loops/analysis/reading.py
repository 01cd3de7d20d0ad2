"""Decoding of loop files, with limits: at most two channels, at most three minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError

SHORTEST, LONGEST = 1.0, 180.0
"""Range of a loop's length in seconds."""
MOST_BYTES = 256 << 20
_MOST_SAMPLES = 1 << 25
"""Maximum samples of both channels: 180 s of 92 kHz."""


class NoLoop(FileError):
    """A sound that is not a loop. `reason`: why, after "is no loop: "."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is no loop: {reason}")
        self.reason = reason


def sound_of(path: Path, name: str, rate: int | None = None) -> tuple[NDArray[np.float32], int]:
    """float32 `[1 or 2, frames]`, the first channels, and its rate: `rate` if given.

    Raises `FileError`, one sentence that names it `name`, for an unreadable or too long file.
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
    """Maximum frames of a loop at a rate, of one or two channels."""
    return min(round(LONGEST * rate), _MOST_SAMPLES // channels)


def too_large(name: str) -> NoLoop:
    """The error for a file of more than `MOST_BYTES`."""
    return NoLoop(name, f"it is larger than {MOST_BYTES >> 20} MB")


def too_long(name: str, seconds: float, most: float) -> NoLoop:
    """The error for a sound of more than `most` seconds."""
    return NoLoop(name, f"it is at least {seconds:.3g} s long, and {most:.3g} s is the most")
