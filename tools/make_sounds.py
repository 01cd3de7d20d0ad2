"""Makes the sounds in `library/`: a drum kit, a few tones, four loops and a choir, by arithmetic alone.

python tools/make_sounds.py [FOLDER]      writes them, by default over those in the working tree

All of it is computed from sines and seeded noise; nothing was recorded. Noise and pulses are filtered before their
envelope, so that no filter softens an attack or rings ahead of it. Every file has its peak at -1 dBFS, no direct
current, and begins and ends at 0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

F64 = NDArray[np.float64]
RATE = 44100
PEAK = 10.0 ** (-1.0 / 20.0)
BPM = 100.0
BEAT = 60.0 / BPM
ROOT = Path(__file__).resolve().parents[1] / "library"
TAU = 2.0 * np.pi
CHOIR = (45.0, 52.0, 57.0, 60.0, 64.0, 67.0, 69.0, 72.0)
CHOIR_NOTE = 0.7
"""MIDI numbers and seconds of the choir's notes."""


def times(seconds: float) -> F64:
    return np.arange(round(seconds * RATE)) / RATE


def fall(t: F64, seconds: float) -> F64:
    """Falls to a tenth (20 dB) in so many seconds."""
    return np.exp(-t * np.log(10.0) / seconds)


def rise(t: F64, seconds: float) -> F64:
    """Half a period of a raised cosine."""
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(1.0, t / seconds))


def sweep(t: F64, hertz: F64 | float) -> F64:
    """A sine of a frequency that may move; begins at 0."""
    return np.sin(TAU * np.cumsum(np.broadcast_to(hertz, t.shape)) / RATE)


def band(x: F64, low: float, high: float, slope: float = 2.0) -> F64:
    """What lies between two frequencies, in Hz, falling at 6 dB an octave times `slope` outside; without phase."""
    hertz = np.maximum(np.fft.rfftfreq(len(x), 1.0 / RATE), 1e-3)
    gain = 1.0 / np.sqrt((1.0 + (low / hertz) ** (2.0 * slope)) * (1.0 + (hertz / high) ** (2.0 * slope)))
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x))


def noise(t: F64, seed: int) -> F64:
    return np.random.default_rng(seed).normal(0.0, 1.0, len(t))


def pulses(t: F64, hertz: float, phase: float = 0.0) -> F64:
    """A square wave without partials above 18 kHz."""
    made = np.zeros(len(t))
    for k in range(1, int(18000.0 / hertz) + 1, 2):
        made += np.sin(TAU * k * (hertz * t + phase)) / k
    return made


def saw(t: F64, hertz: float, bright: float, phase: float = 0.0) -> F64:
    """A saw whose partials fall at 12 dB an octave more above `bright` Hz."""
    made = np.zeros(len(t))
    for k in range(1, int(16000.0 / hertz) + 1):
        made += np.sin(TAU * k * (hertz * t + phase)) / k / (1.0 + (k * hertz / bright) ** 2)
    return made


def metal(t: F64, seed: int) -> F64:
    """Six pulses out of tune with one another and some noise: what cymbals of drum machines are made of."""
    made = sum(pulses(t, f, 0.37 * n) for n, f in enumerate((317.0, 465.0, 571.0, 803.0, 829.0, 1237.0)))
    return np.asarray(made + 1.2 * noise(t, seed))


# ---- the kit


def bass_drum(seed: int, low: float, length: float) -> F64:
    t = times(0.15 + 1.4 * length)
    body = sweep(t, low + 2.6 * low * fall(t, 0.055) + 700.0 * fall(t, 0.009))
    body = np.tanh(1.8 * body * (0.75 * fall(t, length) + 0.25 * fall(t, 0.08))) / np.tanh(1.8)
    click = band(noise(t, seed), 1500.0, 9000.0) * fall(t, 0.006) * rise(t, 0.0004)
    return body + 0.10 * click


def snare(seed: int, tune: float, wires: float) -> F64:
    t = times(0.42)
    head = sweep(t, tune * (1.0 + 0.5 * fall(t, 0.02))) * fall(t, 0.11)
    head += 0.6 * sweep(t, 1.78 * tune * (1.0 + 0.3 * fall(t, 0.02))) * fall(t, 0.07)
    rattle = band(noise(t, seed), 1400.0, 9500.0) * (0.5 * fall(t, wires) + 0.5 * fall(t, 0.04)) * rise(t, 0.0006)
    snap = band(noise(t, seed + 1), 4000.0, 14000.0) * fall(t, 0.008) * rise(t, 0.0003)
    return np.tanh(1.3 * (0.75 * head + 0.30 * rattle + 0.22 * snap))


def hat(seed: int, length: float, seconds: float) -> F64:
    t = times(seconds)
    made = band(metal(t, seed), 7500.0, 16000.0, 4.0)
    return made * (0.7 * fall(t, length) + 0.3 * fall(t, 0.012)) * rise(t, 0.0004)


def clap(seed: int) -> F64:
    t = times(0.40)
    hands = np.zeros(len(t))
    for at, level in ((0.0, 0.7), (0.0095, 0.8), (0.0205, 0.9), (0.031, 1.0)):
        since = np.maximum(0.0, t - at)
        hands = np.maximum(hands, (t >= at) * level * rise(since, 0.0005) * fall(since, 0.014 if at < 0.03 else 0.13))
    return (band(noise(t, seed), 850.0, 2600.0, 3.0) + 0.25 * band(noise(t, seed + 1), 3000.0, 9000.0)) * hands


def tom(seed: int, hertz: float) -> F64:
    t = times(0.62)
    made = sweep(t, hertz * (1.0 + 0.7 * fall(t, 0.06))) * fall(t, 0.28)
    made += 0.3 * sweep(t, 1.59 * hertz * (1.0 + 0.5 * fall(t, 0.05))) * fall(t, 0.12)
    made += 0.05 * band(noise(t, seed), 600.0, 5000.0) * fall(t, 0.02) * rise(t, 0.0004)
    return np.tanh(1.2 * made)


def rim(seed: int) -> F64:
    t = times(0.12)
    made = sweep(t, 1710.0) * fall(t, 0.022) + 0.8 * sweep(t, 480.0) * fall(t, 0.03)
    return made + 0.2 * band(noise(t, seed), 2000.0, 9000.0) * fall(t, 0.008) * rise(t, 0.0003)


def cowbell(_seed: int) -> F64:
    t = times(0.45)
    made = band(pulses(t, 562.0) + pulses(t, 845.0, 0.2), 600.0, 5000.0, 2.0)
    return made * (0.55 * fall(t, 0.045) + 0.45 * fall(t, 0.30)) * rise(t, 0.0008)


# ---- tones


def bass(hertz: float, seconds: float) -> F64:
    t = times(seconds)
    bright = band(saw(t, hertz, 420.0, 0.25), 30.0, 5000.0)
    dull = band(saw(t, hertz, 130.0, 0.25), 30.0, 2000.0)
    open_ = fall(t, 0.16)
    made = np.tanh(1.1 * (open_ * bright + (1.0 - open_) * dull + 0.35 * sweep(t, hertz)))
    return made * rise(t, 0.004) * fall(t, 1.6 * seconds) * rise(seconds - t, 0.04)


def pluck(hertz: float, seconds: float) -> F64:
    """Partials of a string plucked at a fifth of its length, the high ones dying first, a little stretched."""
    t = times(seconds)
    made = np.zeros(len(t))
    for k in range(1, int(min(30, 12000.0 / hertz)) + 1):
        made += (
            np.sin(np.pi * k / 5.0)
            / k**1.3
            * fall(t, 1.4 / (1.0 + 0.28 * k))
            * np.sin(TAU * k * hertz * np.sqrt(1.0 + 1.5e-4 * k * k) * t)
        )
    return made * rise(t, 0.0015) * rise(seconds - t, 0.05)


def bell(hertz: float, seconds: float) -> F64:
    """Frequency modulation at a ratio of 3.5, its depth falling (Chowning, 1973), over a softer octave."""
    t = times(seconds)
    depth = 2.4 * fall(t, 0.9)
    made = np.sin(TAU * hertz * t + depth * np.sin(TAU * 3.5 * hertz * t)) * fall(t, 1.3)
    made += 0.3 * np.sin(TAU * 2.0 * hertz * t + 0.5 * depth * np.sin(TAU * 7.0 * hertz * t)) * fall(t, 0.7)
    return made * rise(t, 0.0015) * rise(seconds - t, 0.08)


def chord(hertz: tuple[float, ...], seconds: float, bright: float, attack: float, held: float) -> F64:
    """Two saws a voice, six cents apart."""
    t = times(seconds)
    made = np.zeros(len(t))
    for n, f in enumerate(hertz):
        made += saw(t, f * 2 ** (3 / 1200), bright, 0.13 * n) + saw(t, f * 2 ** (-3 / 1200), bright, 0.41 + 0.29 * n)
    return band(made, 90.0, 7000.0) * rise(t, attack) * fall(t, held) * rise(seconds - t, min(0.08, seconds / 4))


def choir() -> F64:
    """Three voices on the vowel a, on eight notes over two octaves: a timbre to lend, not a tune."""
    vowel = ((730.0, 90.0, 1.0), (1090.0, 110.0, 0.5), (2440.0, 170.0, 0.22), (3300.0, 250.0, 0.16))
    made = np.zeros(round(CHOIR_NOTE * len(CHOIR) * RATE))
    for place, note in enumerate(CHOIR):
        t = times(CHOIR_NOTE)
        sung = np.zeros(len(t))
        for voice, cents in enumerate((-9.0, 0.0, 8.0)):
            vibrato = 18.0 * np.sin(TAU * (5.1 + 0.4 * voice) * t + 2.0 * voice) * rise(t, 0.3)
            hertz = key(note) * 2.0 ** ((cents + vibrato) / 1200.0)
            turns = np.cumsum(hertz) / RATE + 0.31 * voice
            for k in range(1, int(9000.0 / key(note)) + 1):
                near = sum(peak / (1.0 + ((k * key(note) - f) / wide) ** 2) for f, wide, peak in vowel)
                sung += (0.008 + near) / k**0.5 * np.sin(TAU * k * turns)
        breath = 0.008 * band(noise(t, 70 + place), 1500.0, 6000.0)
        first = round(place * CHOIR_NOTE * RATE)
        envelope = rise(t, 0.09) * rise(CHOIR_NOTE - t, 0.08)
        made[first : first + len(t)] += (sung / np.abs(sung).max() + breath) * envelope
    return made


def key(note: float) -> float:
    """Hz of a MIDI note."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))


KIT: dict[str, Callable[[], F64]] = {
    "bd/0": lambda: bass_drum(1, 47.0, 0.30),
    "bd/1": lambda: bass_drum(2, 58.0, 0.16),
    "sd/0": lambda: snare(10, 186.0, 0.15),
    "sd/1": lambda: snare(12, 222.0, 0.09),
    "hh/0": lambda: hat(20, 0.045, 0.16),
    "hh/1": lambda: hat(21, 0.028, 0.11),
    "oh/0": lambda: hat(22, 0.33, 0.62),
    "cp/0": lambda: clap(30),
    "lt/0": lambda: tom(40, 84.0),
    "mt/0": lambda: tom(41, 118.0),
    "ht/0": lambda: tom(42, 165.0),
    "rs/0": lambda: rim(50),
    "cb/0": lambda: cowbell(60),
    "bass/a1": lambda: bass(key(33), 0.9),
    "pluck/a3": lambda: pluck(key(57), 1.4),
    "bell/a4": lambda: bell(key(69), 1.6),
    "stab/am": lambda: chord((key(57), key(60), key(64), key(67)), 0.55, 1500.0, 0.003, 0.35),
}


# ---- loops: two bars at 100 bpm, A minor to F, whose tails go on at their beginning


def circle(beats: float) -> F64:
    return np.zeros(round(beats * BEAT * RATE))


def add_at(into: F64, x: F64, beat: float, level: float) -> None:
    """Adds a sound at a beat; what goes beyond the end goes on at the beginning."""
    np.add.at(into, (round(beat * BEAT * RATE) + np.arange(len(x))) % len(into), level * x)


def drums() -> F64:
    made = circle(8)
    made_of = {name: level(KIT[name]()) for name in ("bd/0", "sd/0", "hh/0", "hh/1", "oh/0", "rs/0")}
    for beat in (0, 2.5, 4, 5.75, 6.5):
        add_at(made, made_of["bd/0"], beat, 1.0 if beat in (0, 4) else 0.8)
    for beat in (1, 3, 5, 7):
        add_at(made, made_of["sd/0"], beat, 0.8)
    for step in range(16):
        open_ = step == 15
        add_at(made, made_of["oh/0" if open_ else "hh/0"], step / 2, (0.34, 0.24)[step % 2])
    for beat in (1.75, 4.75, 6.25):
        add_at(made, made_of["hh/1"], beat, 0.13)
    for beat in (2.75, 7.75):
        add_at(made, made_of["rs/0"], beat, 0.16)
    return np.tanh(1.1 * made)


def bass_line() -> F64:
    made = circle(8)
    line = (
        (0, 33, 0.9),
        (1.5, 33, 0.4),
        (2.5, 36, 0.45),
        (3, 31, 0.8),
        (4, 29, 0.9),
        (5.5, 29, 0.4),
        (6.5, 36, 0.45),
        (7, 31, 0.8),
    )
    for beat, note, beats in line:
        add_at(made, bass(key(note), beats * BEAT), beat, 1.0)
    return made


def chords() -> F64:
    made = circle(8)
    for beat, notes in ((0, (57, 60, 64, 67)), (4, (53, 57, 60, 64))):
        hertz = tuple(key(n) for n in notes)
        add_at(made, chord(hertz, 3.9 * BEAT, 900.0, 0.09, 6.0), beat, 1.0)
        for off in (1.5, 3.5):
            add_at(made, chord(hertz, 0.3 * BEAT, 2200.0, 0.004, 0.3), beat + off, 0.5)
    return made


def melody() -> F64:
    made = circle(8)
    line = ((0, 76), (0.75, 72), (1.5, 69), (2.5, 74), (3, 72), (4, 77), (4.75, 72), (5.5, 69), (6.5, 67), (7, 64))
    for beat, note in line:
        add_at(made, pluck(key(note - 12), 1.2), beat, 1.0)
        add_at(made, bell(key(note), 0.9), beat, 0.12)
    return made


LOOPS: dict[str, Callable[[], F64]] = {"drums": drums, "bass": bass_line, "chords": chords, "melody": melody}


def level(x: F64, closed: bool = False) -> F64:
    """The sound without direct current, at its peak level. A loop (`closed`) is a circle; others begin and end at 0."""
    spectrum = np.fft.rfft(x)
    spectrum[0] = 0.0
    made = np.fft.irfft(spectrum, len(x)) if closed else x - np.mean(x)
    if not closed:
        t = np.arange(len(x)) / RATE
        made = made * rise(t, 0.0003) * rise(t[::-1], 0.02)
    return np.asarray(made * (PEAK / np.abs(made).max()))


def write(path: Path, x: F64) -> int:
    """Writes 16 bits with triangular dither; returns the file's bytes."""
    draw = np.random.default_rng(abs(hash_of(path.stem + path.parent.name)))
    steps = 32767.0
    dither = draw.uniform(-0.5, 0.5, len(x)) + draw.uniform(-0.5, 0.5, len(x))
    dither[x == 0.0] = 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(np.round(x * steps + dither), -32768, 32767).astype(np.int16), RATE, subtype="PCM_16")
    return path.stat().st_size


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:6])


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    size = 0
    for name, made in KIT.items():
        size += write(into / "kit" / f"{name}.flac", level(made()))
    for name, made in LOOPS.items():
        size += write(into / "loops" / f"{name}.flac", level(made(), closed=True))
    size += write(into / "choir.flac", level(choir()))
    print(f"{into}: {len(KIT)} samples, {len(LOOPS)} loops and a choir, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
