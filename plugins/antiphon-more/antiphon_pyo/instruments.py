"""Instruments: attack, release, the effect of velocity, and the sounds of key ranges, as plain arrays.

Zones are computed in a separate process and read from its pipe, so that the worker keeps playing. pyo is not imported.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import EngineError, Samples, frequency, note_number
from antiphon.api.backends.runtime import CHILD_FAULTS, ChildLimits, HelperChannel, spawn

STEPS = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Velocities for which `ZoneSound.cutoffs` has values."""


@dataclass(frozen=True, slots=True)
class ZoneSound:
    """A zone without pyo objects. `left`, `right`: float32 `[frames]`, the same array for a mono sound.

    root: key of its recorded pitch.  low, high: key range.  rate: frames per second. cutoffs: Hz of the low-pass at the
    root, at each of `STEPS`. `loop`: whether it loops seamlessly; otherwise it ends.
    """

    left: Samples
    right: Samples
    root: float
    low: int
    high: int
    rate: float
    cutoffs: tuple[float, ...]
    loop: bool = False


# ---- Computed instruments: seamless ensemble loops (pad, strings) and plucked strings

LOOP = 1 << 17
LEAD = 2.0
"""Level of the undetuned string relative to all others; it keeps the perceived pitch constant."""
RMS = 0.1


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Spectrum of an ensemble: many detuned players of one note.

    `bright`: low-pass at the softest and the loudest velocity, in multiples of the middle between the note and A4.
    """

    tilt: float  # roll-off of the partials, dB an octave
    cents: float  # width of the first partial
    spread: float  # growth of the widths from partial to partial
    even: float  # level of even partials
    bodies: tuple[tuple[float, float, float], ...]  # resonances: Hz, width in octaves, dB
    bright: tuple[float, float]


STRINGS = Ensemble(
    5.0, 24.0, 0.85, 1.0, ((290.0, 0.35, 5.0), (480.0, 0.3, 4.0), (1100.0, 0.5, 2.0), (2700.0, 0.7, 6.0)), (2.6, 26.0)
)
PAD = Ensemble(7.0, 34.0, 0.9, 0.45, ((600.0, 1.0, 3.0),), (1.2, 15.0))
ROOTS = tuple(range(29, 109, 8))


def ensemble(like: Ensemble, rate: int, seed: int) -> Iterator[ZoneSound]:
    """Yields loops for all keys at the stream's rate."""
    for n, root in enumerate(ROOTS):
        low = 0 if n == 0 else root - 4
        high = 127 if n == len(ROOTS) - 1 else root + 3
        first = round(frequency(root) * LOOP / rate)
        left, right = (_loop(like, rate, first, (seed, root), side) for side in (0, 1))
        exact = note_number(first * rate / LOOP)
        yield ZoneSound(left, right, exact, low, high, rate, _cutoffs(root, like.bright), loop=True)


def _loop(like: Ensemble, rate: int, first: int, seed: tuple[int, int], side: int) -> Samples:
    """Loop of one side of a zone. `first`: bin of the first partial, and number of its periods in the loop."""
    rng, middle = np.random.default_rng((*seed, side)), np.random.default_rng(seed)
    bin_hz = rate / LOOP
    hz = first * bin_hz
    band = np.zeros(LOOP // 2 + 1, np.float32)
    lead = np.zeros(LOOP // 2 + 1, np.complex64)
    # a zone is played up to 4 semitones higher: what would fold is not made
    for k in range(1, int(min(64.0, 0.45 * rate / (hz * 1.26))) + 1):
        at = k * first
        gain = 10 ** (-like.tilt * np.log2(k) / 20) * (like.even if k % 2 == 0 else 1.0)
        for centre, width, db in like.bodies:
            gain *= 10 ** (db / 20 * np.exp(-0.5 * (np.log2(at * bin_hz / centre) / width) ** 2))
        sigma = max(1.0, (2 ** (like.cents / 1200) - 1) * first * k**like.spread / 2)
        low = max(1, int(at - 4 * sigma))
        high = min(len(band) - 1, int(at + 4 * sigma) + 1)
        bins = np.arange(low, high)
        band[low:high] += gain / np.sqrt(sigma) * np.exp(-0.5 * ((bins - at) / sigma) ** 2)
        lead[at] = gain * LEAD / k**0.5 * np.exp(2j * np.pi * middle.random())  # alike on both sides
    chance = rng.standard_normal(2 * len(band), np.float32).view(np.complex64)
    x = np.fft.irfft(band * chance + lead)
    # pyo's guard point after a table's end is 0: so the loop begins where it crosses 0
    crossing = int(np.argmin(np.abs(x[:4096]) + np.abs(np.roll(x, 1)[:4096])))
    x = np.roll(x, -crossing)
    loop: Samples = (x * (RMS / np.sqrt(np.mean(x**2)))).astype(np.float32)
    return loop


def pluck(rate: int, seed: int) -> Iterator[ZoneSound]:
    """Yields plucked strings, between a harp and a guitar, for all keys."""
    roots = tuple(range(31, 104, 6))
    for n, root in enumerate(roots):
        low = 0 if n == 0 else root - 3
        high = 127 if n == len(roots) - 1 else root + 2
        period = max(8, round(rate / frequency(root)))
        left, right = (
            _string(period, rate, np.random.default_rng((seed, root, side)), 0.17 + 0.05 * side) for side in (0, 1)
        )
        yield ZoneSound(left, right, note_number(rate / period), low, high, rate, _cutoffs(root, (3.0, 40.0)))


def _string(period: int, rate: int, rng: np.random.Generator, place: float) -> Samples:
    hz = rate / period
    partials = max(2, min(period // 2 - 1, int(0.4 * rate / hz)))
    k = np.arange(1, partials + 1)
    level = np.abs(np.sin(np.pi * k * place)) / k**0.75 / np.sqrt(1 + (k * hz / 5000.0) ** 4)
    level *= 1.0 + 0.15 * rng.standard_normal(partials)
    t60 = 6.0 * (110.0 / hz) ** 0.55 / (1.0 + 0.11 * (k - 1) * (hz / 220.0) ** 0.35)
    seconds = min(6.0, float(t60[0]) * 1.05)
    count = int(seconds * rate / period) + 1
    decay = 10 ** (-3.0 * (np.arange(count + 1)[:, None] * period / rate) / t60[None, :])
    spectrum = np.zeros((count + 1, period // 2 + 1), np.complex64)
    # near a plucked string's, with a small offset so that left and right differ
    phases = -np.pi / 2 + 0.6 * rng.standard_normal(partials)
    spectrum[:, 1 : partials + 1] = decay * (level * np.exp(1j * phases))
    periods = np.fft.irfft(spectrum, n=period, axis=1).astype(np.float32)
    across = np.linspace(0.0, 1.0, period, endpoint=False, dtype=np.float32)
    x: NDArray[np.float32] = (periods[:-1] * (1.0 - across) + periods[1:] * across).reshape(-1)
    pick = int(0.004 * rate)
    noise = rng.standard_normal(pick).astype(np.float32) * np.linspace(1.0, 0.0, pick, dtype=np.float32) ** 2
    strongest = float(np.sqrt(np.mean(x[: rate // 20] ** 2)))
    x[:pick] += noise * np.float32(0.25 * strongest)
    x[:8] *= np.linspace(0.0, 1.0, 8, dtype=np.float32)
    tail = min(len(x), rate // 10)
    x[-tail:] *= np.linspace(1.0, 0.0, tail, dtype=np.float32)
    return (x * np.float32(2.0 * RMS / strongest)).astype(np.float32)


def _cutoffs(root: int, bright: tuple[float, float]) -> tuple[float, ...]:
    soft, loud = bright
    start, end = STEPS[0], STEPS[-1]
    middle = frequency((root + 69) / 2)
    return tuple(min(20000.0, middle * soft * (loud / soft) ** ((v - start) / (end - start))) for v in STEPS)


class SamplesError(EngineError):
    """Samples cannot be read, in one sentence."""


def folder() -> Path:
    """Folder of the samples: beside the plugin `antiphon_synth`, in a checkout and in a wheel."""
    try:
        return Path(str(resources.files("antiphon_synth"))) / "samples"
    except ModuleNotFoundError as error:
        raise SamplesError("the samples come with the plugin antiphon_synth, which is not installed") from error


def load(name: str, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of "piano", "bass" or "drums" from the lowest, generated on demand; `where` None is `folder()`.

    Raises SamplesError: they cannot be read.
    """
    where = where or folder()
    try:
        index: dict[str, Any] = json.loads((where / "index.json").read_text())
        if tuple(index["velocities"]) != STEPS:
            raise SamplesError(f"{where / 'index.json'} was made for other velocities; run sampling.py again")
        row = index[name]
        with soundfile.SoundFile(where / row["file"]) as file:
            yield from _read(file, row["zones"])
    except (OSError, KeyError, ValueError, soundfile.SoundFileError) as error:
        raise SamplesError(f"the samples of {name} in {where} cannot be read: {error}") from error


def _read(file: soundfile.SoundFile, zones: list[dict[str, Any]]) -> Iterator[ZoneSound]:
    at = 0
    for zone in zones:
        file.read(zone["start"] - at, dtype="float32")  # a seek in Vorbis decodes as much
        x = file.read(zone["frames"], dtype="float32", always_2d=True)
        at = zone["start"] + zone["frames"]
        left = np.ascontiguousarray(x[:, 0])
        right = np.ascontiguousarray(x[:, 1]) if x.shape[1] > 1 else left
        yield ZoneSound(left, right, zone["root"], zone["low"], zone["high"], file.samplerate, tuple(zone["cutoffs"]))


@dataclass(frozen=True, slots=True)
class Instrument:
    """A sampled instrument."""

    name: str
    attack: float  # seconds
    release: float  # seconds
    level: float  # gain at full velocity
    curve: float  # exponent of the velocity
    one_shot: bool = False  # it plays to its end; note-offs have no effect
    free: bool = False  # a note begins at a random position of its loop
    damped: int = 127  # highest key with a damper; above it notes ring
    chokes: dict[int, int] = field(default_factory=dict)  # choke groups by key


_HATS = {42: 1, 44: 1, 46: 1}
_PAIRS = {71: 2, 72: 2, 73: 3, 74: 3, 78: 4, 79: 4, 80: 5, 81: 5}

INSTRUMENTS = {
    each.name: each
    for each in (
        Instrument("piano", 0.0005, 0.30, 1.45, 1.7, damped=88),
        Instrument("bass", 0.001, 0.12, 1.2, 1.25),
        Instrument("pad", 0.35, 1.2, 1.25, 1.3, free=True),
        Instrument("pluck", 0.0005, 0.25, 0.85, 1.6),
        Instrument("strings", 0.09, 0.45, 1.45, 1.4, free=True),
        Instrument("drums", 0.0003, 0.05, 1.3, 1.5, one_shot=True, chokes=_HATS | _PAIRS),
    )
}


def sounds(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of an instrument, generated on demand; `where` None is the plugin `antiphon_synth`'s folder.

    Raises SamplesError: the samples cannot be read.
    """
    match name:
        case "pad":
            return ensemble(PAD, rate, 11)
        case "strings":
            return ensemble(STRINGS, rate, 12)
        case "pluck":
            return pluck(rate, 13)
        case _:
            return load(name, where)


LIMITS = ChildLimits(nice=5)
"""Limits of the computing process: lower priority than the playing one, but a player waits for it."""
MAX_ZONE_BYTES = 1 << 30
"""Maximum bytes of a zone."""
_PLAIN = tuple(field.name for field in fields(ZoneSound) if field.name not in ("left", "right"))


def read(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """Yields zones of an instrument from another process as they arrive; arguments are those of `instruments.sounds`.

    Raises SamplesError: the process has ended without the last zone.
    """
    with spawn(f"{__name__}:main", name, str(rate), str(where or ""), limits=LIMITS) as process:
        try:
            while "end" not in (answer := process.receive(MAX_ZONE_BYTES))[0]:
                yield _zone(*answer)
        except CHILD_FAULTS:
            raise SamplesError(f"the process that loads {name} ended before it had") from None


def _zone(plain: dict[str, Any], sound: bytearray) -> ZoneSound:
    mono = plain.pop("mono")
    sides: Samples = np.frombuffer(sound, np.float32).reshape(1 if mono else 2, -1)
    return ZoneSound(sides[0], sides[-1], **{**plain, "cutoffs": tuple(plain["cutoffs"])})


def main(channel: HelperChannel, name: str, rate: str, where: str) -> None:
    """Sends the zones of the requested instrument."""
    for zone in sounds(name, int(rate), Path(where) if where else None):
        mono = zone.right is zone.left
        plain = {name: getattr(zone, name) for name in _PLAIN}
        sides = (zone.left,) if mono else (zone.left, zone.right)
        channel.send({**plain, "mono": mono}, *map(np.ascontiguousarray, sides))
    channel.send({"end": True})
