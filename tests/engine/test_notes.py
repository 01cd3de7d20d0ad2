"""Notes and controls in the engine: to the sample, none lost, none hanging."""

import json
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.local import CATALOG, RATE, cell, graph, make, plan, play, put, said, staged
from tests.noteclick import click

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.engine.action_schedule import CAPACITY, OTHER, ActionSchedule, note_key
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.node_host import MAX_EVENTS
from antiphon.kernel.session.actions import ACTIONS, NodeSet
from antiphon.kernel.session.commands import (
    Beat,
    ClearSchedule,
    Panic,
    Play,
    Sample,
    SetTempo,
    SetTransport,
)
from antiphon.offline.player import FilePlayer
from antiphon.offline.replay import restore_graph_player

KINDS = list(EVENT_KINDS)
KEYS = graph({"k": "noteclick"}, ["k > out"])
TWO = graph({"c": "clicker", "k": "noteclick"}, ["in > c", "c.notes > k", "k > out"])


NOTE_ON = ACTIONS.row("on").code


def note(kind, number, value=0.0, channel=1, node=1):
    number, value = 0 if kind == "bend" else number, 0.0 if kind in ("off", "program") else value
    return Play(node, Event(kind, 0, number, value, channel))


def on(number, value=0.5, channel=1, node=1):
    return note("on", number, value, channel, node)


def off(number, channel=1, node=1):
    return note("off", number, 0.0, channel, node)


def silence(frames):
    return np.zeros((2, frames), np.float32)


def heard(y):
    """Events as (sample, what of them was heard)."""
    return [(int(n), float(y[0, n])) for n in np.flatnonzero(y[0])]


def as_clicks(events):
    return [(at, pytest.approx(click(*event), abs=1e-6)) for at, *event in events]


@pytest.fixture
def stage():
    return staged(KEYS)


@pytest.mark.parametrize("blocks", [[256], [1], [64], [250, 6, 3]])
def test_an_event_is_heard_at_exactly_its_sample(blocks, stage):
    asked = [
        (0, "on", 0, 1.0, 1), (1, "on", 127, 0.25, 16), (255, "control", 64, 1.0, 2),
        (256, "bend", 0, -1.0, 3), (257, "off", 127, 0.0, 16), (900, "off", 0, 0.0, 1),
    ]  # fmt: skip
    for at, *event in asked:
        stage.at_sample(at, note(*event))
    y = play(stage, silence(1024), blocks)
    assert heard(y) == as_clicks(asked)
    assert stage.counters.late == 0
    held = np.round(y[1] / 0.01).astype(int)
    assert [int(held[n]) for n in (0, 1, 256, 257, 899, 900)] == [1, 2, 2, 1, 1, 0]


@settings(max_examples=20)
@given(
    st.lists(st.integers(1, 256), min_size=1, max_size=6),
    st.lists(
        st.tuples(st.integers(0, 1999), st.sampled_from(KINDS), st.integers(0, 127), st.floats(0, 1)),
        max_size=30,
    ),
    st.lists(st.tuples(st.integers(0, 1999), st.sampled_from([0.0, 0.5, 1.0])), max_size=4),
)
def test_any_split_of_blocks_gives_the_same_samples(blocks, events, moves):
    out = []
    for sizes in ([256], blocks):
        stage = staged(KEYS)
        for at, number in moves:
            stage.at_sample(at, put(KEYS, "k", "level", number))
        for at, kind, number, value in events:
            stage.at_sample(at, note(kind, number, value))
        out.append(play(stage, silence(2000), sizes))
        assert stage.plan.failures == []
    np.testing.assert_array_equal(out[0], out[1])


def test_what_a_wire_brings_and_what_was_commanded_come_together_in_order():
    stage = staged(TWO)
    fire = cell("clicker", "fire")
    for at in (10, 500):
        stage.at_sample(at, NodeSet(1, fire, 1.0))
    for at, action in ((5, on(61, node=2)), (10, on(62, node=2)), (700, off(62, node=2))):
        stage.at_sample(at, action)
    y = play(stage, silence(1024))
    assert [at for at, _ in heard(y)] == [5, 10, 500, 700]
    assert y[0, 10] == pytest.approx(click("on", 60, 0.0, 1) + click("on", 62, 0.5, 1))


def test_what_a_split_node_hears_and_sends_on_is_where_it_was():
    made = graph({"a": "noteclick", "b": "noteclick"}, ["a.notes > b", "b > out"])
    stage = staged(made)
    for at in (40, 100, 200, 300):
        stage.at_sample(at, put(made, "a", "level", at / 1000))
        stage.at_sample(at + 10, on(at % 128))
    y = play(stage, silence(512))
    assert [at for at, _ in heard(y)] == [50, 110, 210, 310]


def test_a_storm_loses_nothing_comes_in_order_and_counts_what_was_late(stage):
    for n in range(5000):
        stage.take(on(n % 128, (n % 100) / 100))
    y = play(stage, silence(256 * 8))
    assert [at for at, _ in heard(y)] == [0, 256, 512, 768, 1024], "1024 a block, and what is over in the next"
    assert y[1, 1024] / y[0, 1024] == pytest.approx(
        1.28 / sum(click("on", n % 128, (n % 100) / 100, 1) for n in range(4096, 5000))
    )
    assert stage.counters.late == 5000 - MAX_EVENTS
    assert stage.counters.schedule_dropped == 0
    assert {r.cell for r in said(stage, "late")} == {OTHER + NOTE_ON}


def test_what_there_is_no_room_for_at_all_is_counted(stage):
    over = 7
    for _ in range(CAPACITY + MAX_EVENTS + over):
        stage.take(on(60))
    stage.run(silence(256))
    assert stage.counters.schedule_dropped == over


def test_a_note_behind_its_time_is_played_at_once_counted_and_named(stage):
    play(stage, silence(4800))
    stage.reports.clear()
    stage.at_sample(2400, on(60))
    y = play(stage, silence(256))
    assert [at for at, _ in heard(y)] == [0]
    assert [(r.cell, r.number) for r in said(stage, "late")] == [(OTHER + NOTE_ON, pytest.approx(0.05))]


def test_a_panic_ends_what_sounds_and_drops_what_is_to_come(stage):
    for _ in range(2000):  # some wait for room
        stage.take(on(60))
    stage.at_sample(2000, off(60))
    stage.at_sample(3000, on(61))
    play(stage, silence(256))
    stage.take(Panic())
    y = play(stage, silence(5000))
    assert not y[:, 256:].any()
    assert len(stage.schedule) == 0


def test_a_note_right_behind_a_panic_is_heard_when_the_panic_is_over(stage):
    for action in (on(60), Panic(), on(61), off(61), on(62)):
        stage.take(action)
    y = play(stage, silence(2048))
    held = np.round(y[1] / 0.01, 6)
    assert held[1024] == 1, "60 is cut, 61 has ended, 62 sounds"
    assert not y[:, 255].any()


def test_a_cleared_schedule_ends_the_notes_it_would_have_ended(stage):
    for action in (on(60), on(61), on(62), on(64, channel=2)):
        stage.take(action)
    for at, action in ((3000, off(60)), (2000, on(61)), (3000, off(61)), (4000, off(60, channel=2)), (5000, off(63))):
        stage.at_sample(at, action)
    stage.take(replace(off(64, channel=2), when=Beat(100.0)))
    play(stage, silence(512))
    stage.take(ClearSchedule())
    y = play(stage, silence(8000))
    # 60 and 64 would have been ended; 61 has its end behind a beginning, so the one that sounds is held by hand
    assert heard(y) == [(0, pytest.approx(click("off", 60, 0, 1) + click("off", 64, 0, 2), abs=1e-6))]
    assert round(float(y[1, -1]) / 0.01) == 2


def test_a_cleared_schedule_ends_a_note_once_and_not_one_that_ended_before(stage):
    for action in (on(60), on(61), off(61)):
        stage.take(action)
    for at in (2000, 3000, 4000):
        stage.at_sample(at, off(60))
        stage.at_sample(at, off(61))
    play(stage, silence(512))
    stage.take(ClearSchedule())
    assert heard(play(stage, silence(8000))) == as_clicks([(0, "off", 60, 0.0, 1)])


@pytest.mark.parametrize("action", [SetTransport(False, None), SetTransport(None, -4.0)])
def test_notes_of_beats_end_where_the_beat_stands(stage, action):
    stage.take(on(60))  # a key that is held
    for beat, event in ((0.0, on(61)), (0.0, on(62)), (0.01, off(62)), (8.0, off(61)), (1.0, on(63))):
        stage.take(replace(event, when=Beat(beat)))
    play(stage, silence(512))
    stage.take(action)
    assert heard(play(stage, silence(4096))) == as_clicks([(0, "off", 61, 0.0, 1)])
    stage.take(SetTransport(True, 1.0))
    assert heard(play(stage, silence(256))) == as_clicks([(0, "on", 63, 0.5, 1)]), "what is to come stays"


@pytest.mark.parametrize("cut", [ClearSchedule(), Panic()])
def test_what_is_scheduled_right_behind_it_stays(cut, stage):
    stage.at_sample(700, on(60))
    stage.take(replace(on(60), when=Beat(0.04)))
    stage.take(cut)
    stage.at_sample(800, on(61))
    stage.take(replace(on(62), when=Beat(0.05)))  # sample 1200
    assert [at for at, _ in heard(play(stage, silence(2048)))] == [800, 1200]


def test_a_note_its_end_and_a_clear_that_come_at_once_leave_nothing_hanging(stage):
    stage.take(on(60))
    stage.at_sample(5000, off(60))
    stage.take(ClearSchedule())
    stage.at_sample(700, on(60))
    stage.at_sample(900, off(60))
    y = play(stage, silence(2048))
    assert heard(y)[0][0] == 0
    assert [at for at, _ in heard(y)] == [0, 700, 900]
    assert not y[1, :700].any()


def test_what_waits_for_room_is_not_scheduled_any_more(stage):
    stage.take(put(KEYS, "k", "level", 0.0))
    for _ in range(MAX_EVENTS):
        stage.take(note("control", 1))
    stage.take(on(60))
    stage.take(ClearSchedule())
    stage.at_sample(5000, off(60))
    play(stage, silence(256))
    stage.take(put(KEYS, "k", "level", 1.0))
    stage.take(ClearSchedule())
    y = play(stage, silence(2000))
    assert y[1, 0] == 0, "begun and ended in one place"
    assert y[0, 0] == pytest.approx(click("on", 60, 0.5, 1) + click("off", 60, 0, 1), abs=1e-6)


def test_a_note_for_a_node_still_to_come_waits_for_its_plan_and_no_panic_leaves_it():
    for cuts in (False, True):
        stage = GraphPlayer(StreamSpec(RATE, 256, 2))
        for action in (on(60), Panic())[: 1 + cuts]:
            stage.take(action)
        stage.run(silence(256))
        stage.load(plan(KEYS, stage.spec), 1, 0.0)
        assert heard(play(stage, silence(512))) == ([] if cuts else as_clicks([(0, "on", 60, 0.5, 1)]))


def test_a_node_two_plans_hold_plays_on_while_they_cross(stage):
    stage.take(on(60))
    play(stage, silence(256))
    stage.load(plan(graph({"k": "noteclick", "g": "gain"}, ["k > g", "g > out"]), stage.spec, stage.plan), 2, 0.02)
    stage.at_sample(400, on(61))
    y = play(stage, silence(2560))
    assert [at for at, _ in heard(y)] == [400 - 256]
    assert round(float(y[1, -1]) / 0.01) == 2


def test_the_log_replays_notes_panics_and_cleared_schedules_to_the_sample():
    rng = np.random.default_rng(5)
    live = staged(KEYS)
    first = {"engine": "joined", **live.state()}
    live.applied = deque()
    parts = []
    for block in range(200):
        here = live.sample
        for _ in range(int(rng.integers(0, 4))):
            kind = str(rng.choice(KINDS))
            action = note(kind, int(rng.integers(40, 44)), float(rng.uniform(0, 1)), int(rng.integers(1, 3)))
            live.at_sample(here + int(rng.integers(-300, 3000)), action)
        if block % 17 == 0:
            live.take(ClearSchedule())
        if block % 29 == 0:
            live.take(Panic())
            live.take(on(45))
        if block == 50:
            for _ in range(3000):
                live.take(note("control", 7, 0.1))
        parts.append(live.run(silence(256)).copy())
    lines = [json.loads(json.dumps(ACTIONS.to_line(done.sample, done.action))) for done in live.applied]
    again = restore_graph_player(live.spec, first, plan(KEYS, live.spec))
    for sample, part in zip(range(0, 200 * 256, 256), parts, strict=True):
        while lines and lines[0]["sample"] < sample + 256:
            found = lines.pop(0)
            again.at_sample(found["sample"], ACTIONS.from_line(found))
        np.testing.assert_array_equal(again.run(silence(256)), part)
    assert not lines
    assert again.counters.late == 0


def test_owed_ends_are_found_by_time_wherever_they_wait():
    schedule, tempo = ActionSchedule(), staged(KEYS).tempo
    schedule.at_sample(30000, on(60))
    schedule.at_beat(1.0, off(60))  # sample 24000, before it
    schedule.at_sample(10000, on(61))
    schedule.at_beat(1.0, off(61))
    sounding = {note_key(off(60)), note_key(off(61))}
    assert schedule.hanging_note_offs(sounding, tempo) == [off(60)]
    assert schedule.hanging_note_offs(set(), tempo) == []


def test_an_event_file_plays_notes_at_samples_and_beats():
    commands = [
        Play("", Event("on", 0, 60, 0.5), Sample(100)), Play("", Event("off", 0, 60), Beat(0.5)),
        Play("k", Event("control", 0, 64, 1.0, 2), Sample(300)), Play("", Event("bend", 0, 0, -0.5), Sample(301)),
        SetTempo(240.0, when=Sample(0)), Play("", Event("on", 0, 61), Sample(302)),
    ]  # fmt: skip
    runner = FilePlayer(KEYS, CATALOG, make, StreamSpec(RATE, 256, 2), 120.0, commands)
    y = np.concatenate([runner.run(silence(256)).copy() for _ in range(40)], axis=1)
    assert heard(y) == as_clicks([
        (100, "on", 60, 0.5, 1), (300, "control", 64, 1.0, 2), (301, "bend", 0, -0.5, 1), (302, "off", 61, 0.0, 1),
        (6000, "off", 60, 0.0, 1),
    ])  # fmt: skip


def test_an_event_file_plays_all_free_nodes_and_refuses_what_nobody_takes():
    both = graph({"a": "noteclick", "b": "noteclick"}, ["a > out", "b > out"])
    spec = StreamSpec(RATE, 256, 2)
    commands = [Play("", Event("on", 0, 60, 0.5)), Play("b", Event("on", 0, 61, 0.5), Sample(9)), Panic(Sample(9000))]
    runner = FilePlayer(both, CATALOG, make, spec, 120.0, commands)
    y = runner.run(silence(256))
    assert y[0, 0] == pytest.approx(2 * click("on", 60, 0.5, 1))
    assert y[0, 9] == pytest.approx(click("on", 61, 0.5, 1))
    with pytest.raises(RequestError, match="no node of this patch takes notes"):
        FilePlayer(graph({}, ["in > out"]), CATALOG, make, spec, 120.0, [Play("", Event("on", 0, 60, 0.5))])
