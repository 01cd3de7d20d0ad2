"""Playback of stems at a place and pace of any kind, at constant pitch, as machine code.

A phase vocoder reads windows of the record wherever they are wanted. Attacks are known beforehand: at each a stream
begins anew with the record's own samples, cross-faded, and what lies before the attack is continued by its mirror
image, so that an attack is neither smeared nor doubled. The sound before the first window of a stream, of which later
windows hold only a part, is the record's too: at its own pace a stream gives the record sample for sample.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.intrinsics import u8p
from antiphon.api.backends.signal import (
    PhaseSpectra,
    SpectraBuffers,
    vocoder_overlap,
    vocoder_peaks,
    vocoder_turn,
    vocoder_window,
)
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel

STEMS = ("voice", "drums", "bass", "other")
"""Stems in the order of the file."""
HALF_SCALE = 2.0 / 32768.0
"""Sample of a step of the file's 16 bits: stems may be louder than their sum."""
LEAD, FADE = 0.005, 0.003
"""Seconds before an attack at which a stream begins anew, and of its crossfade."""
WINDOWS = 0.085, 0.043
"""Window lengths in seconds, of the sound without drums, and of drums, which are noise and have no low notes."""
HOLD, DRUMS_HOLD = 4.0, 0.5
"""Seconds in which the two fade while the clock stands."""
_PULL, _MOST = 2.0, 0.5
"""Share of the distance to the clock that is made good in a beat, and its limit in beats a beat."""
_JUMP = 0.75
"""Beats from the clock beyond which the record jumps."""
_NEVER, _NEAR = 1e18, 0.01
"""Frames: after every attack, and of tolerance for rounding."""


class RecordWord(IntEnum):
    """Places in `RecordClock.words`. Beats are those of the record."""

    BEAT = 0  # where it is
    OFFSET = 1  # its beats before the clock's
    BEGUN = 2  # 1 once it has sounded
    HELD = 3  # frames since it stands
    HOLD = 4  # the beat before which it waits for the player
    AT = 5  # the beat at which it jumps; -1e18: by where it is
    GOTO = 6  # to this beat
    AFTER = 7  # and the next beat at which it jumps there
    PACE = 8  # frames of the record a frame
    NEXT = 9  # the first beat after the player's last note
    AGAIN = 10  # 1 where the clock stands at its beginning


class _Place(IntEnum):
    AT = 0  # frames of the hop given
    FADED = 1  # frames of the crossfade given
    STARTS = 2  # frame of the record at which the stream began
    BEGUN = 3  # 1 once it has


class _State(IntEnum):
    WINDOW = 0  # frame of the record at which the last window begins
    LIMIT = 1  # the frame before the next attack
    RATIO = 2  # frames of the record a frame of output, by transposition alone
    LEVELS = 3  # of each stem


class RecordSource(NamedTuple):
    """The record. data: 16-bit stems, frame by frame. places: its frame at each beat.

    meter: beats of a bar.
    """

    data: u8p
    frames: i64
    places: f64p
    beats: i64
    meter: i64


class RecordStream(NamedTuple):
    """A stream of some stems, with the number of `onsets`; see `_Place` and `_State`."""

    onsets: i64p
    attacks: i64
    place: i64p
    state: f64p
    old: Audio
    tail: f32p
    rises: f32p
    lead: i64


class RecordCurves(NamedTuple):
    """Parameters, one value per frame."""

    voice: f32p
    drums: f32p
    bass: f32p
    other: f32p
    transpose: f32p
    give: f32p


class RecordClock(NamedTuple):
    """The clock in frames `first` to `last` of a block; `words` see `RecordWord`."""

    words: f64p
    beat: f64
    step: f64
    running: i64
    first: i64
    last: i64
    rate: f64


@kernel
def record_frame(r: RecordSource, t: RecordStream, place: f64, c: i64) -> f64:
    """Sample of the stream's stems at a place of the record, by cubic interpolation between its frames."""
    base = math.floor(place)
    x = place - base
    first = i64(base)
    near = 0 if x == 0.0 else -1
    far = 1 if x == 0.0 else 3
    v = f64(0.0)
    for n in range(near, far):
        frame = first + n
        w = 1.0
        if far == 3:
            if n == -1:
                w = 0.5 * (-x + 2.0 * x * x - x * x * x)
            elif n == 0:
                w = 0.5 * (2.0 - 5.0 * x * x + 3.0 * x * x * x)
            elif n == 1:
                w = 0.5 * (x + 4.0 * x * x - 3.0 * x * x * x)
            else:
                w = 0.5 * (x * x * x - x * x)
        if frame >= 0 and frame < r.frames:
            for stem in range(4):
                level = t.state[_State.LEVELS + stem]
                if level != 0.0:
                    at = 16 * frame + 4 * stem + 2 * c
                    whole = i64(r.data[at]) + 256 * i64(r.data[at + 1])
                    whole = whole - 65536 if whole >= 32768 else whole
                    v = v + w * level * f64(whole)
    return v * HALF_SCALE


@kernel
def record_load(r: RecordSource, t: RecordStream, first: f64, count: i64, past: Audio) -> None:
    """past ← `count` frames from a frame of the record on; beyond the limit their mirror image."""
    limit = t.state[_State.LIMIT]
    span = max(1.0, limit - f64(t.place[_Place.STARTS]))
    ratio = t.state[_State.RATIO]
    for n in range(count):
        place = first + f64(n) * ratio
        over = place - limit
        if over > 0.0:
            over = over - 2.0 * span * math.floor(over / (2.0 * span))
            place = limit - min(over, 2.0 * span - over)
        for c in range(past.channels):
            past[c, n] = record_frame(r, t, place, min(c, 1))


@kernel
def record_hop(r: RecordSource, t: RecordStream, s: SpectraBuffers) -> None:
    """output ← the next hop, of the window that the state names."""
    size = s.frame.frames
    window = math.floor(t.state[_State.WINDOW] + 0.5)
    record_load(r, t, window - f64(s.hop) * t.state[_State.RATIO], size + s.hop, s.past)
    vocoder_window(s, size, s.before)
    vocoder_window(s, size + s.hop, s.now)
    vocoder_turn(s, vocoder_peaks(s), t.rises, 0)
    vocoder_overlap(s)
    t.place[_Place.AT] = 0


@kernel
def record_move(r: RecordSource, t: RecordStream, s: SpectraBuffers, place: f64, pace: f64) -> None:
    """Computes the next hop of a stream that is at a place of the record, with frames of it a frame of output."""
    half = 0.5 * f64(s.frame.frames)
    step = pace * f64(s.hop)
    # the window's centre belongs to a later frame
    wanted = place + (pace - t.state[_State.RATIO]) * half - t.state[_State.WINDOW]
    t.state[_State.WINDOW] = t.state[_State.WINDOW] + min(max(wanted, 0.5 * step), 1.5 * step)
    record_hop(r, t, s)


@kernel
def record_begin(r: RecordSource, t: RecordStream, s: SpectraBuffers, place: f64, gain: f64) -> None:
    """Begins a stream at a place of the record; what sounded, with that gain, fades out."""
    size = s.frame.frames
    at = t.place[_Place.AT]
    for c in range(s.sums.channels):
        for n in range(t.old.frames):
            v = s.output[c, at + n] if at + n < s.hop else s.sums[c, at + n - s.hop]
            t.old[c, n] = f32(gain * f64(v))
    start = math.floor(place + 0.5)
    low = 0
    high = t.attacks
    while low < high:
        middle = (low + high) // 2
        if f64(t.onsets[middle] - t.lead) <= start + f64(t.old.frames):
            low = middle + 1
        else:
            high = middle
    t.state[_State.LIMIT] = f64(t.onsets[low] - t.lead) if low < t.attacks else _NEVER
    t.state[_State.WINDOW] = start
    t.place[_Place.STARTS] = i64(start)
    t.place[_Place.BEGUN] = 1
    t.place[_Place.FADED] = 0
    record_load(r, t, start, size, s.past)
    for c in range(s.sums.channels):
        for n in range(size):
            s.sums[c, n] = s.past[c, n] * t.tail[n]
        for k in range(s.target.frames):
            s.target[c, k] = 0.0
    record_hop(r, t, s)


@kernel
def record_give(t: RecordStream, s: SpectraBuffers, y: Audio, n: i64, gain: f64) -> None:
    """y[c, n] += the stream's next frame."""
    at = t.place[_Place.AT]
    faded = t.place[_Place.FADED]
    share = 1.0
    if faded < t.old.frames:
        share = f64(faded + 1) / f64(t.old.frames + 1)
        t.place[_Place.FADED] = faded + 1
    for c in range(y.channels):
        v = gain * share * f64(s.output[c, at])
        if share < 1.0:
            v = v + (1.0 - share) * f64(t.old[c, faded])
        y[c, n] = f32(f64(y[c, n]) + v)
    t.place[_Place.AT] = at + 1


@kernel
def record_levels(t: RecordStream, c: RecordCurves, n: i64, drums: i64) -> None:
    """The stream's levels at a frame."""
    t.state[_State.LEVELS] = 0.0 if drums == 1 else f64(c.voice[n])
    t.state[_State.LEVELS + 1] = f64(c.drums[n]) if drums == 1 else 0.0
    t.state[_State.LEVELS + 2] = 0.0 if drums == 1 else f64(c.bass[n])
    t.state[_State.LEVELS + 3] = 0.0 if drums == 1 else f64(c.other[n])
    t.state[_State.RATIO] = 1.0 if drums == 1 else math.exp2(f64(c.transpose[n]) / 12.0)


@kernel
def record_advance(k: RecordClock, r: RecordSource, give: f64, lead: i64, n: i64) -> f64:
    """Moves the record's beat on by a frame; returns the step in beats, or -1 where it jumped or began."""
    w = k.words
    wanted = k.beat + f64(n - k.first) * k.step + w[RecordWord.OFFSET]
    jumps = 0
    if w[RecordWord.BEGUN] == 0.0:
        w[RecordWord.BEGUN] = 1.0
        w[RecordWord.BEAT] = wanted
        jumps = 1
    away = wanted - w[RecordWord.BEAT]
    if give > 0.0 and abs(away) > _JUMP:
        whole = math.floor(away + 0.5)
        # by less than a bar: the player's bar was found anew, and the record is in its own
        if abs(whole) < r.meter and w[RecordWord.AGAIN] == 0.0:
            w[RecordWord.OFFSET] = w[RecordWord.OFFSET] - whole
            away = away - whole
        else:
            w[RecordWord.BEAT] = wanted - w[RecordWord.OFFSET]
            w[RecordWord.OFFSET] = 0.0
            w[RecordWord.HOLD] = _NEVER
            away = 0.0
            jumps = 1
    w[RecordWord.AGAIN] = 0.0
    if (jumps == 1 or w[RecordWord.AT] == -_NEVER) and w[RecordWord.AFTER] < _NEVER:
        inside = w[RecordWord.GOTO] <= w[RecordWord.BEAT] and w[RecordWord.BEAT] < w[RecordWord.AFTER]
        line = -math.floor(1e-6 - w[RecordWord.BEAT] / f64(r.meter)) * f64(r.meter)
        w[RecordWord.AT] = w[RecordWord.AFTER] if inside else line
    beat = min(max(i64(math.floor(w[RecordWord.BEAT])), 0), r.beats - 2)
    own = 1.0 / (r.places[beat + 1] - r.places[beat])
    # just before the attack of a beat, which may begin a little before it
    if w[RecordWord.BEAT] + 1.5 * f64(lead) * own >= w[RecordWord.HOLD]:
        return 0.0
    if w[RecordWord.BEAT] + f64(lead) * own >= w[RecordWord.AT]:
        back = w[RecordWord.AT] - w[RecordWord.GOTO]
        w[RecordWord.BEAT] = w[RecordWord.BEAT] - back
        w[RecordWord.OFFSET] = w[RecordWord.OFFSET] - back
        w[RecordWord.HOLD] = w[RecordWord.HOLD] - back
        w[RecordWord.NEXT] = w[RecordWord.NEXT] - back
        w[RecordWord.AT] = w[RecordWord.AFTER]
        jumps = 1
    pull = min(max(_PULL * away, -_MOST), _MOST) * k.step
    move = give * (k.step + pull) + (1.0 - give) * own
    w[RecordWord.BEAT] = w[RecordWord.BEAT] + move
    return -1.0 if jumps == 1 else move


@kernel
def record_play(
    y: Audio,
    k: RecordClock,
    c: RecordCurves,
    r: RecordSource,
    a: RecordStream,
    sa: SpectraBuffers,
    b: RecordStream,
    sb: SpectraBuffers,
) -> None:
    """y[:, first:last] ← the record. a, b: the streams without drums, and of drums."""
    w = k.words
    if k.running == 0 and k.beat <= 0.0:
        w[RecordWord.OFFSET] = 0.0
        w[RecordWord.AGAIN] = 1.0
    for n in range(k.first, k.last):
        for channel in range(y.channels):
            y[channel, n] = 0.0
        record_levels(a, c, n, 0)
        record_levels(b, c, n, 1)
        held = w[RecordWord.HELD]
        was = w[RecordWord.BEAT]
        move = 0.0
        if k.running == 1:
            move = record_advance(k, r, f64(c.give[n]), a.lead, n)
        if w[RecordWord.BEGUN] == 1.0:
            was = w[RecordWord.BEAT] - k.step if move < 0.0 else was
            beat = min(max(i64(math.floor(was)), 0), r.beats - 2)
            span = r.places[beat + 1] - r.places[beat]
            place = r.places[beat] + (was - f64(beat)) * span
            low = max(0.0, 1.0 - held / (k.rate * HOLD))
            high = max(0.0, 1.0 - held / (k.rate * DRUMS_HOLD))
            goes = move < 0.0 or (move > 0.0 and held > 0.0)
            if goes or a.place[_Place.BEGUN] == 0:
                record_begin(r, a, sa, place, low * low)
                record_begin(r, b, sb, place, high * high)
            if goes:
                w[RecordWord.HELD] = 0.0
                low = 1.0
                high = 1.0
            elif move == 0.0:
                w[RecordWord.HELD] = held + 1.0
            # of a stream that begins before an attack the attack keeps its time
            pace = max(0.0, move) * span
            w[RecordWord.PACE] = pace
            if place > a.state[_State.LIMIT] + f64(a.lead) * (1.0 - pace) - _NEAR:
                record_begin(r, a, sa, a.state[_State.LIMIT], low * low)
            elif a.place[_Place.AT] == sa.hop:
                record_move(r, a, sa, place, pace)
            if place > b.state[_State.LIMIT] + f64(b.lead) * (1.0 - pace) - _NEAR:
                record_begin(r, b, sb, b.state[_State.LIMIT], high * high)
            elif b.place[_Place.AT] == sb.hop:
                record_move(r, b, sb, place, pace)
            record_give(a, sa, y, n, low * low)
            record_give(b, sb, y, n, high * high)


class StemStream:
    """A vocoder of some stems. `onsets`: their attacks, frames of the record in order."""

    def __init__(self, onsets: NDArray[np.int64], channels: int, rate: int, seconds: float) -> None:
        """Allocates for windows of about `seconds`."""
        size = 1 << round(math.log2(seconds * rate))
        self.spectra = PhaseSpectra(channels, size, size + size)
        scaled = self.spectra.window.astype(np.float64) * self.spectra.scaled
        later = sum(np.pad(scaled[: size - at], (at, 0)) for at in range(0, size, self.spectra.hop))
        self.record = RecordStream(
            np.append(onsets, 0).astype(np.int64), len(onsets), np.zeros(len(_Place), np.int64),
            np.zeros(_State.LEVELS + len(STEMS)), np.zeros((channels, round(FADE * rate)), np.float32),
            np.asarray(1.0 - later, np.float32), np.zeros(size // 2 + 1, np.float32), round(LEAD * rate),
        )  # fmt: skip

    def clear(self) -> None:
        """Silence, before a stream begins."""
        self.spectra.clear()
        for state in (self.record.place, self.record.state, self.record.old):
            state.fill(0)
