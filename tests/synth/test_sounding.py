"""What is remembered of the notes that sound."""

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from tests import accepted
from tests.local import graph, staged

from antiphon.backends.backend import pack, shape_in, unpack
from antiphon.kernel.contract.event import Event
from antiphon.kernel.session.commands import Play, Sample
from antiphon.synths.processor import FIRST_DIAL, MAX_NOTES, MAX_RESTORE_EVENTS, SynthMemory
from antiphon.synths.shapes import ChannelBends


def told(sounding: SynthMemory, sample: int) -> list[tuple[str, int, int]]:
    return [(e.kind, e.number, e.age) for e in sounding.restore_events(sample)]


@pytest.fixture
def sounding() -> SynthMemory:
    return SynthMemory()


def test_a_held_note_is_told_again_with_its_age(sounding: SynthMemory) -> None:
    sounding.follow(1000, [Event("on", 10, 60, 0.5)])
    assert told(sounding, 5000) == [("on", 60, 3990)]
    sounding.follow(5000, [Event("off", 0, 60)])
    assert told(sounding, 6000) == []


def test_a_notes_own_values_are_told_again_before_it(sounding: SynthMemory) -> None:
    own = [Event("control", 0, number, value) for number, value in ((102, 1.0), (103, 0.5), (104, 0.25), (105, 0.75))]
    sounding.follow(0, [*own, Event("on", 0, 60, 0.5), Event("on", 0, 64, 0.5)])
    again = sounding.restore_events(100)
    assert [(e.kind, e.number, e.value) for e in again] == [
        *(("control", e.number, e.value) for e in own), ("on", 60, 0.5), ("on", 64, 0.5)]  # fmt: skip


def test_the_pedal_holds_a_note_that_was_let_go(sounding: SynthMemory) -> None:
    sounding.follow(0, [Event("control", 0, 64, 1.0), Event("on", 0, 60, 0.5), Event("off", 5, 60)])
    assert told(sounding, 100) == [("control", 64, 0), ("on", 60, 100), ("off", 60, 0)]
    sounding.follow(100, [Event("control", 0, 64, 0.0)])
    assert told(sounding, 200) == [("control", 64, 0)]
    sounding.follow(300, [Event("control", 0, 64, 1.0), Event("on", 0, 60, 0.5), Event("off", 5, 60)])
    sounding.follow(400, [Event("control", 0, 121, 0.0)])  # which resets all controllers
    assert told(sounding, 500) == []


def test_channels_are_kept_apart(sounding: SynthMemory) -> None:
    sounding.follow(0, [Event("on", 0, 60, 0.5, 1), Event("on", 0, 60, 0.5, 2), Event("bend", 0, 0, 0.25, 2)])
    sounding.follow(0, [Event("off", 1, 60, 0.0, 1)])
    again = sounding.restore_events(10)
    assert [(e.kind, e.channel) for e in again] == [("bend", 2), ("on", 2)]
    assert again[0].value == 0.25


def test_a_note_taken_up_again_keeps_its_beginning(sounding: SynthMemory) -> None:
    """A synth that dies twice: the age goes on from the first attack."""
    sounding.follow(0, [Event("on", 0, 60, 0.5)])
    sounding.follow(1000, sounding.restore_events(1000))
    assert told(sounding, 3000) == [("on", 60, 3000)]


@given(st.lists(st.tuples(st.sampled_from(["on", "off", "pedal"]), st.integers(0, 127), st.booleans()), max_size=400))
def test_it_is_bounded_and_holds_what_a_plain_model_holds(steps: list[tuple[str, int, bool]]) -> None:
    sounding, held, pedalled, down = SynthMemory(), set(), set(), False
    for kind, note, on in steps:
        if kind == "pedal":
            down = on
            sounding.follow(0, [Event("control", 0, 64, float(on))])
            if not on:
                pedalled.clear()
        elif kind == "on":
            held.add(note)
            pedalled.discard(note)
            sounding.follow(0, [Event("on", 0, note, 0.5)])
        else:
            if note in held and down:
                pedalled.add(note)
            held.discard(note)
            sounding.follow(0, [Event("off", 0, note)])
    again = sounding.restore_events(1)
    assert {e.number for e in again if e.kind == "on"} == held | pedalled
    assert {e.number for e in again if e.kind == "off"} == pedalled
    assert len(again) <= 3 * MAX_NOTES


def test_clear_forgets_all(sounding: SynthMemory) -> None:
    sounding.follow(0, [Event("on", 0, 60, 0.5), Event("control", 0, 64, 1.0), Event("bend", 0, 0, 0.5)])
    sounding.clear()
    assert sounding.restore_events(1) == []


def test_dials_are_told_first_however_many_controls_there_are(sounding: SynthMemory) -> None:
    sounding.follow(0, [Event("control", 0, FIRST_DIAL + 2, 0.25)])
    sounding.follow(0, [Event("control", 0, n, 0.5, channel) for n in range(100) for channel in (1, 2)])
    again = sounding.restore_events(10)
    assert (again[0].number, again[0].value) == (FIRST_DIAL + 2, 0.25)
    assert len(again) <= MAX_RESTORE_EVENTS


SELECT = ((101, 0), (100, 0))
OWN = 2.0


def controls(*pairs: tuple[int, int], channel: int = 1) -> list[Event]:
    return [Event("control", 0, number, value / 127.0, channel) for number, value in pairs]


def stated(*pairs: tuple[int, int]) -> float:
    """Semitones of a full bend after controllers of its channel."""
    bends = ChannelBends()
    for event in controls(*pairs, channel=3):
        assert not bends.follow(event, OWN)
    found = []
    for value in (1.0, -0.5, 0.0):
        bends.follow(Event("bend", 0, 0, value, 3), OWN)
        found.append(bends.semitones[3])
    assert found == pytest.approx([found[0], -found[0] / 2, 0.0])
    assert bends.follow(Event("bend", 0, 0, 1.0, 4), OWN)
    assert bends.semitones[4] == OWN
    return round(found[0], 6)


def test_a_full_bend_is_the_range_that_the_channel_states() -> None:
    accepted.compare_calls(__file__, stated=stated, SELECT=SELECT)


def test_a_range_that_changes_moves_what_is_bent() -> None:
    bends = ChannelBends()
    bends.follow(Event("bend", 0, 0, 0.5), OWN)
    assert [bends.follow(event, OWN) for event in controls(*SELECT, (6, 12))] == [False, False, True]
    assert bends.semitones[1] == 6.0
    assert bends.follow(controls((121, 0))[0], OWN)
    assert bends.semitones[1] == 0.0


@pytest.mark.parametrize(
    ("pairs", "semitones"),
    [
        (((101, 0), (100, 2), (6, 67)), 3.0),
        (((101, 0), (100, 1), (6, 96), (38, 0)), 0.5),
        (((101, 0), (100, 1), (6, 64), (38, 64)), 1 / 128),
        (((101, 0), (100, 2), (6, 62), (100, 1), (6, 32)), -2.5),
    ],
)
def test_a_channel_is_tuned_by_registered_parameters(pairs: tuple[tuple[int, int], ...], semitones: float) -> None:
    bends = ChannelBends()
    for event in controls(*pairs):
        bends.follow(event, OWN)
    assert bends.semitones[1] == pytest.approx(semitones)
    bends.follow(Event("bend", 0, 0, 1.0), OWN)
    assert bends.semitones[1] == pytest.approx(semitones + OWN)
    bends.reset()
    assert bends.semitones[1] == 0.0


NUMBERS = st.sampled_from([101, 100, 99, 98, 6, 38, 7, 64])


@given(st.lists(st.tuples(NUMBERS, st.sampled_from([0, 1, 5, 12, 127])), max_size=40))
@example([(99, 0), (101, 0), (100, 0), (6, 0), (99, 0), (6, 1)])
@example([(101, 0), (100, 0), (38, 1), (6, 0)])
@example([(101, 0), (100, 0), (38, 127), (38, 0)])
@example([(101, 0), (100, 0), (6, 1), (101, 1), (6, 0), (101, 0)])
@example([(101, 0), (100, 0), (6, 0), (99, 0), (6, 1), (99, 0)])
def test_what_is_kept_restores_the_range(pairs: list[tuple[int, int]]) -> None:
    played, restored, state = ChannelBends(), ChannelBends(), dict[tuple[object, ...], Event]()
    for event in controls(*pairs):
        played.follow(event, OWN)
        ChannelBends.keep(state, event)
    for event in state.values():
        restored.follow(event, OWN)
    for bends in (played, restored):
        bends.follow(Event("bend", 0, 0, 1.0), OWN)
    assert restored.semitones == played.semitones
    assert len(state) <= 40


KEYS = graph({"k": "noteclick"}, ["k > out"])


def test_what_has_no_time_is_live_and_what_has_one_is_not():
    stage = staged(KEYS)
    assert stage.plan is not None
    (host,) = stage.plan.hosts.values()
    stage.take(Play(1, Event("on", 0, 60, 0.5)))
    stage.take(Play(1, Event("on", 0, 61, 0.5), Sample(10)))
    seen: list[tuple[int, bool]] = []
    play = host.play
    host.play = lambda event: seen.append((event.number, event.live)) or play(event)  # type: ignore[method-assign]
    stage.run(np.zeros((2, 256), np.float32))
    assert seen == [(60, True), (61, False)]


def test_a_serial_comes_through_the_engine():
    stage = staged(KEYS)
    assert stage.plan is not None
    (host,) = stage.plan.hosts.values()
    stage.take(Play(1, Event("on", 0, 60, 0.5, serial=1234)))
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
