"""Player of prepared material at a beat position: each track is read at the beat's position, at the beat's speed.

At the material's own tempo samples are copied (steps of one frame, up to rounding); at another they are resampled,
which changes their pitch, until new material is ready.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.kernels import Audio, address, address_f32, f32, f32p, f64, f64p, i64, kernel, offset
from antiphon_loops.arrange import Layer
from antiphon_loops.maker import PAD, LoopMaterial

LATCH_BEATS = 0.125
"""Beats before the bar line at which the next bar's material and intensity are fixed."""
JUMP_BEATS = 0.02
HALF = 8
PHASES = 512
MAX_LAYERS = 64
FADE_IN, FADE_OUT = 0.001, 0.012
"""Fade times in seconds of a layer that starts after, or stops at, a bar line."""


class BarPart(NamedTuple):
    """Part of a bar, from `beats` after its line on, with the intensities of three bars, below 0 for silence."""

    material: LoopMaterial
    bar: int
    beats: float
    tempo: float
    before: float
    now: float
    after: float


class SpanRow(IntEnum):
    """Places of the numbers of a layer that plays in a bar."""

    ADDRESS = 0  # of its track, its frames with padding
    STRIDE = 1
    COMES = 2  # 1: it is not in the bar before, or after
    GOES = 3
    BEATS = 4  # from the track's beginning to the bar
    A_BEAT = 5  # frames
    SIZE = 6


class SpanTables(NamedTuple):
    """Windowed sinc `[PHASES + 1, 2 * HALF]` at each place between two frames, the layers' `SpanRow`s, and the rate."""

    sinc: f32p
    spans: f64p
    rate: f64


@kernel
def loops_play(y: Audio, t: SpanTables, count: i64, first: i64, last: i64, beats: f64, tempo: f64, loud: f64) -> None:
    """y[:, first:last] += `count` layers of a bar, `beats` after its line on, at a tempo in bpm and a gain.

    Tracks are resampled by rows of the sinc, which are interpolated.
    """
    per_frame = tempo / (60.0 * t.rate)
    up = FADE_IN / (60.0 / tempo)
    down = FADE_OUT / (60.0 / tempo)
    for k in range(count):
        span = offset(t.spans, k * SpanRow.SIZE)
        x = address_f32(i64(span[SpanRow.ADDRESS]))
        step = per_frame * span[SpanRow.A_BEAT]
        comes = span[SpanRow.COMES] > 0.0
        goes = span[SpanRow.GOES] > 0.0
        risen = first
        if comes and beats < up:
            risen = min(last, first - i64(math.floor((beats - up) / per_frame)))
        falls = last
        if goes:
            falls = max(risen, min(last, first - i64(math.floor((beats - (4.0 - down)) / per_frame))))
        a = first
        for piece in range(3):
            at = beats + f64(a - first) * per_frame
            gain = loud
            slope = f64(0.0)
            if comes and at < up - 1e-12:
                gain = loud * at / up
                slope = loud * per_frame / up
            elif goes and at >= 4.0 - down - 1e-12:
                gain = loud * max(0.0, (4.0 - at) / down)
                slope = -loud * per_frame / down
            position = f64(PAD) + (span[SpanRow.BEATS] + at) * span[SpanRow.A_BEAT]
            b = risen if piece == 0 else falls if piece == 1 else last
            for n in range(a, b):
                place = position + f64(n - a) * step
                base = i64(place)
                part = (place - f64(base)) * f64(PHASES)
                row = offset(t.sinc, i64(part) * 2 * HALF)
                mix = part - f64(i64(part))
                for c in range(y.channels):
                    from_ = offset(x, c * i64(span[SpanRow.STRIDE]) + base - HALF + 1)
                    near = f64(0.0)
                    far = f64(0.0)
                    for i in range(2 * HALF):
                        near = near + f64(from_[i]) * f64(row[i])
                        far = far + f64(from_[i]) * f64(row[2 * HALF + i])
                    level = gain + slope * f64(n - a)
                    y[c, n] = f32(f64(y[c, n]) + level * (near + mix * (far - near)))
            a = b


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
        self._solo, self.count = solo, 0
        self.tables = SpanTables(sinc_table(), np.zeros((MAX_LAYERS, SpanRow.SIZE)), float(rate))

    def play(self, out: Samples, first: int, last: int, part: BarPart) -> None:
        """Adds frames `first` to `last` of one bar, of which `part` begins at `first`, to `[1 or 2, n]`."""
        material, bar, bars = part.material, part.bar, part.material.plan.bars
        self.count = 0
        for layer in bars[bar % len(bars)] if bars else ():
            if layer.enters > part.now or (self._solo and material.plan.choices[layer.choice].role != self._solo):
                continue
            track = material.tracks[layer.choice]
            self.tables.spans[self.count] = (
                address(track.sound), track.sound.shape[1],
                not _has_layer(material, (bar - 1) % len(bars), layer, part.before),
                not _has_layer(material, (bar + 1) % len(bars), layer, part.after),
                (bar % len(bars) + layer.turn) % track.bars * 4.0, track.frames / (track.bars * 4.0),
            )  # fmt: skip
            self.count += 1
        loops_play(out, self.tables, self.count, first, last, part.beats, part.tempo, material.gain)


def _has_layer(material: LoopMaterial, bar: int, layer: Layer, intensity: float) -> bool:
    """True if bar `bar` has the same layer, as a continuation or a lead-in."""
    return any(
        x.choice == layer.choice and x.turn == layer.turn and x.enters <= intensity for x in material.plan.bars[bar]
    )


class BarWord(IntEnum):
    """Places of the numbers of a playing bar, as `process` left them."""

    RESTS = 0  # 1: it plays on, without a fade
    OWN = 1  # beat of the next block, by a tempo of its own, and by either
    EXPECTED = 2
    SAMPLE = 3
    TEMPO = 4
    BAR = 5
    FROM = 6  # beats between which nothing is decided
    UNTIL = 7
    COUNT = 8  # layers
    GAIN = 9


@kernel
def loops_beat(s: f64p, own: f64, beat: f64) -> f64:
    """Beat of the block's first frame."""
    return s[BarWord.OWN] if own > 0.0 else max(0.0, beat)


@kernel
def loops_go_on(t: SpanTables, s: f64p, own: f64, beat: f64, tempo: f64, playing: i64, frames: i64) -> i64:
    """1 if the bar plays on through the block, and nothing is decided in it, else 0."""
    here = loops_beat(s, own, beat)
    pace = own if own > 0.0 else tempo
    jumps = abs(here - s[BarWord.EXPECTED]) > JUMP_BEATS
    if s[BarWord.RESTS] == 0.0 or playing == 0 or pace != s[BarWord.TEMPO] or jumps:
        return 0
    ends = here + pace / (60.0 * t.rate) * f64(frames + 1)
    return 1 if here >= s[BarWord.FROM] and ends <= s[BarWord.UNTIL] else 0


@kernel
def loops_block(y: Audio, t: SpanTables, s: f64p, own: f64, beat: f64, tempo: f64, sample: i64) -> None:
    """y ← a block for which `loops_go_on`."""
    here = loops_beat(s, own, beat)
    pace = own if own > 0.0 else tempo
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = 0.0
    inside = max(0.0, here - 4.0 * s[BarWord.BAR])
    loops_play(y, t, i64(s[BarWord.COUNT]), 0, y.frames, inside, pace, s[BarWord.GAIN])
    s[BarWord.EXPECTED] = here + f64(y.frames) * pace / (60.0 * t.rate)
    if own > 0.0:
        s[BarWord.OWN] = s[BarWord.EXPECTED]
    s[BarWord.SAMPLE] = f64(sample + y.frames)
