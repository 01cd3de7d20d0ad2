"""Reading of loop files, at most two channels and three minutes; the loop region in a file, and its number of bars.

The region is the file's stated one (`labels`), or all of it, without initial silence unless that is a rest.
"""

import math
import re
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, FileError
from antiphon_loops.analysis import tables, tempo
from antiphon_loops.analysis.spectrum import LOWEST, RATE, Picture, picture
from antiphon_loops.analysis.tables import BarCount, LoopTables


def true_peak(sound: F32, rate: int) -> float:
    """True peak: largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))


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

    `certain`: whether words or a tempo field state it; a bare number in the name may have another meaning.
    """

    bpm: float | None = None  # its tempo; None without one
    certain: bool = False
    origin: str = ""  # "name", "file", "user" or "number", "" without a tempo
    first: float | None = None  # second at which its loop begins, by `smpl`; None without one
    last: float | None = None  # second at which it ends


NO_LABEL = TempoLabel()


def read_tempo_label(path: Path, name: str) -> TempoLabel:
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
    said = {float(a or b) for a, b in _WITH_UNIT.findall(_file_name_stem(name))}
    said = {bpm for bpm in said if SLOWEST <= bpm <= FASTEST}
    return said.pop() if len(said) == 1 else None


def number_in(name: str) -> float | None:
    """The only stand-alone number of 50 to 200 in the last part of a path, a possible tempo; None without one."""
    alone = {float(number) for number in _NUMBER.findall(_file_name_stem(name)) if 50.0 <= float(number) <= 200.0}
    return alone.pop() if len(alone) == 1 else None


def _file_name_stem(name: str) -> str:
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
                        bpm = _read_acid_tempo(data)
                    elif kind == b"smpl" and rate:
                        first, last = _read_smpl_loop(data, rate)
                file.seek(here + size + size % 2)
    except OSError:
        return None, None, None
    return bpm, first, last


def _read_acid_tempo(data: bytes) -> float | None:
    """Tempo of a loop; None for a one-shot, or without a beat count."""
    if len(data) < 24:
        return None
    bpm: float
    flags, _root, _unknown, _unknown2, beats, _denominator, _numerator, bpm = struct.unpack_from("<IHHfIHHf", data)
    if flags & _ONE_SHOT or not beats or not math.isfinite(bpm) or not SLOWEST <= bpm <= FASTEST:
        return None
    return round(bpm, 3)


def _read_smpl_loop(data: bytes, rate: int) -> tuple[float | None, float | None]:
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


SILENCE = -50.0
"""Silence threshold at the beginning of a file, dB below the loudest piece of `_PIECE` seconds."""
KEPT_SILENCE = 0.03
"""Initial silence in seconds that is kept: an mp3's padding is as long."""
_PIECE = 0.005
_OFF, _WHOLE, _WORSE, _BETTER = 0.1, 0.1, 0.1, 0.1
"""Thresholds of a rest: maximum offset of its end in eighths; minimum score of a loop that begins with it, absolute and
relative to the part after it; and minimum score gain of the whole, if that has whole bpm. By the first three, 35 of 45
rendered loops with a rest keep it, as do 1 of 202 loops after a silence of 0.05 to 1.5 s and 4 of 100 excerpts of
recordings. By all, 113 of 118 rendered loops of 60 to 160 bpm, of half seconds, keep a gap of 0.03 to 0.6 s (23 by the
first three), as do 6 of 120 that a silence makes as long as half seconds (none).
"""
_MAX_CUT = 0.5
"""Maximum share of a file cut away to make whole bars of a stated tempo."""


@dataclass(frozen=True, slots=True)
class LoopReading:
    """Region of a file, and its bars."""

    first: int  # its first frame
    last: int  # the frame after its last
    seen: Picture
    role: str  # one of `ROLES`
    count: BarCount  # its bars
    origin: str = "sound"  # where its tempo is from: "sound", or the label's origin


def read_region(samples: F32, mono: F32, rate: int, label: TempoLabel) -> LoopReading:
    """Finds the loop in a file `[channels, frames]`, `[frames]` of peak 1, by the shipped tables."""
    known = tables.load()
    first, last = _stated_part(samples.shape[1], rate, label)
    starts = [first]
    lead = silence_before(samples[:, first:last], rate)
    if lead > KEPT_SILENCE * rate and (last - first - lead) > SHORTEST * rate:
        starts.append(first + lead)
    readings = [_read(mono, rate, at, last, known) for at in starts]
    stated = _stated_reading(readings, mono, rate, label, known)
    if stated is not None:
        return stated
    return readings[0] if len(readings) == 1 or _is_rest(lead / rate, *readings) else readings[1]


def _is_rest(seconds: float, whole: LoopReading, rest: LoopReading) -> bool:
    """True if the silence at the beginning of the whole belongs to its bars.

    It does if it ends on an 8th and the whole scores about as high as the part behind the silence; if the whole has the
    length of bars of a round tempo; or if that length also fits an excerpt and the whole scores higher.
    """
    length, bars = whole.seen.seconds, whole.count.bars
    if tempo.has_round_tempo(length, bars):
        return True
    if tempo.has_whole_bpm(length, bars) and whole.count.score > rest.count.score + _BETTER:
        return True
    eighths = seconds / length * bars * 8.0
    on_eighth = abs(eighths - round(eighths)) <= _OFF and round(eighths) >= 1
    return on_eighth and whole.count.score > max(_WHOLE, rest.count.score - _WORSE)


def silence_before(samples: F32, rate: int) -> int:
    """Frames of initial silence in `[channels, frames]`."""
    step = max(1, round(_PIECE * rate))
    count = samples.shape[1] // step
    if not count:
        return 0
    pieces = samples[:, : count * step].reshape(samples.shape[0], count, step)
    level = np.sqrt((pieces.astype(np.float64) ** 2).mean(axis=2).max(axis=0))
    return int(np.argmax(level >= level.max() * 10 ** (SILENCE / 20))) * step


def _stated_part(frames: int, rate: int, label: TempoLabel) -> tuple[int, int]:
    """Region between the file's own loop points, if that is at least half of it: else the whole."""
    if label.first is None or label.last is None:
        return 0, frames
    first, last = round(label.first * rate), min(frames, round(label.last * rate))
    enough = max(SHORTEST * rate, _MAX_CUT * frames)
    return (first, last) if last - first >= enough else (0, frames)


def _read(mono: F32, rate: int, first: int, last: int, known: LoopTables) -> LoopReading:
    import soxr

    part = mono[first:last]
    seen = picture(np.asarray(soxr.resample(part, rate, RATE), np.float32), len(part) / rate)
    role = known.role(seen)
    count = known.bars(seen, role)
    if not tempo.beats(seen):
        count = BarCount(count.bars, 0.0, count.other, count.score)
    return LoopReading(first, last, seen, role, count)


def _stated_reading(
    readings: list[LoopReading], mono: F32, rate: int, label: TempoLabel, known: LoopTables
) -> LoopReading | None:
    """Reading with the file's own tempo; None without one or without whole bars at it."""
    if label.bpm is None:
        return None
    near = tempo.NEAR if label.certain else tempo.NEAR_NUMBER
    counts = [tempo.bars_at_tempo(label.bpm, reading.seen.seconds, near) for reading in readings]
    fitting = [_stated(reading, n, label.origin) for reading, n in zip(readings, counts, strict=True) if n]
    if fitting:
        return min(fitting, key=partial(_tempo_distance, bpm=label.bpm))
    reading = readings[-1]
    bars = int(label.bpm * (reading.last - reading.first) / rate / 240.0)
    frames = round(bars * 240.0 / label.bpm * rate)
    if not label.certain or bars < 1 or frames < max(SHORTEST * rate, _MAX_CUT * (reading.last - reading.first)):
        return None
    return _stated(_read(mono, rate, reading.first, reading.first + frames, known), bars, label.origin)


def _tempo_distance(reading: LoopReading, bpm: float) -> float:
    """Distance in octaves of a reading's tempo from a stated one, or from twice that."""
    octaves = math.log2(240.0 * reading.count.bars / reading.seen.seconds / bpm)
    return abs(octaves - round(octaves))


def _stated(reading: LoopReading, bars: int, origin: str) -> LoopReading:
    count = BarCount(bars, 1.0, reading.count.bars, reading.count.score)
    return LoopReading(reading.first, reading.last, reading.seen, reading.role, count, origin)


# ---- Embedding of a loop's harmony and rhythm by its grid of 16ths; the product of two is their compatibility

BARS, STEPS = 4, 64
CLASSES, BEATS = 12, 16
WEIGHTS = (8.0, 1.6)
"""Weights of harmony and rhythm in the product of two vectors, chosen on songs of validation."""


def grid(seen: Picture, bars: int) -> F32:
    """Pitch classes, and onsets of low bands in the last row, float32 `[CLASSES + 1, STEPS]`, of 0 to 1.

    A loop of fewer bars is repeated; of a longer one the first four are used.
    """
    level = np.sqrt(seen.notes)
    classes = np.zeros((level.shape[1], CLASSES))
    for pitch, row in enumerate(level):
        classes[:, (pitch + LOWEST) % CLASSES] += row
    chroma = _steps(classes, bars, STEPS)
    onsets = _steps(seen.onsets[:1].T, bars, STEPS)
    return np.hstack([part / (part.max() + 1e-9) for part in (chroma, onsets)]).T.astype(np.float32)


def _steps(rows: np.ndarray[tuple[int, ...], np.dtype[np.floating]], bars: int, steps: int) -> F32:
    """Means of `[frames, n]`, a circle of `bars` bars, around each of `steps` positions in four bars."""
    frames = len(rows)
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(np.concatenate([rows, rows, rows]), axis=0)])
    width = frames * BARS / (bars * steps)
    # a step's place is its middle: an onset a little early or late stays in it
    middle = np.arange(steps) * width % frames + frames
    edges = np.stack([middle - width / 2, middle + width / 2]) + 0.5
    below = np.floor(edges).astype(int)
    part = (edges - below)[..., None]
    at = total[below] * (1 - part) + total[below + 1] * part
    return np.asarray((at[1] - at[0]) / width, np.float32)


def fit_values(reading: LoopReading) -> dict[str, Any]:
    """Quantities of a loop."""
    seen, bars = reading.seen, reading.count.bars
    loop = grid(seen, bars)
    register = None
    if reading.role == "drums":
        loop[:CLASSES] = 0.0
    else:
        level = np.sqrt(seen.notes).sum(axis=1)
        register = float(level @ (np.arange(len(level)) + LOWEST) / (level.sum() + 1e-12))
    onsets = seen.onsets[3]
    peaks = (onsets > np.roll(onsets, 1)) & (onsets >= np.roll(onsets, -1)) & (onsets > onsets.mean() + onsets.std())
    return {
        "fit_bpm": 240.0 * bars / seen.seconds,
        "fit_density": float(peaks.sum()) / (4.0 * bars),
        "fit_register": register,
        "fit": vector(loop),
    }


def vector(loop: F32) -> F32:
    """Embedding of a grid, float32 `[n]`: harmony `[12, BEATS]` row by row, then onsets."""
    beats = loop[:CLASSES].reshape(CLASSES, BEATS, -1).mean(axis=2)
    level = beats.sum(axis=0)
    harmony = beats / (level + 0.15 * level.max() + 1e-6)
    onsets = loop[CLASSES:]
    centred = (harmony - harmony.mean(axis=0), onsets - onsets.mean(axis=1, keepdims=True))
    parts = [
        np.sqrt(weight) / (np.linalg.norm(part) + 1e-9) * part.ravel()
        for part, weight in zip(centred, WEIGHTS, strict=True)
    ]
    return np.concatenate(parts).astype(np.float32)
