"""The file job `antiphon run third A OUT -p reference=B`: the notes and beats of A with the timbre and drums of B."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.api import FileError, StreamSpec, UsageError, Value
from antiphon.api.files import AudioWriter, printable_path, read_sound
from antiphon.api.jobs import FileJob, Written
from antiphon.api.rendering import load_plugins
from antiphon.api.testing import run_processor
from antiphon_mosaic.corpus import read
from antiphon_mosaic.features import F32, F64

SIZE, HOP, MEDIAN = 2048, 512, 17
"""Samples of a window and of its hop; frames and bins of the medians by which what is struck is separated."""
AT_ONCE = 256
LONGEST = 600.0
"""Seconds of A."""
CHANGE = 0.75
"""`amount` of the transfer of what is held."""
STRUCK = 0.7
"""Factor of each of both forms of what is struck: A's own by an equaliser, and B's units."""
BLOCK = 1024
USED = ("reference", "tempo")


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the third song, as long as A, or at another tempo.

    Raises:
        UsageError: A parameter was given that only the live node has, or A is too long.
        FileError: A file cannot be read or written.
    """
    if others := sorted(set(job.settings) - set(USED)):
        raise UsageError(f"on files third takes reference and tempo alone; leave {', '.join(others)} out")
    first = read_sound(job.source)
    if first.samples.shape[1] > LONGEST * first.rate:
        raise UsageError(f"{printable_path(job.source)} is longer than {LONGEST / 60:g} minutes; give a shorter part")
    if first.samples.shape[1] < 2 * SIZE:
        raise FileError(f"{printable_path(job.source)} is too short; give at least {2 * SIZE} samples")
    sound, rate = first.samples, first.rate
    found: tuple[str, ...] = ()
    if wanted := float(job.settings.get("tempo", 0.0)):
        own = tempo_of(sound.mean(axis=0), rate)
        sound = stretch_to(sound, rate, own / wanted)
        found = (f"{own:.1f} bpm played at {wanted:g}",)
    job.progress(0.1)
    reference = np.concatenate(read(str(job.settings["reference"]), rate))[None]
    made = third(sound, reference, rate, job.progress)
    with AudioWriter(job.target, rate, len(made), to=job.rate) as writer:
        writer.write(made)
    if writer.clipped:
        job.complain(f"{writer.name}: {writer.clipped} samples were over full scale and are cut to it")
    return (Written.sound(writer, printable_path(job.source), found),)


def third(first: F32, second: F32, rate: int, progress: Callable[[float], None] = lambda part: None) -> F32:
    """The notes and beats of `first` `[channels, n]` with the timbre and drums of `second` `[1, m]`.

    What is held gets B's long-term spectrum and then `transfer`. What is struck is half A's own with B's spectrum, half
    units of what B strikes; both have their share in B. The result has A's level.
    """
    held, struck = separate(first)
    their_held, their_struck = separate(second)
    if _level(their_held) < 0.02 * _level(second):
        their_held = second
    progress(0.3)
    held = node("transfer", equalise(held, their_held), their_held, rate, {"amount": CHANGE})
    out = _at(_level(their_held), held)
    progress(0.6)
    if _level(their_struck) > 0.02 * _level(second) and _level(struck) > 1e-5:
        own = equalise(struck, their_struck)
        units = node("mosaic", struck, their_struck, rate, {"size": 80.0, "pitch": 0.0, "transpose": 0, "fit": 0.0})
        out += STRUCK * (_at(_level(their_struck), own) + _at(_level(their_struck), units))
    progress(0.9)
    out = _at(_level(first), out)
    return np.asarray(out * min(1.0, 0.98 / max(float(np.abs(out).max()), 1e-9)), np.float32)


def node(kind: str, sound: F32, reference: F32, rate: int, values: dict[str, Value]) -> F32:
    """A sound `[channels, n]` through a node with a reference, its latency taken out."""
    import soundfile

    processor = load_plugins(check=False).make(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.wav"
        soundfile.write(path, reference.T, rate, "FLOAT")
        padded = np.pad(sound, ((0, 0), (0, rate // 2)))
        out = run_processor(processor, StreamSpec(rate, BLOCK, len(sound)), padded, {"reference": str(path), **values})
    return out[:, processor.latency : processor.latency + sound.shape[1]]


def apply_filter(sound: F32, gains: Callable[[F32], tuple[F32, ...]], count: int) -> tuple[F32, ...]:
    """Sounds by gains of the spectra of `[channels, n]`; `gains` gives `count` arrays for magnitudes `[frames, bins]`.

    The magnitudes have `MEDIAN // 2` frames more on either side than the gains.
    """
    window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    side, length = MEDIAN // 2, sound.shape[1]
    outs = tuple(np.zeros_like(sound) for _ in range(count))
    frames = length // HOP + SIZE // HOP + 1
    before = SIZE + side * HOP
    for channel in range(len(sound)):
        padded = np.pad(sound[channel], (before, before + SIZE + HOP))
        views = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
        sums = np.zeros((count, length + 3 * SIZE), np.float32)
        for at in range(0, frames, AT_ONCE):
            spectra = np.fft.rfft(views[at : min(frames, at + AT_ONCE) + 2 * side] * window, axis=1)
            inner = spectra[side : len(spectra) - side]
            for total, gain in zip(sums, gains(np.abs(spectra)), strict=True):
                for n, piece in enumerate(np.fft.irfft(inner * gain, SIZE, axis=1) * (window / 1.5), at):
                    total[n * HOP : n * HOP + SIZE] += piece
        for out, total in zip(outs, sums, strict=True):
            out[channel] = total[SIZE : SIZE + length]
    return outs


def separate(sound: F32) -> tuple[F32, F32]:
    """What is held and what is struck, by medians over time and frequency (Fitzgerald, DAFx 2010)."""
    half = MEDIAN // 2

    def masks(levels: F32) -> tuple[F32, ...]:
        view = np.lib.stride_tricks.sliding_window_view
        held = np.median(view(levels, MEDIAN, axis=0), axis=-1) ** 2
        wide = np.pad(levels[half:-half], ((0, 0), (half, half)), "edge")
        struck = np.median(view(wide, MEDIAN, axis=1), axis=-1) ** 2
        share = (held / (held + struck + 1e-12)).astype(np.float32)
        return share, 1.0 - share

    held, struck = apply_filter(sound, masks, 2)
    return held, struck


def equalise(sound: F32, reference: F32) -> F32:
    """The sound with the reference's long-term spectrum, smoothed over thirds of an octave."""
    gain = np.minimum(np.sqrt(long_term(reference) / long_term(sound)), 1000.0).astype(np.float32)
    edges = 2 * (MEDIAN // 2)
    (out,) = apply_filter(sound, lambda levels: (np.broadcast_to(gain, (len(levels) - edges, len(gain))),), 1)
    return out


def long_term(sound: F32) -> F64:
    """Mean power of the bins, smoothed."""
    mono = np.pad(sound.mean(axis=0), SIZE)
    views = np.lib.stride_tricks.sliding_window_view(mono, SIZE)[::HOP]
    power, window = np.zeros(SIZE // 2 + 1), np.hanning(SIZE)
    for at in range(0, len(views), AT_ONCE):
        power += (np.abs(np.fft.rfft(views[at : at + AT_ONCE] * window, axis=1)) ** 2).sum(axis=0)
    bins = np.arange(len(power))
    width = np.maximum(1.0, 0.115 * bins)
    low = np.maximum(0, np.floor(bins - width)).astype(int)
    high = np.minimum(len(power), np.ceil(bins + width + 1)).astype(int)
    total = np.concatenate([[0.0], np.cumsum(power / len(views))])
    return np.asarray((total[high] - total[low]) / (high - low) + 1e-12, np.float64)


def tempo_of(mono: F32, rate: int) -> float:
    """Beats a minute of the first 90 s, by the autocorrelation of the rise of 64 bands; near 110 where it is open."""
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
    """The sound `factor` times as long at its pitch (Signalsmith Stretch)."""
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(1)
    stretch.preset(len(sound), float(rate))
    stretch.setTimeFactor(1.0 / factor)
    return np.asarray(stretch.process(np.ascontiguousarray(sound)), np.float32)


def _level(sound: F32) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) + 1e-9


def _at(level: float, sound: F32) -> F32:
    return np.asarray(sound * (level / _level(sound)), np.float32)
