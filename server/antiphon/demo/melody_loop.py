"""The input of `antiphon play` for the demo patch without a microphone: eight synthetic bars.

Plucked strings, a bass and hats at 90 bpm over a bed of hiss and hum, so that the denoiser has work.
Every note's end wraps round to the beginning: the loop has no seam. The same samples every time.
"""

from __future__ import annotations

import io
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.signal.pitch import frequency

RATE = 48000
BPM = 90
BARS = 8
BEAT = RATE * 60 // BPM
FRAMES = BARS * 4 * BEAT
NAME = "demo-loop-1.wav"
"""To be increased with every change of the loop: a cached file of that number is used unchecked."""

HISS = 10.0 ** (-40.0 / 20.0)
HUM = 10.0 ** (-46.0 / 20.0)

_A1 = 33
# every two bars: bass note, and the chord's notes for the strings
_CHORDS = (
    (_A1, (57, 64, 67, 72)),
    (_A1 - 4, (53, 60, 64, 69)),
    (_A1 + 3, (55, 60, 64, 71)),
    (_A1 - 2, (55, 62, 67, 71)),
)
_FIGURE = (0, 2, 1, 3, 2, 1, 3, 2)
# (beat, note): the melody over it
_MELODY = (
    (2.5, 76), (3.0, 79), (5.0, 76), (6.5, 74), (10.5, 72), (11.0, 76), (13.0, 77), (14.5, 76),
    (18.5, 79), (19.0, 83), (21.0, 79), (22.5, 76), (26.5, 74), (27.0, 79), (28.5, 74), (30.0, 71),
)  # fmt: skip

Mono = NDArray[np.float64]


def loop_file() -> Path:
    """The path of the loop as a wave file in the cache folder, generated if it is missing."""
    return generate_once(NAME, "antiphon.demo.melody_loop")


def generate_once(name: str, module: str) -> Path:
    """The path of that file in the cache folder; if it is missing, `python -m module PATH` generates it."""
    path = paths.cache() / name
    if not path.is_file():
        # in a process of its own: the memory used to generate it would stay allocated in the server and its engine
        done = subprocess.run([sys.executable, "-m", module, str(path)], capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise FileError(f"the demo's sound could not be made: {reason}")
    return path


def write(sound: NDArray[np.float32], path: Path) -> None:
    """Writes float32 `[2, frames]` to `path` atomically."""
    import soundfile

    whole = io.BytesIO()
    soundfile.write(whole, sound.T, RATE, format="WAV", subtype="PCM_16")
    paths.write_atomic(path, whole.getvalue())


def loop() -> NDArray[np.float32]:
    """The loop: float32 `[2, FRAMES]`, peak about -5 dBFS."""
    random = np.random.default_rng(90)
    strings, bass, hats = np.zeros((2, FRAMES)), np.zeros(FRAMES), np.zeros((2, FRAMES))
    for bar in range(BARS):
        low, chord = _CHORDS[bar // 2 % len(_CHORDS)]
        for eighth, place in enumerate(_FIGURE):
            at = bar * 4 * BEAT + eighth * BEAT // 2
            loud = 0.8 if eighth else 1.0
            _add(strings, at, _pluck(frequency(chord[place]), 1.6) * loud, pan=-0.35 + 0.1 * place)
            _add(
                hats,
                at + (BEAT // 16 if eighth % 2 else 0),
                _hat(random, open_=eighth == 7) * (1.0, 0.5)[eighth % 2 == 0],
                pan=0.3,
            )
        for beat, length in ((0.0, 1.4), (1.5, 0.5), (2.0, 1.2)):
            _add(bass[None], round((bar * 4 + beat) * BEAT), _bass(frequency(low), length))
    for beat, note in _MELODY:
        _add(strings, round(beat * BEAT), _pluck(frequency(note), 2.4) * 1.1, pan=0.25)
    mix = 0.13 * strings + 0.16 * bass + 0.02 * hats + _bed(random)
    return np.ascontiguousarray(mix, np.float32)


@cache
def _pluck(hertz: float, seconds: float) -> Mono:
    """A plucked string: slightly inharmonic partials, of which high ones decay faster."""
    t = np.arange(round(seconds * RATE)) / RATE
    tone = np.zeros_like(t)
    for k in range(1, 13):
        partial = hertz * k * math.sqrt(1.0 + 4e-4 * k * k)
        if partial > 12_000.0:
            break
        height = math.sin(math.pi * k * 0.22) / k
        tone += height * np.exp(-t * (1.8 + 0.9 * k)) * np.sin(2.0 * math.pi * partial * t)
    return tone * _edges(t.size, 0.002, 0.08)


@cache
def _bass(hertz: float, seconds: float) -> Mono:
    t = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2.0 * math.pi * hertz * t) + 0.35 * np.sin(4.0 * math.pi * hertz * t) * np.exp(-3.0 * t)
    return np.tanh(1.4 * tone) * np.exp(-0.9 * t) * _edges(t.size, 0.006, 0.09)


def _hat(random: np.random.Generator, *, open_: bool) -> Mono:
    t = np.arange(round(0.30 * RATE)) / RATE
    noise = np.diff(random.standard_normal(t.size + 2), 2)
    return noise * np.exp(-t * (14.0 if open_ else 55.0)) * _edges(t.size, 0.0005, 0.01)


def _bed(random: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(random.standard_normal((2, FRAMES)))
    hertz = np.fft.rfftfreq(FRAMES, 1.0 / RATE)
    hiss = np.fft.irfft(spectrum * np.sqrt(1.0 / (1.0 + hertz / 3000.0)), FRAMES)
    hiss *= HISS / np.sqrt(np.mean(hiss**2))
    turns = 2.0 * math.pi * np.arange(FRAMES) / RATE
    # 50 Hz is not periodic in a loop of 21.33 s; this is the nearest frequency that is
    mains = round(50.0 * FRAMES / RATE) * RATE / FRAMES
    hum = HUM * (np.sin(turns * mains) + 0.5 * np.sin(turns * 3.0 * mains))
    return np.asarray(hiss + hum)


def _edges(size: int, attack: float, release: float) -> Mono:
    """1, but rising from 0 over `attack` seconds and falling to it over `release`."""
    shape = np.ones(size)
    rise, fall = max(1, round(attack * RATE)), max(1, round(release * RATE))
    shape[:rise] = np.linspace(0.0, 1.0, rise)
    shape[-fall:] *= np.linspace(1.0, 0.0, fall)
    return shape


def _add(into: NDArray[np.float64], at: int, sound: Mono, pan: float = 0.0) -> None:
    """Adds a sound at a frame, wrapping at the loop's end; pan from -1, left, to 1, right."""
    frames = np.arange(at, at + sound.size) % FRAMES
    angle = (pan + 1.0) * math.pi / 4.0
    gains = (math.cos(angle), math.sin(angle)) if into.shape[0] == 2 else (1.0,)
    for channel, gain in enumerate(gains):
        into[channel, frames] += gain * sound


if __name__ == "__main__":
    write(loop(), Path(sys.argv[1]))
