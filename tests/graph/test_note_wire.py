"""A wire from an events output of one MIDI channel carries that channel's events alone."""

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.graph.wire_signals import NoteWire


def test_a_wire_of_one_channel() -> None:
    events = [
        Event("on", 0, 60, 0.5),
        Event("on", 1, 36, 0.5, 10),
        Event("off", 2, 60),
        Event("control", 3, 64, 1.0, 10),
    ]
    every, drums = NoteWire((1, "notes"), events), NoteWire((1, "drums"), events, 10)
    taken: tuple[list[Event], list[Event]] = ([], [])
    for wire, into in zip((every, drums), taken, strict=True):
        wire.take(into)
    assert taken[0] == events
    assert taken[1] == [events[1], events[3]]
    assert drums.held == {(10, 36)}
    assert {e.number for e in drums.endings() if e.kind == "off"} == {36}
