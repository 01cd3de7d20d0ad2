"""Machine code for the hops of a worker's node: posts sound, and plays the answers that have arrived.

Goal: while the worker answers in time and only sound is sent, a block needs no interpreter.

Plan: before a block `hops_rest` checks that all answers it needs have arrived, and that the hops it ends continue the
epoch. If not (a late answer, a dead worker), it has changed nothing, and `WorkerProcessor.process` computes the block.
Else `play_hops` does. Both paths share the words below, and what is done to them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from antiphon.kernel.workers.hop_kernels import EpochWord, LaneWord, answer_there, hand_over, hop_continues
from antiphon.native.compiling import kernel
from antiphon.native.dsp import finite, pass_part, ring_read, ring_write
from antiphon.native.intrinsics import address_f32, address_i64, offset
from antiphon.native.kernel import Audio, f32, f32p, f64, i64, i64p

_FLOAT = 4


class HopWord(IntEnum):
    """Indices of the words of a `Rebuffer`."""

    FILL = 0  # frames of the hop that have come in; -1 before the first block
    NUMBER = 1  # the hop that is being filled
    LOADED = 2  # 1: its answer was taken
    FIRST = 3  # the first hop that is posted
    SIZE = 4


class FadeWord(IntEnum):
    """Indices of the words of a `DropoutFader`."""

    THERE = 0  # 1: the last hop was an answer
    RISE = 1  # frames done of the fade-in, and of what fades out
    GONE = 2
    SIZE = 3


@kernel
def answer_plays(lane: i64p, hop: i64) -> i64:
    """1 if a hop's answer has arrived, in an epoch without a gap, and is finite."""
    own = address_i64(lane[LaneWord.OWN])
    if own[EpochWord.BROKEN] != 0 or own[EpochWord.ABSENT] != 0:
        return 0
    if hop < own[EpochWord.FIRST] or hop >= own[EpochWord.POSTED] or answer_there(lane, hop) == 0:
        return 0
    size = lane[LaneWord.FLOATS_OUT]
    place = hop % lane[LaneWord.DEPTH]
    return finite(address_f32(lane[LaneWord.OUT] + _FLOAT * place * size), size, 1, size)


@kernel
def hops_rest(words: i64p, fader: i64p, lanes: i64p, count: i64, hop: i64, lead: i64, fade: i64, frames: i64) -> i64:
    """1 if `play_hops` can play the block. `lanes`: `LaneWord` of each of `count` streams; `hop`, `fade`: in frames."""
    fill = words[HopWord.FILL]
    if fill < 0 or fader[FadeWord.THERE] == 0 or fader[FadeWord.RISE] < fade or fader[FadeWord.GONE] < fade:
        return 0
    number = words[HopWord.NUMBER]
    loaded = words[HopWord.LOADED]
    done = 0
    ended = 0
    while done < frames:
        if loaded == 0:
            due = number - 1 - lead
            if due < words[HopWord.FIRST]:
                return 0
            for k in range(count):
                if answer_plays(offset(lanes, k * LaneWord.SIZE), due) == 0:
                    return 0
            loaded = 1
        part = min(frames - done, hop - fill)
        done = done + part
        fill = fill + part
        if fill == hop:
            for k in range(count):
                if hop_continues(offset(lanes, k * LaneWord.SIZE), number, ended) == 0:
                    return 0
            ended = ended + 1
            number = number + 1
            fill = 0
            loaded = 0
    return 1


@kernel
def push_tail(x: Audio, tail: Audio) -> None:
    """Shifts a hop into the tail, the last frames of a sound; no operation without channels."""
    frames = tail.frames
    kept = max(0, frames - x.frames)
    for c in range(x.channels):
        for n in range(kept):
            tail[c, n] = tail[c, n + x.frames]
        for n in range(kept, frames):
            tail[c, n] = x[c, n - frames + x.frames]


@kernel
def take_answers(lanes: i64p, hop: i64, out: Audio) -> None:
    """out ← the answers to a hop, with the streams' channels side by side."""
    for c in range(out.channels):
        rows = lanes[LaneWord.FLOATS_OUT] // out.frames
        lane = offset(lanes, c // rows * LaneWord.SIZE)
        place = hop % lane[LaneWord.DEPTH] * rows + c % rows
        answer = address_f32(lane[LaneWord.OUT] + _FLOAT * place * out.frames)
        for n in range(out.frames):
            out[c, n] = answer[n]


@kernel
def post_hop(lanes: i64p, count: i64, hop: i64, sound: Audio, head: f32p, size: i64) -> None:
    """Posts a hop to each stream: the stream's channels of the sound, then the `size` floats of `head`."""
    for k in range(count):
        lane = offset(lanes, k * LaneWord.SIZE)
        floats = lane[LaneWord.FLOATS_IN]
        place = hop % lane[LaneWord.DEPTH]
        into = address_f32(lane[LaneWord.IN] + _FLOAT * place * floats)
        rows = (floats - size) // sound.frames if sound.channels > 0 else 0
        for row in range(rows):
            part = offset(into, row * sound.frames)
            c = k * rows + row
            if c < sound.channels:
                for n in range(sound.frames):
                    part[n] = sound[c, n]
            else:
                for n in range(sound.frames):
                    part[n] = f32(0.0)
        after = offset(into, rows * sound.frames)
        for n in range(size):
            after[n] = head[n]
        hand_over(lane, hop)


class HopGrid(NamedTuple):
    """The rebuffer's words, and the streams. `lanes`: `LaneWord` of each."""

    words: i64p
    lanes: i64p
    streams: i64
    lead: i64


class HopSounds(NamedTuple):
    """The rebuffer's input and output hops, and the fader's newest sound."""

    into: Audio
    out: Audio
    tail: Audio
    dry_tail: Audio


class DryHops(NamedTuple):
    """The dry sound, without channels if there is none: its ring, and the hop being played."""

    ring: Audio
    hop: Audio
    at: i64p
    latency: i64


@kernel
def hop_goes_on(words: i64p, hop: i64, frames: i64) -> i64:
    """1 if a block lies within a hop whose answer was taken, and does not end it, else 0."""
    inside = words[HopWord.FILL] >= 0 and words[HopWord.FILL] + frames < hop
    return 1 if inside and words[HopWord.LOADED] != 0 else 0


@kernel
def begin_hop(words: i64p) -> None:
    """Begins the next hop."""
    words[HopWord.NUMBER] = words[HopWord.NUMBER] + 1
    words[HopWord.FILL] = 0
    words[HopWord.LOADED] = 0


@kernel
def play_hops(g: HopGrid, x: Audio, y: Audio, s: HopSounds, d: DryHops, head: f32p, size: i64) -> None:
    """Processes a block: posts its input hops, plays its answers. Only valid after `hops_rest`.

    `head`, `size`: as for `post_hop`.
    """
    hop = s.out.frames
    done = 0
    while done < y.frames:
        number = g.words[HopWord.NUMBER]
        if g.words[HopWord.LOADED] == 0:
            take_answers(g.lanes, number - 1 - g.lead, s.out)
            ring_read(d.ring, d.hop, d.at, d.latency, hop)
            push_tail(s.out, s.tail)
            push_tail(d.hop, s.dry_tail)
            g.words[HopWord.LOADED] = 1
        done = pass_part(g.words, x, s.into, s.out, y, done)
        if g.words[HopWord.FILL] == hop:
            if d.ring.channels > 0:
                ring_write(s.into, d.ring, d.at, hop)
            post_hop(g.lanes, g.streams, number, s.into, head, size)
            begin_hop(g.words)


@kernel
def dot(a: Audio, b: Audio) -> f64:
    """Sum of products."""
    total = f64(0.0)
    for c in range(a.channels):
        for n in range(a.frames):
            total = total + f64(a[c, n]) * f64(b[c, n])
    return total
