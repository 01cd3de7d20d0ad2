"""When scsynth does things: ends on their frame, what it heard too late, notes played ahead, and one that hangs."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.real.conftest import Jackd
from tests.waiting import play_for, until

from antiphon.api import Event, Samples
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import SynthSettings
from antiphon_bench.rig import ServerProcess
from antiphon_supercollider.backend import SuperCollider
from antiphon_supercollider.tests.real.test_supercollider import (
    BACK,
    RATE,
    longest_gap,
    pytestmark as needs_real,
    recorded,
    server,
    synth,
)
from antiphon_supercollider.voices.played_ahead import TIMEOUT_SECONDS

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
            time.sleep(0.0003)
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


pytestmark = needs_real
_ = server


@pytest.mark.parametrize("server", ["strings"], indirect=True)
def test_a_scsynth_that_hangs_is_replaced(server: ServerProcess, tmp_path: Path) -> None:
    server.send("/note/on", 60, 100)
    play_for(server, 1.5)
    before = synth(server)
    os.kill(before["pid"], signal.SIGSTOP)
    until(lambda: synth(server)["pid"] not in (0, before["pid"]), 5.0, "another plays")
    play_for(server, 1.5)
    after = synth(server)
    assert (after["state"], after["restarts"]) == ("running", before["restarts"] + 1)
    server.stop()
    assert longest_gap(tmp_path) < BACK, "the note went on"


@pytest.mark.parametrize("server", ["drums"], indirect=True)
def test_a_played_note_is_played_once_and_ahead_of_the_engine(server: ServerProcess) -> None:
    before = synth(server)["notes"]["sent"]
    for _ in range(50):
        server.send("/note/on", 42, 100)
        time.sleep(0.01)
    play_for(server, 2 * TIMEOUT_SECONDS + 0.2)
    notes = synth(server)["notes"]
    assert (notes["sent"] - before, notes["dropped"], notes["unclaimed"]) == (50, 0, 0)


@pytest.mark.parametrize("server", ["strings"], indirect=True)
def test_after_a_storm_of_played_notes_nothing_sounds(server: ServerProcess, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for n in range(400):
        number = int(rng.integers(60, 66))
        match rng.integers(10):
            case 0:
                server.send("/cc", 64, float(rng.integers(2)))
            case 1 if n % 100 > 90:
                server.send("/panic")
            case kind:
                server.send("/note/on", number, 100 if kind > 5 else 0)
        if rng.integers(3):
            time.sleep(0.004 * rng.random())
    server.send("/cc", 64, 0.0)
    for number in range(60, 66):
        server.send("/note/off", number)
    play_for(server, 2.0)
    assert synth(server)["notes"]["unclaimed"] == 0
    server.stop()
    _, heard = recorded(tmp_path)
    assert heard.max() > 0.05
    assert heard[-RATE // 2 :].max() < 1e-4


@pytest.fixture
def bass(jackd: Jackd) -> Iterator[Clocked]:
    playing = Clocked(jackd.rate, jackd.period, "bass", spare=False)
    playing.play(40)
    yield playing
    playing.backend.shut()


def test_a_note_ends_on_the_frame_it_was_asked_to(bass: Clocked) -> None:
    found = ends(bass, 12, seed=1)
    assert found["notes"] >= 9
    assert (found["exact"], found["largest"]) == (found["notes"], 0)
    assert bass.backend.counts.late == 0


def test_what_scsynth_hears_too_late_is_counted(bass: Clocked) -> None:
    keeper, counter, player = bass.backend.keeper, bass.backend._wires, bass.backend._players[0]
    assert player is not None

    def new(node: int, start: int) -> tuple[int, bytes]:
        low, high = float(start & 0xFFFFFF), float(start >> 24)
        return node, osc.encode(
            "/s_new", "antiphon_bass", node, 1, player.group, "start", low, "start_high", high,
            "clock", float(player._clock),
        )  # fmt: skip

    keeper.send([new(900_001, counter.counter + 9600)])
    until(lambda: keeper.counts.confirmed == keeper.counts.sent, 5.0, "it has begun")
    assert keeper.counts.late == 0
    keeper.send([new(900_002, counter.counter - 200)])
    until(lambda: keeper.counts.late == 1, 5.0, "a beginning is told late")
    stop = counter.counter - 200
    keeper.send([(0, osc.encode("/n_set", 900_001, "stop", float(stop & 0xFFFFFF), "stop_high", float(stop >> 24)))])
    until(lambda: keeper.counts.late == 2, 5.0, "an end is told late")
