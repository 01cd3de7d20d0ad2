"""A sound file in blocks, and its end: a tail until silence or the end of a bar, and a fade against clicks."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec

TAIL_END_LEVEL = 1e-3
"""End threshold of a sound: -60 dB re full scale."""
_DIES_SECONDS = 0.25
"""Seconds at the end of a tail that are checked: a tail above the threshold there has not died away."""
MAX_TAIL_SECONDS = 10.0
"""Default length of the tail, seconds."""
_LAST = 0.0005
"""Length in seconds of the end check of a sound: below half a period of the lowest frequency the fade would spare."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Length and end rule of the rendering after the input's end.

    `seconds`: maximum; `level`: the tail ends when the sound stays below it; 0 keeps all of it. `bar`: beats of a bar;
    endless sound stops at the last bar line within the maximum; 0 for none. `fade`: minimum fade-out of such a sound in
    seconds; 0 cuts it there.
    """

    seconds: float = 0.0
    level: float = 0.0
    bar: float = 0.0
    fade: float = 0.0


NO_TAIL = Tail()
DECAY = Tail(MAX_TAIL_SECONDS, TAIL_END_LEVEL)
"""Default tail of a self-sounding patch or effect."""


def choose_tail(asked: float | None, sounds_on: bool) -> Tail:
    """Tail of a rendering. `asked`: `--tail`, None if not given. `sounds_on`: True if a part of it has a tail."""
    if asked is not None:
        return Tail(asked)
    return DECAY if sounds_on else NO_TAIL


class PaddedSource:
    """Re-blocks the source and `behind` frames of silence after it into one reused array."""

    def __init__(
        self, source: Iterable[Samples], spec: StreamSpec, frames: int | None = None, behind: int | None = 0
    ) -> None:
        """`frames`: maximum number taken of the source; a shorter one is padded, unless `behind` is None."""
        self._source, self._spec, self._behind = source, spec, behind
        self.length = frames  # frames of the source, or those requested; None until the length is known

    def blocks(self) -> Iterator[Samples]:
        """Yields the blocks, float32 `[channels, block]`, the last one as long as what is left."""
        spec, frames = self._spec, self.length
        buffer = np.zeros((spec.channels, spec.block), np.float32)
        at = filled = 0
        for samples in self._source:
            first, last = 0, samples.shape[1]
            if frames is not None:
                last = min(last, frames - at)
            while first < last:
                n = min(last - first, spec.block - filled)
                into = buffer[:, filled : filled + n]
                if samples.shape[0] in (1, spec.channels):
                    into[:] = samples[:, first : first + n]
                else:
                    both = min(samples.shape[0], spec.channels)
                    into.fill(0.0)
                    into[:both] = samples[:both, first : first + n]
                first, filled, at = first + n, filled + n, at + n
                if filled == spec.block:
                    yield buffer
                    filled = 0
            if frames is not None and at >= frames:
                break
        self.length = at if frames is None or self._behind is None else frames
        if not self.length:
            return
        silent = self.length - at + (self._behind or 0)
        while silent or filled:
            n = min(silent, spec.block - filled)
            buffer[:, filled : filled + n] = 0.0
            yield buffer[:, : filled + n]
            silent, filled = silent - n, 0


class Decay:
    """Cuts a tail after its last frame at `level` or above: frames below are held back until a louder one follows."""

    def __init__(self, level: float) -> None:
        self._level = level
        self._held: list[Samples] = []

    def take(self, y: Samples) -> Iterator[Samples]:
        """Processes a block, float32 `[channels, n]`, and yields the frames of the tail before the cut."""
        loud = np.flatnonzero(np.abs(y).max(axis=0) >= self._level)
        if not len(loud):
            self._held.append(y.copy())
            return
        yield from self._held
        self._held.clear()
        end = int(loud[-1]) + 1
        yield y[:, :end]
        if end < y.shape[1]:
            self._held.append(y[:, end:].copy())


class LastBar:
    """Ends a tail at a bar line."""

    def __init__(self, tail: Tail, rate: int) -> None:
        self._tail, self._rate = tail, rate
        self._held: list[Samples] = []
        self._beats: list[tuple[int, float]] = []

    def add_beat(self, frame: int, beat: float) -> None:
        """Adds the beat at a frame of the tail, counted from 0, in order."""
        self._beats.append((frame, beat))

    def take(self, y: Samples) -> None:
        """Adds the next frames of the tail, float32 `[channels, n]`."""
        self._held.append(y.copy())

    def end(self) -> Iterator[Samples]:
        """Yields the tail: all of it if it dies away, else up to the last bar line, fading over the bar before."""
        if not self._held:
            return
        y, tail = np.concatenate(self._held, axis=1), self._tail
        if y.shape[1] < round((tail.seconds - _DIES_SECONDS) * self._rate):
            yield y
            return
        lines = sorted({0, *(line for line in self._lines() if 0 < line <= y.shape[1])})
        if len(lines) > 1:
            y = y[:, : lines[-1]]
            fade = min(y.shape[1], max(lines[-1] - lines[-2], round(tail.fade * self._rate)))
            if tail.fade:
                y[:, -fade:] *= falling(fade)
        yield y

    def _lines(self) -> Iterator[int]:
        """Yields the frames of bar lines."""
        for (frame, beat), (end, after) in pairwise(self._beats):
            line = self._tail.bar * math.ceil(beat / self._tail.bar - 1e-9)
            while line < after:
                yield frame + round((line - beat) / (after - beat) * (end - frame))
                line += self._tail.bar


def falling(frames: int) -> Samples:
    """Half a cosine from full level to silence, float32 `[frames]`."""
    place = np.arange(1, frames + 1) / frames
    return (0.5 + 0.5 * np.cos(np.pi * place)).astype(np.float32)


def fade_end(blocks: Iterable[Samples], rate: int, seconds: float) -> Iterator[Samples]:
    """Fades the end of a sound out by half a cosine, unless it is below -60 dB by then.

    `blocks`: float32 `[channels, n]` each. `rate`: frames per second. `seconds`: length of the fade; a sound shorter
    than twice that is faded over its second half. Yields the same frames; each block is valid until the next is
    requested.
    """
    most = round(seconds * rate)
    tail: Samples | None = None
    frames = 0
    for block in blocks:
        frames += block.shape[1]
        joined = block.copy() if tail is None else np.concatenate([tail, block], axis=1)
        sure = max(0, joined.shape[1] - most)
        if sure:
            yield joined[:, :sure]
        tail = joined[:, sure:]
    if tail is None or not tail.shape[1]:
        return
    last = max(1, round(_LAST * rate))
    length = min(most, frames // 2)
    if length and np.abs(tail[:, -last:]).max() >= TAIL_END_LEVEL:
        tail = tail.copy()
        tail[:, -length:] *= falling(length)
    yield tail
