"""Notes that begin in polyphonic sound, for a score follower: peaks of the onsets that Basic Pitch's network finds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import StreamedChords
from antiphon_follow.evidence import RATE, network_weights
from antiphon_follow.sound import clean_samples

WAIT = 2
"""Number of hops after an onset within which its pitch must sound."""
ONSET, SURE = 0.55, 0.15
"""Thresholds of an onset and of its pitch, low because weak notes help a follower more than wrong notes mislead it."""
LATE = (StreamedChords.later + StreamedChords.behind + WAIT) * StreamedChords.hop / RATE + StreamedChords.ahead
"""Seconds from a note's onset to the last sample needed to detect it."""

FLOOR_SECONDS, ABOVE = 2.0, 4.0
"""Seconds over which the minimum level counts as room noise, and the factor by which the first note must exceed it."""
LOUDEST_FLOOR, QUIETEST = 3e-3, 5e-4
"""Maximum level taken as room noise, as music may play without a pause; and minimum level of the first note."""
_LEVEL_HOPS = 8
"""Number of hops over which a level is averaged."""

SOON = 0.08
"""Median seconds after which an unsure note is detected, before the network detects it."""
RISE, BESIDE, BELOW, FADE = 8.0, 4.0, 18.0, 0.05
"""dB by which the harmonics of such a note must rise; by which they must rise more than the average of all pitches; by
which they may be below the loudest; and by which that maximum decays per hop."""
_BEFORE, _AGAIN, _LEAST = 8, 22, -70.0
"""Number of previous hops, of which all but three may be the loudest before it; hops until the same number may repeat;
minimum level in dB."""
_BINS = np.minimum(
    StreamedChords.octave // 12 * np.arange(StreamedChords.pitches)[:, None]
    + np.round(StreamedChords.octave * np.log2((1.0, 2.0, 3.0, 4.0))).astype(int),
    StreamedChords.bins - 1,
)
"""Bins of the first harmonics of each pitch."""


class SoundNote(NamedTuple):
    """A note in sound. `at`: seconds. `sure`: the network detected it; otherwise only its harmonics rose.

    `below`: dB by which its harmonics are below the recent maximum.
    """

    at: float
    number: int
    sure: bool = True
    below: float = 0.0


class SoundNotes:
    """Notes of a stream of sound at `RATE`, each known `LATE` after it begins."""

    def __init__(self) -> None:
        """Loads the network. Raises ModelError: its weights are missing or changed."""
        self._network = StreamedChords(network_weights(StreamedChords.model))
        self._answer: F32 = np.zeros((1, StreamedChords.answer), np.float32)
        self.clear()

    def clear(self) -> None:
        """Clears all state; time starts again at 0."""
        self._network.start()
        self._held: F32 = np.zeros(0, np.float32)
        self._powers = np.zeros(_LEVEL_HOPS)
        self._levels = np.full(round(FLOOR_SECONDS * RATE / StreamedChords.hop), LOUDEST_FLOOR)
        self._onsets, self._notes = (np.zeros((WAIT + size, StreamedChords.pitches), np.float32) for size in (2, 1))
        self._hops, self._played = 0, False
        self._risen = np.full((_BEFORE + 1, StreamedChords.pitches), _LEAST, np.float32)
        self._loudest, self._told = _LEAST, np.full(StreamedChords.pitches, -_AGAIN)

    @property
    def seconds(self) -> float:
        """Seconds of sound processed."""
        return self._hops * StreamedChords.hop / RATE

    def feed(self, sound: F32) -> list[SoundNote]:
        """Processes samples at `RATE`; returns the notes detected by now, sure ones first if several come at once."""
        held, found = np.concatenate([self._held, clean_samples(sound)]), list[SoundNote]()
        while len(held) >= StreamedChords.hop:
            self._network.step(held[None, : StreamedChords.hop], self._answer)
            hop, held = held[: StreamedChords.hop], held[StreamedChords.hop :]
            self._powers[self._hops % _LEVEL_HOPS] = float(hop @ hop) / len(hop)
            self._levels[self._hops % len(self._levels)] = math.sqrt(self._powers.mean())
            self._hops += 1
            rising = self._rising_pitches()
            found += self._noted(self._onset_pitches(), LATE, sure=True) + self._noted(rising, SOON, sure=False)
        self._held = held
        return found

    def _noted(self, pitches: NDArray[np.intp], late: float, *, sure: bool) -> list[SoundNote]:
        """Notes of pitches that began `late` seconds ago."""
        at, below = max(0.0, self.seconds - late), self._loudest - self._risen[:, pitches].max(axis=0)
        return [
            SoundNote(at, StreamedChords.lowest + int(pitch), sure, float(less))
            for pitch, less in zip(pitches, below, strict=True)
        ]

    def _onset_pitches(self) -> NDArray[np.intp]:
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

    def _rising_pitches(self) -> NDArray[np.intp]:
        """Pitches whose harmonics have just risen."""
        risen = self._risen
        risen[:-1] = risen[1:]
        np.maximum(self._network.levels[_BINS], _LEAST).mean(axis=1, out=risen[-1])
        self._loudest = max(self._loudest - FADE, float(risen[-1].max()))
        rise = risen[-1] - risen[:-3].max(axis=0)
        likely = (rise > max(RISE, BESIDE + float(rise.mean()))) & (risen[-1] > self._loudest - BELOW)
        likely[1:] &= risen[-1, 1:] >= risen[-1, :-1]
        likely[:-1] &= risen[-1, :-1] >= risen[-1, 1:]
        found = np.flatnonzero(likely & (self._hops - self._told >= _AGAIN)) if self._played else np.zeros(0, np.intp)
        self._told[found] = self._hops
        return found
