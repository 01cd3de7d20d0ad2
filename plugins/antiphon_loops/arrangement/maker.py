"""A plan made into sound that can be played: every loop decoded, stretched, shifted, levelled, and the mix's gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon_loops.analysis.reading import sound_of
from antiphon_loops.arrangement.arrange import Arrangement, LoopChoice, LoopRequest, arrange
from antiphon_loops.arrangement.rules import Rules
from antiphon_loops.arrangement.stretch import fitted, levelled
from antiphon_loops.record import Loop

F32 = NDArray[np.float32]
T = TypeVar("T")
PAD = 16
"""Frames of the circle on both sides of a track, for interpolation."""
_CEILING = 0.8
_MOST = 1 << 25
"""Samples of files, and as many of tracks, kept for the next request."""


@dataclass(frozen=True, slots=True)
class LoopTrack:
    """A loop ready to go round. sound: float32 `[2, PAD + frames + PAD]`.  bars: how many `frames` are."""

    sound: F32
    frames: int
    bars: int


@dataclass(frozen=True, slots=True)
class LoopMaterial:
    """What a player plays. tracks: one for each of the plan's choices.  gain: of the whole, so that no peak is cut."""

    plan: Arrangement
    tracks: tuple[LoopTrack, ...]
    gain: float


class MaterialMaker:
    """Makes material from one library. What one request and the next have in common is made once."""

    def __init__(self, folder: Path, loops: Sequence[Loop], rules: Rules, rate: int) -> None:
        self._folder, self._loops, self._rules, self.rate = folder, list(loops), rules, rate
        self._made: dict[tuple[str, int, int, float], LoopTrack] = {}
        self._read: dict[str, F32] = {}
        self.unreadable: list[str] = []

    def make(self, request: LoopRequest, progress: Callable[[float], None] | None = None) -> LoopMaterial:
        """A loop that can no longer be read is left out, named in `unreadable`, and the plan made again.

        `FileError` where that leaves nothing of what there was.
        """
        loops, self.unreadable = self._loops, []
        while True:
            plan = arrange(loops, request, self._rules)
            if self.unreadable and not plan.choices:
                raise FileError(f"no loop of {self._folder.name[:80]!r} can be read any more; {self.unreadable[0]}")
            try:
                tracks = []
                for n, choice in enumerate(plan.choices):
                    tracks.append(self._track(choice, request.bpm))
                    if progress is not None:
                        progress((n + 1) / len(plan.choices))
                return LoopMaterial(plan, tuple(tracks), _gain(plan, tracks))
            except FileError as error:
                self.unreadable.append(str(error))
                loops = [x for x in loops if x != choice.loop]

    def _track(self, choice: LoopChoice, bpm: float) -> LoopTrack:
        frames = max(1, round(choice.bars * 240.0 / bpm * self.rate))
        loudness = self._rules.loudness[choice.role]
        key = (choice.loop.file, frames, choice.shift, loudness)
        track = self._made.pop(key, None)
        if track is None:
            sound = self._sound(choice.loop)
            made = fitted(sound, frames, self.rate, choice.shift, choice.role == "drums")
            # stretching leaves the loudness as it was
            made = levelled(made, self.rate, loudness - choice.loop.lufs)
            around = np.take(made, np.arange(-PAD, frames + PAD), axis=1, mode="wrap")
            track = LoopTrack(np.ascontiguousarray(around, np.float32), frames, choice.bars)
        self._made[key] = track  # newest last
        _forget(self._made, lambda kept: kept.sound.size)
        return track

    def _sound(self, loop: Loop) -> F32:
        """Stereo at the rate of playing."""
        found = self._read.pop(loop.file, None)
        if found is None:
            samples, _ = sound_of(self._folder / loop.file, loop.file, self.rate)
            found = np.repeat(samples, 2, axis=0) if samples.shape[0] == 1 else samples
        self._read[loop.file] = found
        _forget(self._read, lambda kept: kept.size)
        return found


def _forget(kept: dict[Any, T], size: Callable[[T], int]) -> None:
    """The oldest, but never the newest, until what is left is no more than `_MOST` samples."""
    total = sum(map(size, kept.values()))
    while total > _MOST and len(kept) > 1:
        total -= size(kept.pop(next(iter(kept))))


def _gain(plan: Arrangement, tracks: Sequence[LoopTrack]) -> float:
    """Down, where layers together would go over: bars are summed, their layers added as intensity adds them."""
    peak, seen = 1e-9, set()
    for bar, layers in enumerate(plan.bars):
        signs = tuple(
            (x.choice, (bar + x.turn) % tracks[x.choice].bars) for x in sorted(layers, key=lambda x: x.enters)
        )
        if signs in seen or not signs:
            continue
        seen.add(signs)
        first = tracks[signs[0][0]]
        frames = round(first.frames / first.bars)
        total = np.zeros((2, frames), np.float32)
        for choice, turn in signs:
            track = tracks[choice]
            start = PAD + round(turn * track.frames / track.bars)
            piece = track.sound[:, start : start + frames]
            total[:, : piece.shape[1]] += piece
            peak = max(peak, float(np.abs(total).max()))
    return min(1.0, _CEILING / peak)
