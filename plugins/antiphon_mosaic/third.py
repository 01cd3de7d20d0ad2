"""File job `antiphon run third A OUT`: notes and beats of A with the timbre and drums of a reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, FileError, UsageError, Value
from antiphon.api.backends.analysis import listening_mono, separate_blocks
from antiphon.api.backends.files import AudioWriter, printable_path, read_sound
from antiphon.api.backends.rendering import play_through
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_mosaic.corpus import read

SIZE, HOP = 2048, 512
"""Window and hop in samples."""
BATCH_SIZE = 256
MAX_SECONDS = 600.0
"""Maximum seconds of A."""
TRANSFER_AMOUNT = 0.75
"""`amount` of the timbre transfer of the harmonic part."""
PERCUSSION_GAIN = 0.7
"""Gain of each of the two percussive layers: A's own, equalised, and B's units."""
PARAM_NAMES = ("reference", "tempo")


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the third song, as long as A, or at another tempo.

    Raises UsageError: a parameter was given that only the live node has, or A is too long. Raises FileError: a file
    cannot be read or written.
    """
    if others := sorted(set(job.settings) - set(PARAM_NAMES)):
        raise UsageError(f"on files third takes reference and tempo alone; leave {', '.join(others)} out")
    first = read_sound(job.source)
    if first.samples.shape[1] > MAX_SECONDS * first.rate:
        raise UsageError(
            f"{printable_path(job.source)} is longer than {MAX_SECONDS / 60:g} minutes; give a shorter part"
        )
    if first.samples.shape[1] < 2 * SIZE:
        raise FileError(f"{printable_path(job.source)} is too short; give at least {2 * SIZE} samples")
    sound, rate = first.samples, first.rate
    found: tuple[str, ...] = ()
    if wanted := float(job.settings.get("tempo", 0.0)):
        own = tempo_of(listening_mono(sound), rate)
        sound = stretch_to(sound, rate, own / wanted)
        found = (f"{own:.1f} bpm played at {wanted:g}",)
    job.progress(0.1)
    reference = np.concatenate(read(str(job.settings["reference"]), rate))[None]
    made = third(sound, reference, rate, job.progress)
    with AudioWriter(job.target, rate, len(made), finish=job.finish) as writer:
        for block in fade_out([made], rate, job.fade):
            writer.write(block)
    return (Written.sound(writer, printable_path(job.source), found),)


def third(
    first: F32,
    second: F32,
    rate: int,
    progress: Callable[[float], None] = lambda part: None,
) -> F32:
    """Notes and beats of `first` `[channels, n]` with the timbre and drums of `second` `[1, m]`.

    The harmonic part gets B's long-term spectrum and then `transfer`. The percussive part is half A's own with B's
    spectrum, half units of B's; both have their share in B. The result has A's level.
    """
    (held, struck), (their_held, their_struck) = (separate(sound, rate) for sound in (first, second))
    if _level(their_held) < 0.02 * _level(second):
        their_held = second
    progress(0.3)
    held = node("transfer", equalise(held, their_held), their_held, rate, {"amount": TRANSFER_AMOUNT})
    out = _at(_level(their_held), held)
    progress(0.6)
    if _level(their_struck) > 0.02 * _level(second) and _level(struck) > 1e-5:
        own = equalise(struck, their_struck)
        units = node("mosaic", struck, their_struck, rate, {"size": 80.0, "pitch": 0.0, "transpose": 0, "fit": 0.0})
        out += PERCUSSION_GAIN * (_at(_level(their_struck), own) + _at(_level(their_struck), units))
    progress(0.9)
    out = _at(_level(first), out)
    return np.asarray(out * min(1.0, 0.98 / max(float(np.abs(out).max()), 1e-9)), np.float32)


def node(kind: str, sound: F32, reference: F32, rate: int, values: dict[str, Value]) -> F32:
    """Sound `[channels, n]` through a node with a reference, at equal length."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.wav"
        soundfile.write(path, reference.T, rate, "FLOAT")
        return play_through(kind, sound, rate, {"reference": str(path), **values})


def separate(sound: F32, rate: int) -> tuple[F32, F32]:
    """Harmonic and percussive part of `[channels, n]`: all but the drums, and the drums, by `stems`."""
    names, blocks = separate_blocks([sound], rate, len(sound))
    struck = np.concatenate([block[names.index("drums")] for block in blocks], axis=1)
    return sound - struck, struck


def equalise(sound: F32, reference: F32) -> F32:
    """Sound with the reference's long-term spectrum, smoothed over thirds of an octave."""
    gain = np.minimum(np.sqrt(long_term(reference) / long_term(sound)), 1000.0).astype(np.float32)
    window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    out = np.zeros_like(sound)
    for channel, into in zip(sound, out, strict=True):
        padded = np.pad(channel, (SIZE, SIZE + HOP))
        views = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
        total = np.zeros_like(padded)
        for at in range(0, len(views), BATCH_SIZE):
            spectra = np.fft.rfft(views[at : at + BATCH_SIZE] * window, axis=1) * gain
            for n, piece in enumerate(np.fft.irfft(spectra, SIZE, axis=1) * (window / 1.5), at):
                total[n * HOP : n * HOP + SIZE] += piece
        into[:] = total[SIZE : SIZE + len(channel)]
    return out


def long_term(sound: F32) -> F64:
    """Mean power of the bins, smoothed."""
    mono = np.pad(listening_mono(sound), SIZE)
    views = np.lib.stride_tricks.sliding_window_view(mono, SIZE)[::HOP]
    power, window = np.zeros(SIZE // 2 + 1), np.hanning(SIZE)
    for at in range(0, len(views), BATCH_SIZE):
        power += (np.abs(np.fft.rfft(views[at : at + BATCH_SIZE] * window, axis=1)) ** 2).sum(axis=0)
    bins = np.arange(len(power))
    width = np.maximum(1.0, 0.115 * bins)
    low = np.maximum(0, np.floor(bins - width)).astype(int)
    high = np.minimum(len(power), np.ceil(bins + width + 1)).astype(int)
    total = np.concatenate([[0.0], np.cumsum(power / len(views))])
    return np.asarray((total[high] - total[low]) / (high - low) + 1e-12, np.float64)


def tempo_of(mono: F32, rate: int) -> float:
    """Tempo in bpm of the first 90 s, by the autocorrelation of the rise of 64 bands; near 110 if ambiguous."""
    window = np.hanning(1024)
    mono = mono[: 90 * rate]
    views = np.lib.stride_tricks.sliding_window_view(np.pad(mono, 1024), 1024)[:: (hop := rate // 100)]
    bands = np.abs(np.fft.rfft(views * window, axis=1))[:, 1:].reshape(len(views), 64, -1).mean(axis=2)
    rise = np.maximum(0.0, np.diff(np.log10(bands + 1e-4), axis=0)).sum(axis=1)
    rise = rise - rise.mean()
    found = np.fft.irfft(np.abs(np.fft.rfft(rise, 2 * len(rise))) ** 2)[: len(rise)]
    lags = np.arange(30.0, 100.0, 0.05)
    bpm = 60.0 * rate / hop / lags
    places = np.arange(len(found))
    score = sum(np.interp(n * lags, places, found) / n for n in (1, 2, 4))
    return float(bpm[np.argmax(score * np.exp(-0.5 * (np.log2(bpm / 110.0) / 0.7) ** 2))])


def stretch_to(sound: F32, rate: int, factor: float) -> F32:
    """Sound stretched by `factor` at its pitch (Signalsmith Stretch)."""
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(1)
    stretch.preset(len(sound), float(rate))
    stretch.setTimeFactor(1.0 / factor)
    return np.asarray(stretch.process(np.ascontiguousarray(sound)), np.float32)


def _level(sound: F32) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) + 1e-9


def _at(level: float, sound: F32) -> F32:
    return np.asarray(sound * (level / _level(sound)), np.float32)
