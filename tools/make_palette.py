"""Makes the palette in `library/kit/`: drum kits, percussion, basses, plucks, keys, pads, breaks, textures and voices.

python tools/make_palette.py [FOLDER]     writes those of `palette.txt`, and the table `sounds.csv`

All of it is computed, from sines and seeded noise; nothing was recorded. Every sound has one loudness: its loudest
100 ms, weighted as ITU-R BS.1770 weighs, are at `LOUDNESS`, unless its peak would pass -1 dBFS. Pitched ones are a C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import make_sounds
import numpy as np
import soundfile
from make_sounds import (
    F64,
    PEAK,
    RATE,
    ROOT,
    TAU,
    band,
    fall,
    key,
    metal,
    noise,
    rise,
    saw,
    sweep,
    times,
    write,
)

LOUDNESS = -14.0
"""LUFS of the loudest 100 ms."""
VORBIS = 0.35
"""Quality of a compressed file."""
C1, C2, C3, C4, C5 = (key(note) for note in (24, 36, 48, 60, 72))
VOWELS = {
    "a": ((730.0, 90.0, 1.0), (1090.0, 110.0, 0.5), (2440.0, 170.0, 0.22), (3300.0, 250.0, 0.16)),
    "e": ((530.0, 80.0, 1.0), (1840.0, 110.0, 0.4), (2480.0, 160.0, 0.25), (3400.0, 250.0, 0.16)),
    "i": ((280.0, 60.0, 1.0), (2250.0, 120.0, 0.32), (2900.0, 170.0, 0.25), (3600.0, 250.0, 0.16)),
    "o": ((480.0, 80.0, 1.0), (850.0, 90.0, 0.45), (2400.0, 170.0, 0.09), (3200.0, 250.0, 0.06)),
    "u": ((310.0, 60.0, 1.0), (760.0, 90.0, 0.28), (2250.0, 170.0, 0.05), (3200.0, 250.0, 0.03)),
    "m": ((260.0, 50.0, 1.0), (1100.0, 200.0, 0.06), (2200.0, 250.0, 0.03), (3200.0, 300.0, 0.02)),
}
"""Formants of a voice: Hz, half width and level (after Peterson and Barney, JASA 24, 1952)."""


# ---- what sounds are made of


def ends(x: F64, seconds: float = 0.02) -> F64:
    """Without direct current, from 0 to 0."""
    x = x - np.mean(x)
    t = np.arange(len(x)) / RATE
    return np.asarray(x * rise(t, 0.0004) * rise(t[::-1], seconds))


def layered(*parts: F64) -> F64:
    """Their sum, as long as the longest."""
    made = np.zeros(max(len(part) for part in parts))
    for part in parts:
        made[: len(part)] += part
    return made


def modes(
    seconds: float, hertz: Sequence[float], ring: float, tilt: float = 1.0, hit: float = 0.0, seed: int = 0
) -> F64:
    """Partials that die the sooner the higher they are, and the noise of what struck them."""
    t = times(seconds)
    made = np.zeros(len(t))
    for n, f in enumerate(hertz):
        made += np.sin(TAU * f * t + 0.7 * n) / (n + 1) ** tilt * fall(t, ring * (hertz[0] / f) ** 0.6)
    return made * rise(t, 0.0006) + hit * band(noise(t, seed), 800.0, 9000.0) * fall(t, 0.012) * rise(t, 0.0003)


def skin(seconds: float, hertz: float, ring: float, bend: float, seed: int, slap: float) -> F64:
    """A drum played by hand: a head whose pitch falls, and a slap."""
    t = times(seconds)
    made = sweep(t, hertz * (1.0 + bend * fall(t, 0.03))) * fall(t, ring)
    made += 0.4 * sweep(t, 1.6 * hertz * (1.0 + bend * fall(t, 0.02))) * fall(t, 0.5 * ring)
    return made + slap * band(noise(t, seed), 900.0, 6000.0) * fall(t, 0.02) * rise(t, 0.0004)


def shaken(seconds: float, low: float, high: float, attack: float, ring: float, seed: int) -> F64:
    t = times(seconds)
    return band(noise(t, seed), low, high, 3.0) * rise(t, attack) * fall(np.maximum(0.0, t - attack), ring)


def fm(seconds: float, hertz: float, ratio: float, depth: float, quick: float, ring: float) -> F64:
    """Frequency modulation whose depth falls (Chowning, JAES 21, 1973)."""
    t = times(seconds)
    return (
        np.sin(TAU * hertz * t + depth * fall(t, quick) * np.sin(TAU * ratio * hertz * t))
        * fall(t, ring)
        * rise(t, 0.002)
    )


def swept(
    seconds: float, hertz: float, cutoff: F64 | float, peak: float, odd: bool = False, detune: float = 0.0
) -> F64:
    """A saw, or a square, through a low-pass of 24 dB an octave with a peak, whose cutoff in Hz may move."""
    t = times(seconds)
    cut = np.broadcast_to(np.asarray(cutoff, float), t.shape)
    made = np.zeros(len(t))
    for k in range(1, int(min(90, 15000.0 / hertz)) + 1, 2 if odd else 1):
        x = k * hertz / cut
        gain = 1.0 / np.sqrt((1.0 - x * x) ** 2 + (x / peak) ** 2) / np.sqrt(1.0 + x * x)
        for cents in (-detune, detune) if detune else (0.0,):
            made += gain / k * np.sin(TAU * k * hertz * 2.0 ** (cents / 1200.0) * t + 0.3 * k * (cents > 0.0))
    return made


def voices(seconds: float, notes: Sequence[float], bright: float, wide: float, attack: float, let: float) -> F64:
    """Six saws a note, up to `wide` cents apart."""
    t = times(seconds)
    made = np.zeros(len(t))
    for n, note in enumerate(notes):
        for v in range(6):
            cents = wide * (2.0 * v / 5.0 - 1.0)
            made += saw(t, key(note) * 2.0 ** (cents / 1200.0), bright, 0.37 * v + 0.13 * n)
    return made * rise(t, attack) * rise(t[::-1], let)


def sung(seconds: float, hertz: float, vowels: str, singers: int = 1, breath: float = 0.01, seed: int = 0) -> F64:
    """Voices on vowels, from one to the next."""
    t = times(seconds)
    made = np.zeros(len(t))
    at = np.linspace(0.0, len(vowels) - 1.0, len(t)) if len(vowels) > 1 else np.zeros(len(t))
    for v in range(singers):
        wave = (14.0 if singers == 1 else 9.0) * np.sin(TAU * (5.0 + 0.3 * v) * t + v) * rise(t, 0.35)
        turns = np.cumsum(hertz * 2.0 ** ((wave + 7.0 * (v - (singers - 1) / 2.0)) / 1200.0)) / RATE + 0.31 * v
        for k in range(1, int(7500.0 / hertz) + 1):
            near = np.array([sum(p / (1.0 + ((k * hertz - f) / w) ** 2) for f, w, p in VOWELS[one]) for one in vowels])
            gain = np.interp(at, np.arange(len(vowels)), near)
            made += (0.006 + gain) / k**0.5 * np.sin(TAU * k * turns)
    made /= np.abs(made).max()
    return made * rise(t, 0.05) * rise(t[::-1], 0.12) + breath * band(noise(t, seed), 1500.0, 7000.0) * rise(
        t[::-1], 0.1
    )


def wander(t: F64, seed: int, hertz: float) -> F64:
    """A slow random curve of 0 to 1."""
    points = np.random.default_rng(seed).uniform(0.0, 1.0, int(len(t) / RATE * hertz) + 3)
    return np.interp(t * hertz, np.arange(len(points)), points)


def drops(seconds: float, each: float, low: float, high: float, ring: float, seed: int) -> F64:
    """Many short pings at random."""
    draw = np.random.default_rng(seed)
    made = np.zeros(round(seconds * RATE))
    for _ in range(int(seconds * each)):
        t = times(4.0 * ring)
        first = draw.integers(0, len(made) - len(t))
        ping = np.sin(TAU * draw.uniform(low, high) * t) * fall(t, ring) * rise(t, 0.001)
        made[first : first + len(t)] += draw.uniform(0.1, 1.0) ** 2 * ping
    return made


def chirps(seconds: float, count: int) -> F64:
    made = np.zeros(round(seconds * RATE))
    t = times(0.12)
    for n in range(count):
        first = round((0.42 * n + 0.07 * (n % 3)) * RATE)
        chirp = sweep(t, 2800.0 + 260.0 * (n % 5) + 900.0 * np.sin(40.0 * t + n)) * np.sin(np.pi * t / 0.12)
        made[first : first + len(t)] += chirp
    return made


def crushed(x: F64, steps: float, hold: int) -> F64:
    """Fewer steps, each held: an early sampler's sound."""
    x = x / np.abs(x).max()
    return band(np.repeat(np.round(x[::hold] * steps) / steps, hold)[: len(x)], 30.0, 9000.0)


def crash(seed: int, ring: float, low: float, high: float, seconds: float) -> F64:
    t = times(seconds)
    made = band(metal(t, seed), low, high, 2.0) + 0.7 * band(noise(t, seed + 1), low, high, 2.0)
    return made * (0.6 * fall(t, ring) + 0.4 * fall(t, 0.25 * ring)) * rise(t, 0.001)


def ride(seed: int, seconds: float) -> F64:
    t = times(seconds)
    stick = modes(seconds, [3170.0, 4470.0, 5630.0, 7210.0, 9040.0], 0.5, 0.5, 0.5, seed)
    return 0.8 * stick + 0.35 * band(metal(t, seed), 5000.0, 13000.0) * fall(t, 0.9)


def beat(bpm: float, swing: float, rows: dict[str, str], dust: float = 0.0) -> F64:
    """Two bars of sixteenths: x a stroke, o a soft one. The tails go on at the beginning."""
    step = 15.0 / bpm
    made = np.zeros(round(32 * step * RATE))
    for n, (name, row) in enumerate(rows.items()):
        x = ends(recipe(name))
        x = x / np.abs(x).max()
        for place in range(32):
            stroke = row[place % len(row)]
            if stroke in "xo":
                first = round((place + swing * (place % 2)) * step * RATE) + 7 * n
                np.add.at(made, (first + np.arange(len(x))) % len(made), x * (1.0 if stroke == "x" else 0.35))
    t = np.arange(len(made)) / RATE
    return np.tanh(1.2 * made) + dust * band(noise(t, 5), 200.0, 6000.0)


def whoosh(seconds: float, low: float, high: float, up: bool, seed: int) -> F64:
    """Noise whose band moves from one frequency to the other."""
    t = times(seconds)
    place = t / seconds if up else 1.0 - t / seconds
    made = np.zeros(len(t))
    edges = np.geomspace(low, high, 14)
    for n, (a, b) in enumerate(pairwise(edges)):
        here = np.exp(-((13.0 * place - n) ** 2) / 4.0)
        made += band(noise(t, seed + n), float(a), float(b), 3.0) * here
    return made * (0.1 + 0.9 * place if up else rise(t, 0.003) * fall(t, seconds))


def boom(low: float, ring: float, drive: float) -> F64:
    """A bass drum of a bridged-T circuit: a sine that falls a little, nearly without a click."""
    t = times(0.2 + 1.3 * ring)
    return np.tanh(drive * sweep(t, low * (1.0 + 0.9 * fall(t, 0.03))) * fall(t, ring)) * rise(t, 0.001)


def wires(tune: float, ring: float, tone: float, seed: int) -> F64:
    t = times(0.35)
    made = sweep(t, tune * (1.0 + 0.2 * fall(t, 0.01))) * fall(t, 0.09) + 0.5 * sweep(t, 1.83 * tune) * fall(t, 0.06)
    return tone * made + 0.5 * band(noise(t, seed), 1800.0, 11000.0) * fall(t, ring) * rise(t, 0.0004)


# ---- levels and files


def read() -> dict[str, tuple[str, str]]:
    """Tags and expression of each sound, by its name: the lines of `palette.txt`."""
    lines = Path(__file__).with_name("palette.txt").read_text().splitlines()
    return {name: (tags, made) for name, tags, made in (line.split(" | ", 2) for line in lines)}


def recipe(name: str) -> F64:
    """A sound, as its expression has it: of the functions here and in `make_sounds`."""
    return np.asarray(eval(SOUNDS[name][1], {**vars(make_sounds), **globals()}))


SOUNDS = read()


def weighted(x: F64) -> float:
    """LUFS of the loudest 100 ms: BS.1770's two filters, by their magnitudes."""
    hertz = np.maximum(np.fft.rfftfreq(2 * len(x), 1.0 / RATE), 1e-3)
    shelf = 10.0 ** (4.0 / 20.0 / (1.0 + (1500.0 / hertz) ** 2))
    passed = 1.0 / (1.0 + (38.0 / hertz) ** 2)
    y = np.fft.irfft(np.fft.rfft(x, 2 * len(x)) * shelf * passed)[: len(x)] ** 2
    size = round(0.1 * RATE)
    sums = np.cumsum(np.concatenate([[0.0], np.pad(y, (0, max(0, size - len(y))))]))
    return float(-0.691 + 10.0 * np.log10(max(1e-12, (sums[size:] - sums[:-size]).max() / size)))


def levelled(x: F64, closed: bool) -> F64:
    x = x - np.mean(x) if closed else ends(x)
    gain = 10.0 ** ((LOUDNESS - weighted(x)) / 20.0)
    return np.asarray(x * min(gain, PEAK / np.abs(x).max()))


def save(folder: Path, name: str, tags: str, x: F64) -> Path:
    """A short sound without loss, since a coder smears its attack; a long one, and a pad, as Vorbis."""
    if len(x) < 0.7 * RATE or tags.startswith(("drums", "percussion")):
        path = folder / f"{name}.flac"
        write(path, x)
        return path
    path = folder / f"{name}.ogg"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, x, RATE, format="OGG", subtype="VORBIS", compression_level=1.0 - VORBIS)
    return path


def table(rows: Sequence[tuple[str, str, float, float, float]]) -> str:
    head = "sound,tags,seconds,lufs,peak_dbfs\n"
    return head + "".join(f"{n},{t},{s:.2f},{loud:.1f},{p:.1f}\n" for n, t, s, loud, p in rows)


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    rows, size = [], 0
    for name, (tags, _) in SOUNDS.items():
        x = levelled(recipe(name), tags.startswith("break"))
        size += save(into / "kit", name, tags, x).stat().st_size
        rows.append((name, tags, len(x) / RATE, weighted(x), 20.0 * np.log10(np.abs(x).max())))
    (into / "sounds.csv").write_text(table(rows))
    print(f"{into}: {len(rows)} sounds, {size / 1e6:.2f} MB, {sum(r[2] for r in rows):.0f} s")


if __name__ == "__main__":
    main()
