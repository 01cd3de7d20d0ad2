"""Reading of loop files: at most two channels and three minutes, with the tempo that name and chunks state."""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError

SLOWEST, FASTEST = 30.0, 300.0
"""Range of plausible stated tempos, bpm."""
_WITH_UNIT = re.compile(r"(?<![\d.])(\d{2,3}(?:\.\d{1,3})?)[ _-]?bpm|bpm[ _-]?(\d{2,3}(?:\.\d{1,3})?)(?![\d])", re.I)
_NUMBER = re.compile(r"(?<![A-Za-z0-9.])(\d{2,3}(?:\.\d{1,3})?)(?![A-Za-z0-9])")
_ONE_SHOT = 1
_MAX_CHUNKS = 64
_MAX_BYTES = 4096
"""Maximum bytes read of a chunk."""


@dataclass(frozen=True, slots=True)
class TempoLabel:
    """Tempo stated by a file: in its name, a chunk or a number.

    `certain`: whether it says so in words or in a field for it; a number alone in its name may mean anything.
    """

    bpm: float | None = None  # its tempo; None without one
    certain: bool = False
    origin: str = ""  # "name", "file", "user" or "number", "" without a tempo
    first: float | None = None  # second at which its loop begins, by `smpl`; None without one
    last: float | None = None  # second at which it ends


NO_LABEL = TempoLabel()


def label_of(path: Path, name: str) -> TempoLabel:
    """Tempo and cue points stated by a loop's file name and chunks; none if it cannot be read.

    A tempo in the name, beside the letters bpm, has priority over a chunk's.
    """
    named = tempo_in(name)
    stated, first, last = _chunks_of(path)
    if named is not None:
        return TempoLabel(named, True, "name", first, last)
    return TempoLabel(stated, stated is not None, "file" if stated is not None else "", first, last)


def tempo_in(name: str) -> float | None:
    """The tempo beside the letters bpm in the last part of a path; None without one, or with several."""
    said = {float(a or b) for a, b in _WITH_UNIT.findall(_stem(name))}
    said = {bpm for bpm in said if SLOWEST <= bpm <= FASTEST}
    return said.pop() if len(said) == 1 else None


def number_in(name: str) -> float | None:
    """The only stand-alone number of 50 to 200 in the last part of a path, a possible tempo; None without one."""
    alone = {float(number) for number in _NUMBER.findall(_stem(name)) if 50.0 <= float(number) <= 200.0}
    return alone.pop() if len(alone) == 1 else None


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _chunks_of(path: Path) -> tuple[float | None, float | None, float | None]:
    """Tempo by `acid`, and first and last second by `smpl`, of a WAV file; None for missing chunks."""
    bpm = first = last = None
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
                return None, None, None
            rate = 0
            for _ in range(_MAX_CHUNKS):
                head = file.read(8)
                if len(head) < 8:
                    break
                kind, size = struct.unpack("<4sI", head)
                here = file.tell()
                if kind in (b"fmt ", b"acid", b"smpl"):
                    data = file.read(min(size, _MAX_BYTES))
                    if kind == b"fmt " and len(data) >= 8:
                        rate = struct.unpack_from("<I", data, 4)[0]
                    elif kind == b"acid":
                        bpm = _acid(data)
                    elif kind == b"smpl" and rate:
                        first, last = _smpl(data, rate)
                file.seek(here + size + size % 2)
    except OSError:
        return None, None, None
    return bpm, first, last


def _acid(data: bytes) -> float | None:
    """Tempo of a loop; None for a one-shot, or without a beat count."""
    if len(data) < 24:
        return None
    bpm: float
    flags, _root, _unknown, _unknown2, beats, _denominator, _numerator, bpm = struct.unpack_from("<IHHfIHHf", data)
    if flags & _ONE_SHOT or not beats or not math.isfinite(bpm) or not SLOWEST <= bpm <= FASTEST:
        return None
    return round(bpm, 3)


def _smpl(data: bytes, rate: int) -> tuple[float | None, float | None]:
    """Start and end of the first loop in seconds."""
    if len(data) < 36 + 24 or struct.unpack_from("<I", data, 28)[0] < 1:
        return None, None
    first, last = struct.unpack_from("<II", data, 36 + 8)
    return (first / rate, (last + 1) / rate) if first <= last else (None, None)


SHORTEST, LONGEST = 1.0, 180.0
"""Range of a loop's length in seconds."""
MAX_BYTES = 256 << 20
_MAX_SAMPLES = 1 << 25
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
        if path.stat().st_size > MAX_BYTES:
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
    return min(round(LONGEST * rate), _MAX_SAMPLES // channels)


def too_large(name: str) -> NoLoop:
    """The error for a file of more than `MAX_BYTES`."""
    return NoLoop(name, f"it is larger than {MAX_BYTES >> 20} MB")


def too_long(name: str, seconds: float, most: float) -> NoLoop:
    """The error for a sound of more than `most` seconds."""
    return NoLoop(name, f"it is at least {seconds:.3g} s long, and {most:.3g} s is the most")
