"""Renders a plan to playable sound: decodes, stretches, shifts and levels each loop, and sets the mix gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from antiphon.api import F32, FileError
from antiphon_loops.analysis.reading import sound_of
from antiphon_loops.arrangement.arrange import Arrangement, LoopChoice, LoopRequest, arrange
from antiphon_loops.arrangement.stretch import fit_loop, set_level
from antiphon_loops.record import Loop
from antiphon_loops.rules import Rules

T = TypeVar("T")
PAD = 16
"""Frames repeated on both sides of a circular track, for interpolation."""
_CEILING = 0.8
_MOST = 1 << 25
"""Maximum cached samples of files, and of tracks."""


@dataclass(frozen=True, slots=True)
class LoopTrack:
    """A loop ready for circular playback."""

    sound: F32  # float32 `[2, PAD + frames + PAD]`
    frames: int  # length without padding
    bars: int  # the same in bars


@dataclass(frozen=True, slots=True)
class LoopMaterial:
    """Arrangement with its samples."""

    plan: Arrangement
    tracks: tuple[LoopTrack, ...]
    gain: float  # gain of the sum, 1 or less, so that no peak is clipped


class MaterialMaker:
    """Creates material from one library. Files and tracks common to consecutive requests are cached."""

    def __init__(self, folder: Path, loops: Sequence[Loop], rules: Rules, rate: int) -> None:
        self._folder, self._loops, self._rules, self.rate = folder, list(loops), rules, rate
        self._tracks: dict[tuple[str, int, int, float], LoopTrack] = {}
        self._sounds: dict[str, F32] = {}
        self.unreadable: list[str] = []

    def make(self, request: LoopRequest, progress: Callable[[float], None] | None = None) -> LoopMaterial:
        """Creates the material of a request. An unreadable loop is removed and the plan repeated.

        Raises FileError: None of the loops can be read.
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
        track = self._tracks.pop(key, None)
        if track is None:
            sound = self._sound(choice.loop)
            fitted_sound = fit_loop(sound, frames, self.rate, choice.shift, choice.role == "drums")
            # stretching does not change the loudness
            fitted_sound = set_level(fitted_sound, self.rate, loudness - choice.loop.lufs)
            around = np.take(fitted_sound, np.arange(-PAD, frames + PAD), axis=1, mode="wrap")
            track = LoopTrack(np.ascontiguousarray(around, np.float32), frames, choice.bars)
        self._tracks[key] = track  # newest last
        _forget(self._tracks, lambda entry: entry.sound.size)
        return track

    def _sound(self, loop: Loop) -> F32:
        """Sound of the loop, float32 stereo at the playback rate."""
        sound = self._sounds.pop(loop.file, None)
        if sound is None:
            samples, _ = sound_of(self._folder / loop.file, loop.file, self.rate)
            first = round(loop.start * self.rate)
            samples = np.ascontiguousarray(samples[:, first : first + round(loop.seconds * self.rate)])
            sound = np.repeat(samples, 2, axis=0) if samples.shape[0] == 1 else samples
        self._sounds[loop.file] = sound
        _forget(self._sounds, lambda entry: entry.size)
        return sound


def _forget(cache: dict[Any, T], size: Callable[[T], int]) -> None:
    """Evicts the oldest entries, never the newest, until at most `_MOST` samples are left."""
    total = sum(map(size, cache.values()))
    while total > _MOST and len(cache) > 1:
        total -= size(cache.pop(next(iter(cache))))


def _gain(plan: Arrangement, tracks: Sequence[LoopTrack]) -> float:
    """Gain, at most 1, at which no bar exceeds `_CEILING` at any intensity."""
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
