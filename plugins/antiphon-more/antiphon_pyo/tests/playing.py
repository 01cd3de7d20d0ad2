"""Notes into a pyo backend, sound out, and what is measured of it."""

import os

os.environ.setdefault("PYO_GUI_WX", "0")  # else pyo speaks of wxPython when it is imported

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Event, Samples
from antiphon.api.backends.synths import SynthSettings
from antiphon_pyo.backend import Pyo

RATE = 48000
QUIET = 2e-7
"""Two steps of the 24 bits that the synth's sound is rounded to."""
Score = Sequence[tuple[int, Event]]


@cache
def synth(hop: int, slots: int = 1, rate: int = RATE) -> Pyo:
    """One of each kind for all tests: `open` makes a slot as new."""
    return Pyo(rate, hop, slots)


def play(
    score: Score, seconds: float, instrument: str = "piano", hop: int = 256, rate: int = RATE, **settings: float
) -> Samples:
    """`[2, frames]` of events given with the sample they come at."""
    backend = synth(hop, 1, rate)
    backend.open(0, SynthSettings(instrument, **settings))  # type: ignore[arg-type]
    return run(backend, score, seconds, hop, rate)


def run(backend: Pyo, score: Score, seconds: float, hop: int, rate: int = RATE) -> Samples:
    out, active = np.zeros((1, 2, hop), np.float32), np.ones(1, np.bool_)
    hops = -(-round(seconds * rate) // hop)
    y = np.zeros((2, hops * hop), np.float32)
    left = sorted(score, key=lambda told: told[0])
    for n in range(hops):
        now = [told for told in left if told[0] < (n + 1) * hop]
        left = left[len(now) :]
        events = [Event(e.kind, at - n * hop, e.number, e.value, e.channel, e.age) for at, e in now]
        backend.play(0, n * hop, events)
        backend.render(out, active)
        y[:, n * hop : (n + 1) * hop] = out[0]
    return y


def on(number: int, value: float = 0.63, channel: int = 1, age: int = 0) -> Event:
    return Event("on", 0, number, value, channel, age)


def off(number: int, channel: int = 1) -> Event:
    return Event("off", 0, number, 0.0, channel)


def control(number: int, value: float, channel: int = 1) -> Event:
    return Event("control", 0, number, value, channel)


def bend(value: float, channel: int = 1) -> Event:
    return Event("bend", 0, 0, value, channel)


def differs(a: Samples, b: Samples) -> int:
    """The first frame at which two sounds are not the same; -1 for none."""
    apart = np.flatnonzero(np.abs(a - b).max(axis=0) > QUIET)
    return int(apart[0]) if len(apart) else -1


def cents(y: Samples, note: float, rate: int = RATE) -> float:
    """How far the first partials are from the note's."""
    x = y.mean(axis=0, dtype=np.float64)
    size = 8 * len(x)
    level = np.sqrt(np.abs(np.fft.rfft(x * np.hanning(len(x)), size)))
    hz = 440 * 2 ** ((note - 69) / 12)
    tried = np.arange(-60, 60.1, 0.5)
    score = [
        sum(level[round(k * hz * 2 ** (c / 1200) * size / rate)] for k in range(1, 5) if k * hz < 8000) for c in tried
    ]
    return float(tried[int(np.argmax(score))])


def roughness(y: Samples) -> NDArray[np.float64]:
    """The second difference: a click stands out of it, and low notes do not."""
    bent: NDArray[np.float64] = np.abs(np.diff(y.astype(np.float64), 2, axis=1)).max(axis=0)
    return bent
