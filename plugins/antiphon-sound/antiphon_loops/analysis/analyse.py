"""Analysis of one loop file: all fields of `Loop`."""

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.analysis import LoudnessMeter, listening_mono
from antiphon_loops.analysis import tables, tempo
from antiphon_loops.analysis.reading import (
    LONGEST,
    NO_LABEL,
    SHORTEST,
    LoopReading,
    NoLoop,
    TempoLabel,
    fit_values,
    number_in,
    read_region,
    read_tempo_label,
    silence_before,
    sound_of,
    true_peak,
)
from antiphon_loops.analysis.spectrum import ALL, BANDS, LOWEST, Picture
from antiphon_loops.record import MOODS, Loop
from antiphon_loops.rules import Rules

_ODDS = (-8.22, 5.03, 3.03, 2.01, 0.47, 4.39)
"""Intercept, and weights of `features`."""
_PROMINENT, _MAX_EVENTS, _MAX_PULSE = 0.3, 16, 1.5


_SONG, _EIGHTHS, _MAX_EARLY = 20.0, 0.05, 0.12
"""Seconds from which a sound may be cut from a song; minimum share of onsets that repeat in eighths; and maximum
distance, in beats, of the begin of a loop from these. Of 12 rendered loops of 20 s and more none has more than .11;
cuts of records at any place, that hold whole bars, have .17 to .25."""
_MAX_REST = 2.0
"""Maximum beats of silence at the end of a loop. Of 36 rendered and 17 recorded loops none has more than 0.6; 37
pieces played to their end, at 68 to 180 bpm, have 2.3 to 24, in which their last notes have decayed."""


def confidence(seen: Picture, bars: int) -> float:
    """Probability that a sound is a loop of `bars` bars, 0 to 1."""
    odds = _ODDS[0] + float(np.dot(_ODDS[1:], features(seen, bars)))
    return round(float(1.0 / (1.0 + np.exp(-odds))), 4)


def begins_on_beat(seen: Picture, bars: int) -> bool:
    """Whether a sound as long as a song begins on an eighth of its bars, as a loop does and a cut of a record does not.

    True for shorter sounds, and those without eighths.
    """
    spectrum = np.fft.rfft(seen.onsets[ALL])
    if seen.seconds < _SONG or 8 * bars >= len(spectrum):
        return True
    eighths = spectrum[8 * bars] / (spectrum[0].real + 1e-9)
    return bool(abs(eighths) < _EIGHTHS or abs(np.angle(eighths)) / (4.0 * np.pi) <= _MAX_EARLY)


def features(seen: Picture, bars: int) -> F64:
    """Onset autocorrelation at one and two beats; onset alignment to beats and their halves; the share of onsets in the
    weakest quarter, 1 if they are even; octaves of prominent onsets; and whether the length fits bars of a round
    tempo."""
    onsets = seen.onsets[ALL]
    count = len(onsets)
    even = onsets - onsets.mean()
    circle = np.fft.irfft(np.abs(np.fft.rfft(even)) ** 2, count)
    circle /= circle[0] + 1e-12
    lags = [round(count / (4 * bars) * beats) % count for beats in (1, 2)]
    repeated = max((float(circle[lag]) for lag in lags if lag), default=0.0)
    spectrum = np.abs(np.fft.rfft(onsets))
    pulse = sum(float(spectrum[part * bars]) for part in (4, 8, 16) if part * bars < len(spectrum))
    quarters = [float(part.sum()) for part in np.array_split(onsets, 4)]
    peaks = onsets[(onsets > np.roll(onsets, 1)) & (onsets >= np.roll(onsets, -1))]
    events = int((peaks > _PROMINENT * peaks.max(initial=0.0)).sum())
    return np.array(
        [
            repeated,
            min(_MAX_PULSE, pulse / (float(spectrum[0]) + 1e-9)),
            4.0 * min(quarters) / (sum(quarters) + 1e-9),
            np.log2(min(_MAX_EVENTS, max(1, events))),
            float(tempo.has_round_tempo(seen.seconds, bars)),
        ]
    )


_QUIETEST = 1e-4
CONTOUR = 16


def analyse_file(path: Path, name: str, label: TempoLabel | None = None) -> Loop:
    """Analyses a file called `name` within the library; `label`: stated tempo, None to read it from the file.

    A bare number in its name is used if the tempo is otherwise uncertain. Raises FileError: it cannot be read, or is no
    loop.
    """
    samples, rate = sound_of(path, name)
    loop = analyse(samples, rate, name, label or read_tempo_label(path, name), with_fit=True)
    number = number_in(name)
    if label is None and number is not None and Rules().leaves_out(loop):
        again = analyse(samples, rate, name, TempoLabel(number, False, "number"), with_fit=True)
        return again if again.tempo_from == "number" else loop
    return loop


def read(samples: NDArray[np.float32], rate: int, name: str = "", label: TempoLabel = NO_LABEL) -> LoopReading:
    """Finds the loop region of float32 `[channels, frames]`, and its bars. Raises NoLoop: the sound is no loop."""
    seconds = samples.shape[1] / rate
    if not SHORTEST <= seconds <= LONGEST:
        raise NoLoop(name, f"it is {seconds:.3g} s long, and {SHORTEST:g} to {LONGEST:g} s make one")
    mono = listening_mono(samples)
    top = float(np.abs(samples).max())
    if top < _QUIETEST:
        raise NoLoop(name, "it is silent")
    if float(mono.std()) < 1e-3 * top:
        raise NoLoop(name, "it is a constant, which is no sound")
    return read_region(samples, mono / np.float32(top), rate, label)


def analyse(
    samples: NDArray[np.float32], rate: int, name: str = "", label: TempoLabel = NO_LABEL, *, with_fit: bool = False
) -> Loop:
    """Analyses float32 `[channels, frames]`; `with_fit`: includes the analysis `fit`.

    Raises NoLoop: the sound is no loop.
    """
    reading = read(samples, rate, name, label)
    seen, role, bars = reading.seen, reading.role, reading.count.bars
    samples, seconds = samples[:, reading.first : reading.last], (reading.last - reading.first) / rate
    key, key_sure = (None, 0.0) if role == "drums" else tables.load().key_of(seen, role)
    bpm = 240.0 * bars / seconds
    # what its file states is a loop, however it begins and ends
    whole = reading.origin not in ("sound", "number") or (
        silence_before(samples[:, ::-1], rate) <= _MAX_REST * 60.0 / bpm * rate and begins_on_beat(seen, bars)
    )
    edges = np.linspace(0, samples.shape[1], bars + 1).astype(int)
    power = np.array([float((samples[:, a:b].astype(np.float64) ** 2).mean()) for a, b in itertools.pairwise(edges)])
    levels = tuple(round(float(v), 1) for v in 10 * np.log10(power / power.max() + 1e-9))
    pitch, contour = _lead(seen) if role != "drums" else (None, (None,) * CONTOUR)
    dance, valence, arousal = _estimate_mood(seen, bpm, bars, key)
    return Loop(
        name, rate, round(reading.first / rate, 6), round(seconds, 6), round(bpm, 3), bars, reading.count.sure,
        reading.origin, round(240.0 * reading.count.other / seconds, 3), key, key_sure,
        role if role in ("drums", "bass") else "harmonic", role, round(LoudnessMeter.of(samples, rate), 2),
        round(20 * float(np.log10(max(true_peak(samples, rate), 1e-6))), 2), pitch, contour,
        _chroma(seen) if role != "drums" else (), tempo.pattern(seen, bars),
        tempo.straight(seen, bars), levels, dance, valence, arousal,
        _mood_name(valence, arousal), _style(seen, bpm, bars, role), _mfcc(seen),
        confidence(seen, bars) if whole else 0.0,
        fit_values(reading) if with_fit else {},
    )  # fmt: skip


def _lead(seen: Picture) -> tuple[float | None, tuple[float | None, ...]]:
    """Median of the strongest note, and its contour in 16 parts."""
    best = seen.notes.argmax(axis=0) + LOWEST
    level = seen.notes.max(axis=0)
    audible = level > 0.02 * level.max()
    if not audible.any():
        return None, (None,) * CONTOUR
    middle = float(np.median(best[audible]))
    part = np.arange(len(best)) * CONTOUR // len(best)
    course = [best[(part == n) & audible] for n in range(CONTOUR)]
    return middle, tuple(float(np.median(c)) - middle if len(c) else None for c in course)


def _chroma(seen: Picture) -> tuple[float, ...]:
    level = np.sqrt(seen.notes / (seen.notes.max() + 1e-12)).sum(axis=1)
    total = np.bincount((np.arange(len(level)) + LOWEST) % 12, weights=level, minlength=12)
    return tuple(round(float(v), 3) for v in total / (total.sum() + 1e-12))


def _estimate_mood(seen: Picture, bpm: float, bars: int, key: str | None) -> tuple[float, float, float]:
    """Danceability, valence, arousal by heuristics: a clear beat near 120; mode, brightness; speed, density."""
    spectrum = np.abs(np.fft.rfft(seen.onsets[3]))
    clear = sum(float(spectrum[k * bars]) for k in (4, 8) if k * bars < len(spectrum)) / (float(spectrum[0]) + 1e-9)
    near = float(np.exp(-((np.log2(bpm / 120.0) / 0.45) ** 2)))
    low = float(seen.onsets[0].mean() / (seen.onsets[:3].mean() + 1e-9))
    dance = _bounded(0.45 * near + 0.35 * min(1.0, clear) + 0.2 * min(1.0, low))
    mean = seen.mel.mean(axis=0)
    bright = float(mean @ np.arange(BANDS) / (mean.sum() + 1e-12)) / BANDS
    onsets = seen.onsets[3]
    count = int(
        (
            (onsets > np.roll(onsets, 1)) & (onsets >= np.roll(onsets, -1)) & (onsets > onsets.mean() + onsets.std())
        ).sum()
    )
    density = min(1.0, count / seen.seconds / 8.0)
    mode = 0.0 if key is None else 0.2 if key.endswith("major") else -0.2
    valence = _bounded(0.5 + mode + 0.8 * (bright - 0.3) + 0.15 * np.log2(bpm / 110.0))
    arousal = _bounded(0.1 + 0.45 * density + 0.3 * np.log2(bpm / 70.0) + 0.3 * (bright - 0.2))
    return dance, valence, arousal


def _bounded(value: float) -> float:
    return round(float(min(1.0, max(0.0, value))), 3)


def _mood_name(valence: float, arousal: float) -> str:
    words = [w for w in MOODS if w != "any"]
    return min(words, key=lambda w: (MOODS[w][0] - valence) ** 2 + (MOODS[w][1] - arousal) ** 2)


def _style(seen: Picture, bpm: float, bars: int, role: str) -> str:
    """Style word by rules: for drums by their groove, for the others by their articulation."""
    onsets = seen.onsets
    spectra = np.fft.rfft(onsets, axis=1)

    def at(row: int, part: int) -> float:
        place = part * bars
        return float(np.real(spectra[row, place]) / (abs(spectra[row, 0]) + 1e-9)) if place < spectra.shape[1] else 0.0

    if role != "drums":
        per_bar = float((onsets[3] > onsets[3].mean() + 2 * onsets[3].std()).sum()) / bars
        return "sustained" if per_bar < 5 else "sparse" if per_bar < 12 else "flowing" if per_bar < 24 else "busy"
    if at(3, 12) > max(at(3, 8), at(3, 16)) and at(3, 12) > 0.15:
        return "shuffle"
    if at(0, 4) > 0.5:
        return "four on the floor"
    if at(1, 2) < -0.25 or at(2, 2) < -0.25:
        return "backbeat"
    if at(1, 1) < -0.3:
        return "half-time"
    return "breakbeat" if bpm > 130 else "syncopated"


def _mfcc(seen: Picture) -> tuple[float, ...]:
    """Means of the first 13 MFCC, of 40 mel bands in dB."""
    log: F64 = 10 * np.log10(seen.mel.astype(np.float64) + 1e-10)
    turns = np.cos(np.pi * np.outer(np.arange(13), np.arange(BANDS) + 0.5) / BANDS)
    return tuple(round(float(v), 3) for v in turns @ log.mean(axis=0) * np.sqrt(2.0 / BANDS))
