"""Notes that begin in polyphonic sound, for a score follower: peaks of the onsets that Basic Pitch's network finds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import StreamedChords
from antiphon_follow.evidence import RATE, network_weights
from antiphon_follow.sound import heard_of

WAIT = 2
"""Hops after an onset in which its pitch sounds."""
ONSET, SURE = 0.55, 0.15
"""Thresholds of an onset and of its pitch: a follower is helped more by weak notes than it is misled by wrong ones."""
LATE = (StreamedChords.later + StreamedChords.behind + WAIT) * StreamedChords.hop / RATE + StreamedChords.ahead
"""Seconds from a note's beginning until the last sample by which it is known."""

FLOOR_SECONDS, ABOVE = 2.0, 4.0
"""Seconds over which the least level is the room's, and by what factor the first note is louder than that."""
LOUDEST_FLOOR, QUIETEST = 3e-3, 5e-4
"""Greatest level that is a room's, since music goes on without a pause, and least one of the first note."""
_LEVEL_HOPS = 8
"""Hops over which a level is taken."""


class SoundNotes:
    """Notes of a stream of sound at `RATE`, each known `LATE` after it begins."""

    def __init__(self) -> None:
        """Raises ModelError: the network's weights are missing or changed."""
        self._network = StreamedChords(network_weights(StreamedChords.model))
        self._answer: F32 = np.zeros((1, StreamedChords.answer), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forgets all; time begins again at 0."""
        self._network.start()
        self._held: F32 = np.zeros(0, np.float32)
        self._powers = np.zeros(_LEVEL_HOPS)
        self._levels = np.full(round(FLOOR_SECONDS * RATE / StreamedChords.hop), LOUDEST_FLOOR)
        self._onsets, self._notes = (np.zeros((WAIT + size, StreamedChords.pitches), np.float32) for size in (2, 1))
        self._hops, self._played = 0, False

    @property
    def seconds(self) -> float:
        """Sound that was listened to."""
        return self._hops * StreamedChords.hop / RATE

    def feed(self, sound: F32) -> list[tuple[float, int]]:
        """Takes samples at `RATE`; returns (seconds, number) of notes that are known by now."""
        held, found = np.concatenate([self._held, heard_of(sound)]), list[tuple[float, int]]()
        while len(held) >= StreamedChords.hop:
            self._network.step(held[None, : StreamedChords.hop], self._answer)
            self._level(held[: StreamedChords.hop])
            held = held[StreamedChords.hop :]
            self._hops += 1
            at = max(0.0, self.seconds - LATE)
            found += [(at, StreamedChords.lowest + int(pitch)) for pitch in self._begun()]
        self._held = held
        return found

    def _level(self, hop: F32) -> None:
        """Takes the level of a hop with those before it."""
        self._powers[self._hops % _LEVEL_HOPS] = float(hop @ hop) / len(hop)
        self._levels[self._hops % len(self._levels)] = math.sqrt(self._powers.mean())

    def _begun(self) -> NDArray[np.intp]:
        """Pitches whose onset was highest `WAIT` hops ago."""
        for ring, newest in (
            (self._onsets, self._answer[0, StreamedChords.pitches :]),
            (self._notes, self._answer[0, : StreamedChords.pitches]),
        ):
            ring[:-1] = ring[1:]
            ring[-1] = newest
        before, here, after = self._onsets[:3]
        peaks = (here > ONSET) & (here >= before) & (here > after) & (self._notes.max(axis=0) >= SURE)
        if not self._played:
            level = self._levels[(self._hops - 1) % len(self._levels)]
            peaks &= level >= max(QUIETEST, ABOVE * min(LOUDEST_FLOOR, self._levels.min()))
            self._played = bool(peaks.any())
        return np.flatnonzero(peaks)
