"""What the engine tells the session log, and back."""

import json
from collections import deque

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.local import graph, play, put, staged
from tests.session.records import logged, records

from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.journal import Journal, to_line
from antiphon.kernel.engine.playing import Applied
from antiphon.kernel.engine.shared import SESSION, ByteRing, HeaderWord
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import NOW, Play, Sample, SetTransport

GAIN = graph({"g": "gain"}, ["in > g", "g > out"])


def drain(ring: ByteRing) -> list[bytes]:
    """All records, which the ring then no longer holds."""
    records = list(ring.read())
    ring.release(0)
    return records


@pytest.fixture
def ring(memory):
    for word in HeaderWord:
        memory.words[word] = 0
    return ByteRing(memory)


@given(records(), st.integers(0, 2**53))
def test_an_action_is_the_same_after_the_log(memory, action, sample):
    memory.words[HeaderWord.TAPPING] = SESSION
    stage = staged(GAIN)
    Journal(memory, stage).record_actions(deque([Applied(sample, action)]))
    (record,) = drain(ByteRing(memory))
    line = json.loads(json.dumps(to_line(record)))
    assert line["sample"] == sample
    live = isinstance(action, Play) and action.when == NOW
    assert ACTIONS.from_line(line) == logged(action, NOW if live else Sample(sample))


def test_a_transport_that_leaves_the_beat_is_still_so_after_the_log(memory, ring):
    memory.words[HeaderWord.TAPPING] = SESSION
    stage = staged(GAIN)
    journal = Journal(memory, stage)
    journal.follow()
    stage._apply(0, SetTransport(True, None))
    journal.record_actions(stage.applied)
    (record,) = drain(ring)
    assert ACTIONS.from_line(json.loads(json.dumps(to_line(record)))) == SetTransport(True, None, Sample(0))


def test_nothing_is_written_while_no_session_is_kept(memory, ring):
    stage = staged(GAIN)
    journal = Journal(memory, stage)
    for tapping in (0, 1):
        memory.words[HeaderWord.TAPPING] = tapping
        journal.follow()
        assert stage.applied is None
        journal.record_start(0, 0)
        journal.record_plan(0, b"{}")
        journal.record_gap(0, 1)
        journal.record_late_block(0)
    assert list(drain(ring)) == []


def test_everything_of_a_session_is_a_line(memory, ring):
    memory.words[HeaderWord.TAPPING] = SESSION
    stage = staged(GAIN, tempo=90.0)
    journal = Journal(memory, stage)
    journal.record_start(512, 256)
    journal.record_plan(512, b'{"do": "load"}')
    journal.record_gap(600, 700)
    journal.record_late_block(800)
    journal.record_latency(800, 512)
    stage.at_sample(300, put(GAIN, "g", "step", 0.5, 0.25))
    play(stage, np.zeros((2, 512), np.float32))
    journal.record_actions(stage.applied)
    started, loaded, missed, unheard, late, applied = [to_line(record) for record in drain(ring)]
    assert started["engine"] == "started"
    assert (started["sample"], started["died"], started["tempo"]["bpm"]) == (512, 256, 90.0)
    assert loaded == {"sample": 512, "load": {"do": "load"}}
    assert missed == {"missed": [600, 700]}
    assert unheard == {"unheard": 800}
    assert late == {"sample": 800, "latency": 512}
    assert applied == {"sample": 300, "op": "set", "node": 1, "cell": 4, "number": 0.5, "ramp": 0.25}


def test_commands_are_collected_from_the_start_of_a_session_to_its_end(memory, ring):
    stage = staged(GAIN)
    journal = Journal(memory, stage)
    stage.take(put(GAIN, "g", "step", 0.5))
    play(stage, np.zeros((2, 64), np.float32))
    memory.words[HeaderWord.TAPPING] = SESSION
    journal.follow()
    stage.take(put(GAIN, "g", "step", 0.25))
    play(stage, np.zeros((2, 64), np.float32))
    journal.record_actions(stage.applied)
    assert [to_line(record)["number"] for record in drain(ring)] == [0.25]
    memory.words[HeaderWord.TAPPING] = 0
    journal.record_actions(stage.applied)
    assert stage.applied is None


def test_a_session_that_begins_midway_begins_with_how_things_stand(memory, ring):
    stage = staged(GAIN, tempo=90.0)
    stage.time.latency = 384
    journal = Journal(memory, stage)
    journal.record_plan(0, b'{"do": "load"}')
    stage.take(put(GAIN, "g", "step", 0.5, 1.0))
    play(stage, np.zeros((2, 64), np.float32))
    memory.words[HeaderWord.TAPPING], memory.words[HeaderWord.SESSIONS] = SESSION, 1
    journal.follow()
    journal.follow()
    (joined,) = [to_line(record) for record in drain(ring)]
    assert (joined["engine"], joined["sample"], joined["tempo"]["bpm"]) == ("joined", 64, 90.0)
    assert joined["load"] == {"do": "load"}
    again = GraphPlayer(stage.spec)
    again.resume(joined, staged(GAIN).plan)
    assert again.time.latency == 384
    x = np.ones((2, 640), np.float32)
    assert np.array_equal(play(again, x), play(stage, x))


def test_a_second_session_begins_anew_though_the_engine_saw_no_end_of_the_first(memory, ring):
    stage = staged(GAIN)
    journal = Journal(memory, stage)
    memory.words[HeaderWord.TAPPING], memory.words[HeaderWord.SESSIONS] = SESSION, 1
    journal.record_start(0, 0)
    stage.take(put(GAIN, "g", "step", 0.5))
    play(stage, np.zeros((2, 64), np.float32))
    memory.words[HeaderWord.SESSIONS] = 2
    journal.record_actions(stage.applied)
    assert journal.follow()
    assert not journal.follow()
    # what is in the state is told before it, to the session that goes on beside
    assert [line.get("engine", "op") for line in map(to_line, drain(ring))] == ["started", "op", "joined"]
