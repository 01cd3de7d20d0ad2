"""A `SuperCollider` backend with one node, clocked by JACK as an engine would; the ends of its notes."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.api import Event, Samples
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.backend import SuperCollider

PATIENCE = 60.0
LENGTH, SILENT = 0.35, 0.35
"""Seconds of a note that is ended, and of silence before the next."""


class Clocked:
    """hop: the next to be played.  whole: of each hop so far, whether its sound had come in time."""

    def __init__(self, rate: int, block: int, instrument: str, **given: Any) -> None:
        self.backend = SuperCollider(rate, block, 1, **given)
        self.rate, self.block, self.hop = rate, block, 0
        self.whole: list[bool] = []
        self._due = self.backend._wires.counter
        self._out = np.zeros((1, 2, block), np.float32)
        self._active = np.ones(1, np.bool_)
        self.backend.open(0, SynthSettings(instrument))

    def hops(self, seconds: float) -> int:
        return round(seconds * self.rate / self.block)

    def step(self, events: Sequence[Event] = ()) -> Samples:
        """One hop: the sound of the one `delay` before it, `[2, block]`."""
        self._due += self.block
        began = time.monotonic()
        while self.backend._wires.counter < self._due and time.monotonic() < began + PATIENCE:
            time.sleep(0.0003)  # shorter than a block, which `until` is not
        unheard = self.backend.counts.unheard
        self.backend.play(0, self.hop * self.block, events)
        self.backend.render(self._out, self._active)
        self.whole.append(self.backend.counts.unheard == unheard)
        self.hop += 1
        sound: Samples = self._out[0].copy()
        return sound

    def play(self, hops: int, events: dict[int, list[Event]] | None = None) -> Samples:
        """So many hops, with the events of each by its number from here; their sound in the engine's samples.

        `[2, frames]`, the first of them what was played at the first of these hops.
        """
        by_hop = events or {}
        sound = [self.step(by_hop.get(n, ())) for n in range(hops + self.backend.delay)]
        return np.concatenate(sound[self.backend.delay :], axis=1)


def ends(playing: Clocked, count: int, seed: int, note: int = 36) -> dict[str, int]:
    """How many of `count` notes of the bass end on their sample; unheard: those a hop of whose sound is missing.

    It is the same each time: what differs from a note that goes on is the release.
    """
    began, length, silent = Event("on", 37, note, 0.8), playing.hops(LENGTH), playing.hops(SILENT)
    playing.play(silent)
    held, unheard = None, 0
    for _ in range(10):
        first = len(playing.whole)
        x = playing.play(length, {0: [began], length - 1: [Event("off", 0, note)]})
        if all(playing.whole[first:]):
            held = x
            break
        playing.play(silent)
    if held is None:
        return {"notes": 0, "exact": 0, "unheard": 10, "largest": -1}
    rng, away = np.random.default_rng(seed), []
    for _ in range(count):
        playing.play(silent)
        at = int(rng.integers(length // 8 * playing.block, length * 3 // 4 * playing.block))
        first = len(playing.whole)
        x = playing.play(length, {0: [began], at // playing.block: [Event("off", at % playing.block, note)]})
        if not all(playing.whole[first:]):
            unheard += 1
            continue
        away.append(int(np.flatnonzero(np.abs(x - held).max(axis=0))[0]) - at)
    exact, largest = away.count(0), max(map(abs, away), default=-1)
    return {"notes": len(away), "exact": exact, "unheard": unheard, "largest": largest}
