"""A note played this moment is known as one, all the way to a synth; one with a time is not."""

import numpy as np
from tests.local import graph, staged

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.session.actions import NodeNoteOn
from antiphon.kernel.session.commands import Sample
from antiphon.kernel.synth.backend import pack, shape_in, unpack

KEYS = graph({"k": "noteclick"}, ["k > out"])


def test_what_has_no_time_is_live_and_what_has_one_is_not():
    stage = staged(KEYS)
    assert stage.plan is not None
    (host,) = stage.plan.hosts.values()
    stage.take(NodeNoteOn(1, 60, 0.5))
    stage.take(NodeNoteOn(1, 61, 0.5, when=Sample(10)))
    seen: list[tuple[int, bool]] = []
    play = host.play
    host.play = lambda event: seen.append((event.number, event.live)) or play(event)  # type: ignore[method-assign]
    stage.run(np.zeros((2, 256), np.float32))
    assert seen == [(60, True), (61, False)]


def test_a_serial_comes_through_the_engine():
    stage = staged(KEYS)
    assert stage.plan is not None
    (host,) = stage.plan.hosts.values()
    stage.take(NodeNoteOn(1, 60, 0.5, serial=1234))
    seen: list[Event] = []
    play = host.play
    host.play = lambda event: seen.append(event) or play(event)  # type: ignore[method-assign]
    stage.run(np.zeros((2, 256), np.float32))
    assert seen == [Event("on", 0, 60, 0.5, 1, 0, True, 1234)]
    assert seen[0].moved(5) == Event("on", 5, 60, 0.5, 1, 0, True, 1234)


def test_a_hop_carries_it():
    packed = np.zeros(shape_in(), np.float32)
    told = [
        Event("on", 3, 60, 0.5, 2, 7),
        Event("off", 3, 60, 0.0, 2, 0, True),
        Event("on", 3, 60, 0.5, 2, 0, True, 2),
        Event("bend", 3, 0, 0.5, 2, 0, True, (1 << 24) - 1),
    ]
    assert pack((1 << 40) + 12345, told, packed) == 0
    assert unpack(packed) == ((1 << 40) + 12345, told)
