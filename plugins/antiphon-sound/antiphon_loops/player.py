"""Player of prepared material at a beat position: each track is read at the beat's position, at the beat's speed.

At the material's own tempo samples are copied (steps of one frame, up to rounding); at another they are resampled,
which changes their pitch, until new material is ready.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.kernels import Audio, f32, f32p, f64, i64, kernel
from antiphon_loops.arrangement.arrange import Layer
from antiphon_loops.arrangement.maker import PAD, LoopMaterial

HALF = 8
PHASES = 512
FADE_IN, FADE_OUT = 0.001, 0.012
"""Fade times in seconds of a layer that starts after, or stops at, a bar line."""


class LoopSpan(NamedTuple):
    """Where a track is read, and how loud."""

    position: f64  # frame of the track for the first of output, with fraction
    step: f64  # frames of the track per frame of output
    gain: f64
    slope: f64  # change of the gain per frame


class BarPart(NamedTuple):
    """A part of a bar, `beats` after its line, and the intensities of three bars, below 0 where silent."""

    material: LoopMaterial
    bar: int
    beats: float
    tempo: float
    before: float
    now: float
    after: float


@kernel
def loops_read(x: Audio, y: Audio, table: f32p, s: LoopSpan, first: i64, last: i64) -> None:
    """y[c, first:last] += x[c] read from `position` on, resampled, times a gain.

    `table`: `[PHASES + 1, 2 * HALF]` windowed sinc at each place between two frames; rows are interpolated.
    """
    for n in range(first, last):
        place = s.position + f64(n - first) * s.step
        base = i64(place)
        part = (place - f64(base)) * f64(PHASES)
        row = i64(part)
        mix = part - f64(row)
        row = row * (2 * HALF)
        level = s.gain + s.slope * f64(n - first)
        for c in range(min(x.channels, y.channels)):
            at = base - HALF + 1
            near = f64(0.0)
            far = f64(0.0)
            for i in range(2 * HALF):
                near = near + f64(x[c, at + i]) * f64(table[row + i])
                far = far + f64(x[c, at + i]) * f64(table[row + 2 * HALF + i])
            y[c, n] = f32(f64(y[c, n]) + level * (near + mix * (far - near)))


def sinc_table() -> NDArray[np.float32]:
    """Kaiser-windowed sinc, float32 `[PHASES + 1, 2 * HALF]`, beta 8; each row's sum is 1."""
    part = np.arange(PHASES + 1)[:, None] / PHASES
    at = np.arange(-HALF + 1, HALF + 1)[None, :] - part
    window = np.i0(8.0 * np.sqrt(np.maximum(0.0, 1 - (at / HALF) ** 2))) / np.i0(8.0)
    table = np.sinc(at) * window
    return np.ascontiguousarray(table / table.sum(axis=1, keepdims=True), np.float32)


class LoopPlayer:
    """Adds a bar of material, or part of one, to an output.

    A layer's gain is a function of the position in the bar, and of its presence in the previous and next bar, so that
    the block size does not change a sample.
    """

    def __init__(self, rate: int, solo: str = "") -> None:
        """Creates the table. `solo`: the only audible role, "" for all."""
        self._rate, self._table, self._solo = rate, sinc_table(), solo

    def play(self, out: Samples, first: int, last: int, part: BarPart) -> None:
        """Adds frames `first` to `last` of one bar, of which `part` begins at `first`, to `[1 or 2, n]`."""
        plan, bar = part.material.plan, part.bar
        if not plan.bars:
            return
        count = len(plan.bars)
        for layer in plan.bars[bar % count]:
            if layer.enters > part.now or (self._solo and plan.choices[layer.choice].role != self._solo):
                continue
            comes = not _has_layer(part.material, (bar - 1) % count, layer, part.before)
            goes = not _has_layer(part.material, (bar + 1) % count, layer, part.after)
            self._layer(out, first, last, part, layer, comes, goes)

    def _layer(self, out: Samples, first: int, last: int, part: BarPart, layer: Layer, comes: bool, goes: bool) -> None:
        material, beats, tempo = part.material, part.beats, part.tempo
        track, bar = material.tracks[layer.choice], part.bar % len(material.plan.bars) + layer.turn
        a_beat = track.frames / (track.bars * 4.0)
        per_frame = tempo / (60.0 * self._rate)
        up, down = FADE_IN / (60.0 / tempo), FADE_OUT / (60.0 / tempo)
        edges = [first, last]
        if comes and beats < up:
            edges.insert(1, min(last, first + int(np.ceil((up - beats) / per_frame))))
        if goes:
            edges.insert(-1, max(edges[-2], min(last, first + int(np.ceil((4.0 - down - beats) / per_frame)))))
        for a, b in itertools.pairwise(edges):
            if a >= b:
                continue
            at = beats + (a - first) * per_frame
            gain, slope = material.gain, 0.0
            if comes and at < up - 1e-12:
                gain, slope = gain * at / up, gain * per_frame / up
            elif goes and at >= 4.0 - down - 1e-12:
                gain, slope = gain * max(0.0, (4.0 - at) / down), -gain * per_frame / down
            position = PAD + ((bar % track.bars) * 4.0 + at) * a_beat
            loops_read(track.sound, out, self._table, LoopSpan(position, per_frame * a_beat, gain, slope), a, b)


def _has_layer(material: LoopMaterial, bar: int, layer: Layer, intensity: float) -> bool:
    """True if bar `bar` has the same layer, as a continuation or a lead-in."""
    return any(
        x.choice == layer.choice and x.turn == layer.turn and x.enters <= intensity for x in material.plan.bars[bar]
    )
