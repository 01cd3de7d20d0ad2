"""The short way of a played note: to the one stream of its node, in order, bounded, and never to another worker."""

import json
import os
import socket

import numpy as np
import pytest
from tests.synth.hasty import AHEAD, HASTY, HOP
from tests.waiting import until
from tests.workers.rig import PATIENCE

from antiphon.backends.backend import SynthSettings, pack
from antiphon.kernel.contract.event import Event
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import COMMANDS, MappingShape, Shared, command_ring
from antiphon.kernel.session.commands import Play, Sample, SetTempo
from antiphon.kernel.workers import low_latency_events as module
from antiphon.kernel.workers.arena import DIRECT, Arena, SlotWord, State, WorkerWord
from antiphon.kernel.workers.low_latency_events import BACK_NS, FIRST, EventReader, EventWriter

NODE, STREAM = 7, 41


@pytest.fixture
def table():
    """An arena with one worker that takes events, whose slot 2 is `NODE`'s; its bell."""
    arena, bell = Arena.create(0), os.eventfd(0, os.EFD_NONBLOCK)
    entry = arena.entries[3]
    for word, value in ((WorkerWord.TAKES, 1), (WorkerWord.WANTED, 1), (WorkerWord.STATE, State.RUNNING)):
        entry.words[word] = value
    for word, value in ((SlotWord.NODE, NODE), (SlotWord.OPEN, STREAM), (SlotWord.READY, STREAM)):
        entry.set_slot(2, word, value)
    yield arena, entry, bell
    os.close(bell)
    os.close(arena.fd)


@pytest.fixture
def linked(table):
    """Control's link to an engine, which sends directly too; and the engine's ring of commands."""
    arena, _, bell = table
    shared = Shared.create(MappingShape(48000, 64, 2, 16))
    a, b = socket.socketpair()
    link = RemoteEngine(shared, bell, a)
    link.direct = direct(arena, bell)
    yield link, command_ring(shared)
    a.close()
    b.close()
    os.close(shared.fd)


def direct(arena, bell):
    return EventWriter(arena, [bell] * len(arena.entries))


def test_an_event_comes_whole_and_in_order_and_the_bell_is_rung(table):
    arena, entry, bell = table
    heard, way = EventReader(entry), direct(arena, bell)
    serials = [
        way.send(NODE, Event(*told))
        for told in (("on", 0, 60, 0.3, 16), ("bend", 0, 0, -0.7, 2), ("off", 0, 60, 0.0, 16))
    ]
    assert serials == [FIRST, FIRST + 1, FIRST + 2]
    assert list(heard.drain()) == [
        (2, STREAM, Event("on", 0, 60, 0.3, 16, 0, True, FIRST)),
        (2, STREAM, Event("bend", 0, 0, -0.7, 2, 0, True, FIRST + 1)),
        (2, STREAM, Event("off", 0, 60, 0.0, 16, 0, True, FIRST + 2)),
    ]
    assert list(heard.drain()) == []
    assert os.eventfd_read(bell) == 3


@pytest.mark.parametrize("why", ["another node", "no short way", "dead", "left", "not taken up", "two streams"])
def test_there_is_no_short_way(table, why):
    arena, entry, bell = table
    match why:
        case "no short way":
            entry.words[WorkerWord.TAKES] = 0
        case "dead":
            entry.words[WorkerWord.STATE] = State.RESTARTING
        case "left":
            entry.words[WorkerWord.WANTED] = 0
        case "not taken up":
            entry.set_slot(2, SlotWord.OPEN, STREAM + 1)
        case "two streams":
            # a plan with the node begun anew is being prepared
            entry.set_slot(0, SlotWord.NODE, NODE)
            entry.set_slot(0, SlotWord.OPEN, STREAM + 1)
    node = NODE + 1 if why == "another node" else NODE
    assert direct(arena, bell).send(node, Event("on", 0, 60, 0.5)) == 0
    assert list(EventReader(entry).drain()) == []


def test_a_full_ring_leaves_events_to_the_engine_and_what_follows_as_well(table, monkeypatch):
    arena, entry, bell = table
    now = [5_000_000_000]
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: now[0])
    heard, way = EventReader(entry), direct(arena, bell)
    sent = [way.send(NODE, Event("on", 0, n % 128, 0.5)) for n in range(DIRECT + 3)]
    assert all(sent[:DIRECT])
    assert sent[DIRECT:] == [0, 0, 0]
    assert [event.number for _, _, event in heard.drain()] == [n % 128 for n in range(DIRECT)]
    # its end would overtake the last of them, which waits in the engine
    now[0] += BACK_NS - 1
    assert way.send(NODE, Event("off", 0, 1, 0.0)) == 0
    now[0] += BACK_NS
    assert way.send(NODE, Event("on", 0, 1, 0.5)) == DIRECT + FIRST


def test_serials_stay_what_a_hop_can_carry(table):
    arena, entry, bell = table
    entry.words[WorkerWord.DIRECT_WRITE] = (1 << 24) - 20
    heard, way = EventReader(entry), direct(arena, bell)
    serials = [way.send(NODE, Event("on", 0, 60, 0.5)) for _ in range(40)]
    assert all(FIRST <= s < 1 << 24 and np.float32(s) == s for s in serials)
    assert len(set(serials)) == 40
    assert len(list(heard.drain())) == 40


def test_what_was_for_a_worker_that_died_is_not_for_the_next(table):
    arena, entry, bell = table
    way = direct(arena, bell)
    way.send(NODE, Event("on", 0, 60, 0.5))
    assert list(EventReader(entry).drain()) == []


def test_the_engine_hears_of_it_by_the_same_serial(table, linked):
    link, ring = linked

    def told():
        return [(action.event.number, action.event.serial) for action in ring.drain(10)]

    link.send(Play(NODE, Event("on", 0, 60, 0.5)))
    link.send(Play(NODE, Event("on", 0, 61, 0.5), Sample(1000)))
    link.send(Play(NODE + 1, Event("on", 0, 62, 0.5)))
    assert told() == [(60, FIRST), (61, 0), (62, 0)]
    # what the engine cannot be told is not played either
    for _ in range(COMMANDS):
        link.send(SetTempo(120.0))
    heard = EventReader(table[1])
    assert not link.send(Play(NODE, Event("on", 0, 60, 0.5)))
    assert list(heard.drain()) == []


def test_a_worker_gets_a_batch_at_once(table, linked):
    (link, ring), heard = linked, EventReader(table[1])
    with link.batch():
        with link.batch():
            link.send(Play(NODE, Event("on", 0, 60, 0.5)))
        link.send(Play(NODE, Event("on", 0, 64, 0.5)))
        assert list(heard.drain()) == list(ring.drain(10)) == []
    link.send(Play(NODE, Event("on", 0, 67, 0.5)))
    assert [event.number for _, _, event in heard.drain()] == [60, 64, 67]
    assert [(action.event.number, action.event.serial) for action in ring.drain(10)] == [(60, 2), (64, 3), (67, 4)]


# ---- through a worker


def test_a_worker_plays_it_before_the_hop_that_holds_it(own_rig):
    rig = own_rig
    stream = rig.open(HASTY.worker(48000, HOP), json.dumps(SynthSettings().to_json()), NODE)
    way = EventWriter(rig.arena, rig.bells.wake)
    hop(rig, stream, 5, [])
    serial = way.send(NODE, Event("on", 0, 60, 0.5))
    assert serial >= FIRST
    words = stream.entry.words
    until(lambda: words[WorkerWord.DIRECT_READ] == words[WorkerWord.DIRECT_WRITE], PATIENCE, "heard")
    told = hop(rig, stream, 6, [Event("on", 3, 60, 0.5, 1, 0, True, serial), Event("on", 9, 40, 0.5)])
    assert told == [AHEAD + 60, 40, -60]


def test_a_stream_that_closed_hears_nothing_of_it(own_rig):
    rig = own_rig
    stream = rig.open(HASTY.worker(48000, HOP), json.dumps(SynthSettings().to_json()), NODE)
    hop(rig, stream, 5, [])
    words = stream.entry.words
    stream.close()
    assert EventWriter(rig.arena, rig.bells.wake).send(NODE, Event("on", 0, 60, 0.5)) == 0
    again = rig.open(HASTY.worker(48000, HOP), json.dumps(SynthSettings().to_json()), NODE + 1)
    assert words[WorkerWord.TAKES] == 1
    assert hop(rig, again, 1, []) == []


def hop(rig, stream, number, events):
    """Posts a hop of events; the notes that the backend says it was told."""
    stream.start(number)
    pack(number * HOP, events, stream.input(number))
    stream.post(number)
    rig.pool.flush()
    rig.patient()
    given = stream.take(number)
    assert given is not None
    return [int(n) for n in given[0] if n]
