"""Present chord of a stream, and key of the last minutes."""

from __future__ import annotations

import numpy as np

from antiphon_listen.beats import BeatGrid
from antiphon_listen.chords import harmony
from antiphon_listen.chords.chord_network import ChordOdds
from antiphon_listen.chords.song_chords import find_chords
from antiphon_listen.signals import MusicCurves
from antiphon_listen.spectra import chroma
from antiphon_listen.tables import Tables

_SOONEST = 0.25
"""Minimum seconds of a step for its chord to count."""
_SETTLED = 1.0
"""Seconds before the window's end beyond which chords count for the key."""
_HALVED = 45.0
"""Half-life in seconds of a chord's weight for the key."""
_ENOUGH = 4.0
"""Minimum seconds of chords for a key."""


class LiveHarmony:
    """Chord and key estimate of a stream.

    `key`: 1 to 12 from C major on, 13 to 24 from C minor on; 0 where it is not known.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lengths = np.zeros(harmony.NO_CHORD)
        self._until = 0.0
        self.chord = self.key = 0  # 1 to 24 as in `harmony`, one more; 0 where there is none

    def update(self, curves: MusicCurves, start: float, grid: BeatGrid | None, odds: ChordOdds | None = None) -> None:
        """Processes the newest window, which begins at `start` seconds of the stream.

        `odds`: what the chord network finds in it; None without its weights.
        """
        found = find_chords(curves, np.zeros(0) if grid is None else grid.beats, self._tables, odds)
        steps, path = found.grid, found.triads
        end = len(curves.notes) / chroma.FRAMES_PER_SECOND
        begun = np.flatnonzero(steps + _SOONEST <= end)
        if not len(begun):
            return
        now = int(path[begun[-1]])
        self.chord = 0 if now == harmony.NO_CHORD else 1 + now
        edges = start + np.append(steps, steps[-1])
        for n in begun[:-1]:
            first, last = max(self._until, float(edges[n])), float(edges[n + 1])
            if last > first and last <= start + end - _SETTLED:
                self._until = last
                self._lengths *= 0.5 ** ((last - first) / _HALVED)
                if path[n] != harmony.NO_CHORD:
                    self._lengths[path[n]] += last - first
        if self._lengths.sum() >= _ENOUGH:
            self.key = 1 + harmony.key_number(self._lengths, None, None, self._tables)
