"""The sampled piano beside a General MIDI grand: attack, T60, centroid, log-spectral distance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Event, Samples, frequency

RATE = 44100
KEYS = (36, 48, 60, 72, 84)
VELOCITIES = (40, 80, 115)
HOLD = 8.0
HOP = 256
FONTS = {
    "FluidR3": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "TimGM6mb": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}
REFERENCE = "FluidR3"
ALLOWED = 0.3
"""Part by which a measure may differ from the reference's."""


@dataclass(frozen=True, slots=True)
class Measures:
    """attack: ms from 10 to 90 % of the envelope's peak.  t60: s, from the slope of the decay between -5 and -25 dB.
    centroid: Hz, of the magnitudes of the first second."""

    attack: float
    t60: float
    centroid: float


def rows() -> list[dict[str, Any]]:
    """One of each key and velocity: our measures, each font's, and distances in dB to the reference.

    Raises FileNotFoundError without fluidsynth or the fonts.
    """
    from antiphon_models.synth.sampling import play

    notes = [(key, velocity) for key in KEYS for velocity in VELOCITIES]
    for path in FONTS.values():
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there; install fluid-soundfont-gm and timgm6mb-soundfont")
    fonts = {name: play(path, notes, rate=RATE, hold=HOLD, gap=0.5) for name, path in FONTS.items()}
    ours = render(notes)
    result = []
    for n, (key, velocity) in enumerate(notes):
        mine, mono = _mono(ours[n].T), {name: _mono(played[n]) for name, played in fonts.items()}
        measured = {"ours": measure(mine), **{name: measure(x) for name, x in mono.items()}}
        target = mono[REFERENCE]
        sine = decaying_sine(key, measured[REFERENCE].t60, len(target))
        result.append(
            {
                "key": key,
                "velocity": velocity,
                **{name: asdict(each) for name, each in measured.items()},
                "lsd_ours": distance(mine, target),
                "lsd_sine": distance(sine, target),
                "lsd_other": distance(mono["TimGM6mb"], target),
            }
        )
    return result


def text(figures: list[dict[str, Any]]) -> str:
    """The rows as a table, and how many are within what is allowed."""
    lines = [
        f"piano, n = {len(figures)} ({len(KEYS)} pitches × {len(VELOCITIES)} velocities): ours / FluidR3 / TimGM6mb",
        f"{'key':>3} {'vel':>3}  {'attack ms':^20}  {'T60 s':^17}  {'centroid Hz':^16}  LSD dB: ours  sine  TimGM",
    ]
    names = ("ours", *FONTS)
    for row in figures:
        attack, t60, centroid = ([row[name][key] for name in names] for key in ("attack", "t60", "centroid"))
        lines.append(
            f"{row['key']:>3} {row['velocity']:>3}  {'/'.join(f'{x:6.1f}' for x in attack)}  "
            f"{'/'.join(f'{x:5.1f}' for x in t60)}  {'/'.join(f'{x:5.0f}' for x in centroid)}  "
            f"      {row['lsd_ours']:6.2f} {row['lsd_sine']:6.2f} {row['lsd_other']:6.2f}"
        )
    for key in ("attack", "t60", "centroid"):
        off = np.asarray([row["ours"][key] / row[REFERENCE][key] - 1.0 for row in figures])
        other = np.asarray([row["TimGM6mb"][key] / row[REFERENCE][key] - 1.0 for row in figures])
        lines.append(
            f"{key}: {np.count_nonzero(np.abs(off) <= ALLOWED)} of {len(figures)} within {ALLOWED:.0%}, "
            f"worst {off[np.argmax(np.abs(off))]:+.0%}, mean {np.abs(off).mean():.0%} "
            f"(TimGM6mb: {np.count_nonzero(np.abs(other) <= ALLOWED)}, mean {np.abs(other).mean():.0%})"
        )
    parts = np.asarray([row["lsd_ours"] / row["lsd_sine"] for row in figures])
    lines.append(
        f"LSD: {np.count_nonzero(parts < 0.5)} of {len(figures)} below half the decaying sine's, "
        f"mean {np.mean([r['lsd_ours'] for r in figures]):.1f} dB against "
        f"{np.mean([r['lsd_sine'] for r in figures]):.1f} "
        f"(TimGM6mb {np.mean([r['lsd_other'] for r in figures]):.1f})"
    )
    return "\n".join(lines)


def render(notes: list[tuple[int, int]]) -> list[Samples]:
    """Our piano's notes, each alone and held: `[2, frames]`."""
    from antiphon.api.synths import SynthSettings
    from antiphon_pyo.backend import Pyo

    synth = Pyo(RATE, HOP, 1)
    out, active = np.zeros((1, 2, HOP), np.float32), np.ones(1, np.bool_)
    sounds = []
    for key, velocity in notes:
        synth.open(0, SynthSettings("piano"))
        hops = round(HOLD * RATE) // HOP
        x = np.zeros((2, hops * HOP), np.float32)
        for hop in range(hops):
            synth.play(0, hop * HOP, [Event("on", 0, key, velocity / 127)] if hop == 0 else [])
            synth.render(out, active)
            x[:, hop * HOP : (hop + 1) * HOP] = out[0]
        sounds.append(x)
    return sounds


def decaying_sine(key: int, t60: float, frames: int) -> NDArray[np.float64]:
    """The trivial piano."""
    t = np.arange(frames) / RATE
    decay: NDArray[np.float64] = np.power(10.0, -3 * t / t60)
    sine: NDArray[np.float64] = np.sin(2 * np.pi * frequency(key) * t)
    return sine * decay


def measure(x: NDArray[np.float64]) -> Measures:
    """Measures a mono note."""
    return Measures(_attack(x), _t60(x), _centroid(x))


def distance(x: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Log-spectral distance in dB over the first three seconds from the onset, both at the same energy.

    Frames of 2048 every 512; below 60 dB under the loudest bin of the target nothing counts; up to 12 kHz.
    """
    a, b = _spectra(_begun(x)), _spectra(_begun(target))
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    a = a * (b.sum() / a.sum())
    floor = b.max() * 1e-6
    difference = 10 * np.log10(np.maximum(a, floor) / np.maximum(b, floor))
    counts = np.maximum(a, b) > floor
    per_frame = np.sqrt((difference**2).sum(axis=1) / np.maximum(counts.sum(axis=1), 1))
    return float(per_frame[counts.any(axis=1)].mean())


def _mono(x: Samples) -> NDArray[np.float64]:
    mono: NDArray[np.float64] = np.mean(x, axis=1, dtype=np.float64)
    return mono


def _begun(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 5 ms before it is within 40 dB of its peak."""
    loud = np.abs(x)
    return x[max(0, int(np.argmax(loud > 0.01 * loud.max())) - RATE // 200) :][: 3 * RATE]


def _spectra(x: NDArray[np.float64]) -> NDArray[np.float64]:
    size, step = 2048, 512
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[::step] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.asarray(power[:, 1 : int(12000 * size / RATE)])


def _attack(x: NDArray[np.float64]) -> float:
    size = RATE // 200
    power = np.convolve(x[: RATE // 2] ** 2, np.hanning(size) / np.hanning(size).sum(), "same")
    envelope = np.sqrt(np.maximum(power, 0.0))
    top = envelope.max()
    last = int(np.argmax(envelope >= 0.9 * top))
    first = last - int(np.argmax(envelope[last::-1] <= 0.1 * top))
    return (last - first) / RATE * 1e3


def _t60(x: NDArray[np.float64]) -> float:
    x = x[int(np.argmax(np.abs(x))) :][: round(7.5 * RATE)]
    left = np.cumsum((x**2)[::-1])[::-1]
    db = 10 * np.log10(left / left[0] + 1e-15)
    first, last = int(np.argmax(db < -5)), int(np.argmax(db < -25))
    slope = np.polyfit(np.arange(first, last) / RATE, db[first:last], 1)[0]
    return float(-60.0 / slope)


def _centroid(x: NDArray[np.float64]) -> float:
    magnitude = np.sqrt(_spectra(_begun(x)[:RATE]))
    hz = np.arange(1, magnitude.shape[1] + 1) * RATE / 2048
    return float((magnitude * hz).sum() / magnitude.sum())
