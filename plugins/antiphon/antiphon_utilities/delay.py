"""Feedback delay (echo).

The output is the echo only; the host's `wet` adds the input. A delay may close a cycle of wires: the host delays such a
wire by one block and declares it in `StreamSpec.feedback`, and the delay shortens its line by one block, so that the
loop has the set time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO, FileUse, Param, Processor, ProcessorPart, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, i64, i64p, kernel

MAX_SECONDS = 2.0
FADE = 0.02
ENTRY = 0.005
# places in `state`: the write place, the lag in use, the lag faded to, frames of the fade gone (-1: none), frames
# until what comes in counts in full
_AT, _LAG, _NEXT, _GONE, _ENTRY, _SIZE = 0, 1, 2, 3, 4, 5


class DelayState(NamedTuple):
    """The delay line with its position."""

    ring: f32p
    size: i64
    state: i64p
    fade: i64
    entry: i64
    rate: f64


@kernel
def utilities_delay(x: Audio, y: Audio, seconds: f32p, feedback: f32p, s: DelayState, early: i64, sample: i64) -> None:
    """y ← the echo of x. ring: `size` frames per channel. `early`: frames by which the output precedes its time."""
    if s.state[_ENTRY] < 0:
        # put in while something sounds, it must not begin its first echo with a click; a file begins as it is
        s.state[_ENTRY] = s.entry if sample > 0 else 0
    for n in range(y.frames):
        asked = i64(f64(seconds[n]) * s.rate + 0.5)
        asked = early if asked < early else asked
        asked = 1 if asked < 1 else asked
        asked = s.size - 1 if asked > s.size - 1 else asked
        if s.state[_LAG] == 0:
            s.state[_LAG] = asked
        if s.state[_GONE] < 0 and asked != s.state[_LAG]:
            s.state[_NEXT] = asked
            s.state[_GONE] = 0
        lag = s.state[_LAG]
        other = lag
        g = f32(0.0)
        if s.state[_GONE] >= 0:
            other = s.state[_NEXT]
            s.state[_GONE] = s.state[_GONE] + 1
            g = f32(f64(s.state[_GONE]) / f64(s.fade))
        w = s.state[_AT]
        a = w - lag
        a = a + s.size if a < 0 else a
        b = w - other
        b = b + s.size if b < 0 else b
        a_early = a + early
        a_early = a_early - s.size if a_early >= s.size else a_early
        b_early = b + early
        b_early = b_early - s.size if b_early >= s.size else b_early
        comes = f32(1.0)
        if s.state[_ENTRY] > 0:
            comes = f32(1.0) - f32(f64(s.state[_ENTRY]) / f64(s.entry))
            s.state[_ENTRY] = s.state[_ENTRY] - 1
        for c in range(y.channels):
            old = s.ring[c * s.size + a]
            new = s.ring[c * s.size + b]
            back = (old + (new - old) * g) * feedback[n]
            back = f32(0.0) if abs(back) < f32(1e-20) else back
            s.ring[c * s.size + w] = x[c, n] * comes + back
            old = s.ring[c * s.size + a_early]
            new = s.ring[c * s.size + b_early]
            y[c, n] = old + (new - old) * g
        if s.state[_GONE] >= s.fade:
            s.state[_LAG] = s.state[_NEXT]
            s.state[_GONE] = -1
        s.state[_AT] = 0 if w + 1 >= s.size else w + 1


class DelayEntry(ProcessorPart):
    """Log of the delay's input fade-in, for a recorded set that begins while the delay plays."""

    def __init__(self, state: NDArray[np.int64], frames: int) -> None:
        self._state, self._frames = state, frames

    def recall(self, kind: str, number: int) -> None:
        """Sets the frames left until the input has full gain."""
        if kind == "entry":
            self._state[_ENTRY] = min(max(0, number), self._frames)

    def standing(self) -> list[tuple[str, int]]:
        """The frames left until the input has full gain, once the delay has begun."""
        return [("entry", int(self._state[_ENTRY]))] if self._state[_ENTRY] >= 0 else []


class Delay(Processor):
    """Repeats the sound after `time`, decaying by `feedback`."""

    holds = True
    compensates = True
    on_files = FileUse(tail=True, changes=("time",))
    params = (
        Param("time", default=0.35, low=0.001, high=MAX_SECONDS, unit="s", warp="log", doc="Delay time."),
        Param("feedback", default=0.35, low=0.0, high=0.98, smooth=0.01, doc="Feedback: level of each further echo."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._feedback = spec.feedback
        self._size = round(MAX_SECONDS * spec.rate) + spec.block + 2
        self._ring = np.zeros((spec.channels, self._size), np.float32)
        self._state = np.zeros(_SIZE, np.int64)
        self._fade = round(FADE * spec.rate)
        self._entry = round(ENTRY * spec.rate)
        self.parts = (DelayEntry(self._state, self._entry),)
        self.reset()

    def reset(self) -> None:
        self._ring.fill(0.0)
        self._state.fill(0)
        self._state[_GONE] = -1
        self._state[_ENTRY] = -1

    def step(self, io: IO) -> Step:
        return utilities_delay.step(
            io.audio_in[0],
            io.audio_out[0],
            io.curve("time"),
            io.curve("feedback"),
            DelayState(self._ring, self._size, self._state, self._fade, self._entry, self._rate),
            self._feedback,
            io.time.sample,
        )
