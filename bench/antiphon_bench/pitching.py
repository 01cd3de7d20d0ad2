"""Pitch and stretch beside pedalboard's (Rubber Band).

Each is given whole sounds, as the peer is made for; ours computes them block by block, as live.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from antiphon.api import F32, F64, StreamSpec
from antiphon.api.testing import run_processor
from antiphon_effects.jobs import stretch_blocks
from antiphon_effects.pitch import Pitch

RATE = 48000
SECONDS = 3.0
SEMITONES = (-7.0, -3.5, 3.5, 7.0)
FACTORS = (0.7, 1.5, 2.0)
HERTZ = (110.0, 220.0, 440.0, 997.0)
CHORD = tuple(220.0 * 2 ** (n / 12) for n in (0, 4, 7, 12))
PARTIALS = 4
HITS = tuple(range(14000, 110000, 15000))
LINE_BINS = 4
"""Half width in bins of a partial's line in a 65,536-point FFT, 0.7 Hz a bin."""
Shift = Callable[[F32, float], F32]
Stretch = Callable[[F32, float], F32]


def main(pedalboard: Any, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measures all of them; returns the rows of pitch and those of stretch."""
    shifts, stretches = methods(pedalboard)
    rng = np.random.default_rng(seed)
    return [pitch_row(name, shift) for name, shift in shifts.items()], [
        stretch_row(name, stretch, rng) for name, stretch in stretches.items()
    ]


def methods(pedalboard: Any) -> tuple[dict[str, Shift], dict[str, Stretch]]:
    """Ours and the peer; each takes float32 `[frames]`."""

    def ours(window: str) -> Shift:
        def shift(x: F32, semitones: float) -> F32:
            processor = Pitch()
            padded = np.concatenate([x, np.zeros(4096, np.float32)])[None]
            y = run_processor(processor, StreamSpec(RATE, 256, 1), padded, {"semitones": semitones, "window": window})
            return y[0, processor.latency :][: len(x)]

        return shift

    def rubber_band(x: F32, semitones: float) -> F32:
        made: F32 = np.asarray(pedalboard.PitchShift(semitones).process(x[None], RATE, 8192, True), np.float32)[0]
        return made

    return {
        "ours, long": ours("long"),
        "ours, short": ours("short"),
        "pedalboard PitchShift": rubber_band,
    }, {
        "ours": lambda x, factor: np.concatenate([y[0].copy() for y in stretch_blocks([x[None]], 1, RATE, factor)]),
        "pedalboard time_stretch": lambda x, factor: np.asarray(
            pedalboard.time_stretch(x[None], float(RATE), 1.0 / factor), np.float32
        )[0],
    }


def pitch_row(name: str, shift: Shift) -> dict[str, Any]:
    """Largest pitch error of a tone in cents, residual power outside a chord's partials, and time taken."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    cents = [
        1200.0 * np.log2(strongest_line(shift((0.4 * np.sin(2 * np.pi * hertz * t)).astype(np.float32), n)) / hertz)
        - 100.0 * n
        for hertz in HERTZ
        for n in SEMITONES
    ]
    x = chord(t)
    begun = time.process_time()
    beside = [outside_power(shift(x, n), 2 ** (n / 12)) for n in SEMITONES]
    spent = (time.process_time() - begun) / (len(SEMITONES) * SECONDS)
    return {"method": name, "cents": max(map(abs, cents)), "beside": float(np.mean(beside)), "ms": 1e3 * spent}


def stretch_row(name: str, stretch: Stretch, rng: np.random.Generator) -> dict[str, Any]:
    """Residual power outside a chord's partials; sharpness and timing error of transients."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    x = chord(t)
    begun = time.process_time()
    beside = [outside_power(stretch(x, factor), 1.0) for factor in FACTORS]
    spent = (time.process_time() - begun) / (sum(FACTORS) * SECONDS)
    hits = 0.3 * x
    n = np.arange(12000)
    for at in HITS:
        hits[at : at + 12000] += (0.4 * rng.normal(size=12000) * np.exp(-n / 500.0)).astype(np.float32)
    sharp, late = [], []
    for factor in FACTORS:
        y = stretch(hits, factor)
        for at in HITS:
            _, before = steepest_edge(hits, at)
            place, after = steepest_edge(y, round(at * factor))
            sharp.append(after / before)
            late.append(abs(place) / RATE)
    return {
        "method": name,
        "beside": float(np.mean(beside)),
        "sharp": float(np.mean(sharp)),
        "late": 1e3 * float(np.percentile(late, 90)),
        "ms": 1e3 * spent,
    }


def chord(t: F64) -> F32:
    """Four notes of four partials."""
    x = np.zeros(len(t))
    for f in CHORD:
        for k in range(1, PARTIALS + 1):
            x += 0.1 / k * np.sin(2 * np.pi * k * f * t)
    return x.astype(np.float32)


def strongest_line(y: F32) -> float:
    """The frequency of the largest line, in Hz, of the middle of y."""
    inner = y[RATE // 2 : RATE // 2 + 65536]
    power = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), 1 << 20))
    return float(np.argmax(power)) * RATE / (1 << 20)


def outside_power(y: F32, ratio: float) -> float:
    """Power outside the chord's partials at `ratio` of their frequencies, in dB of the total."""
    inner = y[RATE // 2 : RATE // 2 + 65536]
    power = np.abs(np.fft.rfft(inner * np.hanning(len(inner)))) ** 2
    kept = np.ones(len(power), bool)
    for f in CHORD:
        for k in range(1, PARTIALS + 1):
            at = round(f * k * ratio * len(inner) / RATE)
            kept[max(0, at - LINE_BINS) : at + LINE_BINS + 1] = False
    return float(10.0 * np.log10(power[kept].sum() / power.sum() + 1e-12))


def steepest_edge(x: F32, at: int) -> tuple[int, float]:
    """Position of the steepest millisecond near a frame, as an offset in frames, and its slope."""
    near = np.abs(np.diff(x, 2))[max(0, at - 2500) : at + 2500]
    level = np.convolve(near, np.ones(48) / 48, "same")
    return int(np.argmax(level > 0.5 * level.max())) - min(at, 2500), float(level.max())
