"""When scsynth does things: ends on their frame, what it heard too late, notes played ahead, and one that hangs."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.real.conftest import Jackd
from tests.waiting import play_for, until

from antiphon.api import Event
from antiphon.api.backends import transports as osc
from antiphon_bench.rig import ServerProcess
from antiphon_supercollider.backend import TIMEOUT_SECONDS
from antiphon_supercollider.tests.real.clocked import Clocked, ends
from antiphon_supercollider.tests.real.test_supercollider import (
    BACK,
    RATE,
    longest_gap,
    pytestmark as needs_real,
    recorded,
    server,
    synth,
)

pytestmark = needs_real
_ = server
NOTE = 36


# servers first: they start a jackd of that name themselves, which the others then share


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
        time.sleep(0.01)  # the pace of a player
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
            time.sleep(0.004 * rng.random())  # the pace of a storm
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


def test_a_note_played_ahead_sounds_once(bass: Clocked) -> None:
    counts = bass.backend.counts
    sent = counts.sent
    note = Event("on", 0, NOTE, 0.8, 1, 0, True, 2)
    bass.backend.hurry(0, note)
    assert counts.sent == sent + 1
    bass.step([note])
    bass.play(round(2 * TIMEOUT_SECONDS * bass.rate / bass.block))
    assert (counts.sent, counts.unclaimed) == (sent + 1, 0)
    assert np.abs(bass.step()).max() > 1e-3, "it goes on"
    off = Event("off", 0, NOTE, 0.0, 1, 0, True, 3)
    bass.backend.hurry(0, off)
    bass.step([off])
    bass.play(90)
    assert np.abs(bass.step()).max() < 1e-4


def test_a_note_played_ahead_that_the_engine_never_says_is_ended(bass: Clocked) -> None:
    bass.backend.hurry(0, Event("on", 0, NOTE, 0.8, 1, 0, True, 2))
    heard = bass.play(round(1.5 * TIMEOUT_SECONDS * bass.rate / bass.block))
    assert bass.backend.counts.unclaimed == 1
    assert np.abs(heard).max() > 1e-2
    bass.play(20)
    assert np.abs(bass.step()).max() < 1e-4


def test_a_note_played_ahead_of_a_death_is_not_lost(jackd: Jackd) -> None:
    playing = Clocked(jackd.rate, jackd.period, "bass")
    try:
        playing.play(40)
        until(lambda: playing.backend.keeper._spare is not None, 20.0, "another stands ready")
        note = Event("on", 0, NOTE, 0.8, 1, 0, True, 2)
        playing.backend.hurry(0, note)
        generation = playing.backend.keeper.generation
        os.kill(playing.backend.counts.pid, signal.SIGKILL)
        until(lambda: playing.backend.keeper.generation > generation, 2.0, "another plays")
        playing.step([note])
        heard = playing.play(60)
        assert np.abs(heard[:, -30 * playing.block :]).max() > 1e-3
    finally:
        playing.backend.shut()


def test_one_that_stands_ready_and_hangs_is_replaced(jackd: Jackd) -> None:
    playing = Clocked(jackd.rate, jackd.period, "bass")
    keeper = playing.backend.keeper
    try:
        until(lambda: keeper._spare is not None, 20.0, "another stands ready")
        spare = keeper._spare
        assert spare is not None
        playing.play(playing.hops(1.0))
        assert keeper._spare is spare, "nothing is the matter with it"
        os.kill(spare.pid, signal.SIGSTOP)
        until(lambda: keeper._spare is not None and keeper._spare is not spare, 5.0, "another stands ready")
        assert keeper.counts.restarts == 0
    finally:
        playing.backend.shut()
