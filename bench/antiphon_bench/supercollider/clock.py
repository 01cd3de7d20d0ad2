"""A `SuperCollider` backend with one node, clocked by JACK as an engine would; deaths and ends measured by it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.api import Event, Samples
from antiphon.api.synths import SynthSettings
from antiphon_bench.report import percentiles
from antiphon_bench.supercollider.onsets import RATE
from antiphon_supercollider.backend import SuperCollider

PATIENCE = 10.0
ENDS = 100
LENGTH, SILENT = 0.35, 0.35
"""Seconds of a note that is ended, and of silence before the next."""


class Clocked:
    """hop: the next to be played.  whole: of each hop so far, whether its sound had come in time.

    held: seconds the clock last stood still for.
    """

    def __init__(self, rate: int, block: int, instrument: str, **given: Any) -> None:
        self.backend = SuperCollider(rate, block, 1, **given)
        self.rate, self.block, self.hop, self.held = rate, block, 0, 0.0
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
            time.sleep(0.0003)
        self.held = max(self.held, time.monotonic() - began)
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


def kill_times(block: int, seed: int, count: int) -> dict[str, int]:
    playing = Clocked(RATE, block, "bass", spare=False)
    try:
        result = ends(playing, count, seed)
        return {**result, "late": playing.backend.counts.late}
    finally:
        playing.backend.shut()


def kill_scsynth(block: int, kills: int, number: int = signal.SIGKILL) -> dict[str, Any]:
    """Strings held while scsynth is killed (or stopped). back: until another is put to work, ms.

    gap: samples.  held: how long JACK's clock stood still, ms.
    """
    playing = Clocked(RATE, block, "strings", restarts=10_000)
    counts = playing.backend.counts
    back, gaps, held = [], [], []
    try:
        playing.play(playing.hops(1.5), {0: [Event("on", 0, 60, 0.8)]})
        for _ in range(kills):
            level = float(np.median(np.abs(playing.play(playing.hops(0.5))).max(axis=0)))
            playing.held, moment = 0.0, time.monotonic_ns()
            os.kill(counts.pid, number)
            sound = np.abs(playing.play(playing.hops(2.5))).max(axis=0)
            back.append((counts.switched_ns - moment) / 1e6)
            loud = np.flatnonzero(sound > 0.3 * level)
            gaps.append(int(np.diff(loud, prepend=0).max(initial=0)))
            held.append(1e3 * playing.held)
    finally:
        playing.backend.shut()
    return {"kills": kills, "back": percentiles(back), "gap": percentiles(gaps), "held": percentiles(held)}
