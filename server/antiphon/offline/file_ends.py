"""The end of a sound file: its tail until it is silent, and a fade so that it does not click."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.contract.block import Samples

TAIL_END_LEVEL = 1e-3
"""End threshold of a sound: -60 dB re full scale."""
MAX_TAIL_SECONDS = 10.0
"""Default length of the tail, seconds."""
_LAST = 0.0005
"""Length in seconds of the end check of a sound: below half a period of the lowest frequency the fade would spare."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Length and end rule of the rendering after the input's end.

    `seconds`: maximum; `level`: the tail ends where the sound stays below it; 0 keeps all of it.
    """

    seconds: float = 0.0
    level: float = 0.0


NO_TAIL = Tail()
DECAY = Tail(MAX_TAIL_SECONDS, TAIL_END_LEVEL)
"""Default tail of a self-sounding patch or effect."""


def tail_of(asked: float | None, sounds_on: bool) -> Tail:
    """`asked`: `--tail`, None if not given. `sounds_on`: True if a part of it has a tail."""
    if asked is not None:
        return Tail(asked)
    return DECAY if sounds_on else NO_TAIL


class Decay:
    """Cuts a tail after its last frame at `level` or above: frames below it are held back until one is above."""

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


def fade_end(blocks: Iterable[Samples], rate: int, seconds: float) -> Iterator[Samples]:
    """Fades the end of a sound out by half a cosine, unless it is below -60 dB by then.

    `blocks`: float32 `[channels, n]` each. `rate`: frames per second. `seconds`: length of the fade; a sound shorter
    than twice of it is faded over its second half. Yields the same frames; each block holds until the next is asked
    for.
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
        place = np.arange(1, length + 1) / length
        tail = tail.copy()
        tail[:, -length:] *= (0.5 + 0.5 * np.cos(np.pi * place)).astype(np.float32)
    yield tail
