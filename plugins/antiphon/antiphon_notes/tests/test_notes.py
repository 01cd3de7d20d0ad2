"""Note nodes, played: which notes come out and when, and that every note that begins is ended."""

from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.clock import left, played_live

from antiphon.api import Event, Processor, StreamSpec, Value
from antiphon.kernel.runtime.importing import resolve
from antiphon.testing import render
from antiphon_notes import antiphon_processors

RATE, BLOCK = 4000, 256
BEAT = RATE // 2
SPEC = StreamSpec(RATE, BLOCK, 1)
NODES: dict[str, Callable[[], Processor]] = {}
antiphon_processors(lambda name, factory, doc="": NODES.__setitem__(name, resolve(factory)))

# sample, what, value: of the host's switches, the clock, or the node's parameters
Change = tuple[int, str, object]


def play(
    kind: str,
    events: Iterable[Event],
    first: dict[str, Value] | None = None,
    changes: Sequence[Change] = (),
    blocks: Sequence[int] = (BLOCK,),
    frames: int = 8 * BEAT,
) -> list[Event]:
    """Plays a node live at 120 bpm; offsets count from the beginning."""
    sizes = [*[*blocks] * (1 + 5000 // sum(blocks)), *[BLOCK] * (frames // BLOCK)]
    out, _ = played_live(NODES[kind](), SPEC, events, frames, first, changes, sizes, switches=("bypass", "mute"))
    return out


def note(beat: float, number: int, beats: float = 1.0, value: float = 0.8, channel: int = 1) -> list[Event]:
    begin, end = round(beat * BEAT), round((beat + beats) * BEAT)
    return [Event("on", begin, number, value, channel), Event("off", end, number, 0.0, channel)]


def ons(events: Iterable[Event]) -> list[tuple[float, int]]:
    return [(event.offset / BEAT, event.number) for event in events if event.kind == "on"]


CHORD = [*note(0, 60, 4), *note(0, 64, 4), *note(0, 67, 4)]


def begun(kind: str, values: dict[str, Value], events: list[Event]) -> str:
    """Beats and notes of what a node plays. The last note of `hold` sounds on, as it should."""
    whole, pieces = (play(kind, events, values, blocks=blocks) for blocks in ((BLOCK,), (7, 64, 1)))
    assert ons(whole) == ons(pieces)
    assert left(whole) == left(pieces) == ({(1, 62)} if kind == "hold" else set())
    return ", ".join(f"{number} at {beat:g}" for beat, number in ons(whole)) or "nothing"


def test_what_it_plays_is_on_its_frame() -> None:
    accepted.compare_calls(__file__, begun=begun, note=note, CHORD=CHORD)


def test_a_note_that_two_keys_give_sounds_until_the_last_is_up() -> None:
    first, second = note(0, 61, 4), note(1, 62)
    out = play("scale", [first[0], *second, first[1]], {"outside": "up"})
    assert ons(out) == [(0, 62), (1, 62)]
    assert [event.offset / BEAT for event in out if event.kind == "off"] == [1, 4]


def test_lengths_and_velocities_follow_the_played_note() -> None:
    echo = play("echo", note(0, 60, 0.25, 0.8), {"beats": 1.0, "repeats": 2, "feedback": 0.5})
    assert [e.value for e in echo if e.kind == "on"] == pytest.approx([0.8, 0.4, 0.2])
    assert [e.offset / BEAT for e in echo if e.kind == "off"] == [0.25, 1.25, 2.25]
    loose = play("humanise", [e for n in range(8) for e in note(n / 2, 60 + n, 0.25)], {"beats": 0.2})
    times = [beat - n / 2 for n, (beat, _) in enumerate(ons(loose))]
    assert all(0.0 <= late < 0.2 for late in times)
    assert len(set(times)) == 8
    assert len({e.value for e in loose if e.kind == "on"}) == 8
    gate = play("arpeggiator", note(0, 60, 2), {"rate": 1.0, "gate": 0.5})
    assert [e.offset / BEAT for e in gate if e.kind == "off"] == [0.5, 1.5]


def test_chance_is_the_seeds_own_and_as_large_as_asked_for() -> None:
    notes = [e for n in range(400) for e in note(n / 50, 60, 0.01)]
    first = ons(play("probability", notes, {"chance": 0.3, "seed": 5}))
    assert first == ons(play("probability", notes, {"chance": 0.3, "seed": 5}, blocks=(33,)))
    assert first != ons(play("probability", notes, {"chance": 0.3, "seed": 6}))
    assert 90 < len(first) < 150


def test_hold_holds_until_it_is_off_and_modes_end_notes() -> None:
    notes = [*note(0, 60, 0.5), *note(2, 62, 0.5), *note(3, 62, 0.5)]
    offs = [e.offset for e in play("hold", notes, changes=[(5 * BEAT + 3, "hold", False)]) if e.kind == "off"]
    assert offs[-1] == 5 * BEAT + 3
    assert offs[0] == 2 * BEAT, "latch: the next key ends what was held"
    toggled = play("hold", notes, {"mode": "toggle"})
    assert left(toggled) == {(1, 60)}
    assert left(play("hold", notes, {"mode": "sustain"})) == {(1, 60), (1, 62)}


@pytest.mark.parametrize("kind", sorted(NODES))
def test_expression_follows_its_note_and_the_rest_passes(kind) -> None:
    events = [
        Event("pitch", 10, 60, 0.5, 3),
        Event("on", 20, 60, 0.8, 3),
        Event("pressure", 600, 60, 0.3, 3),
        Event("bend", 700, 0, 0.25, 3),
        Event("control", 710, 74, 0.5, 3),
        Event("off", 900, 60, 0.0, 3),
    ]
    first = {"transpose": {"semitones": 7}, "chord": {"chord": "minor"}, "arpeggiator": {"gate": 1.0}}
    out = play(kind, events, {**first.get(kind, {}), **({"chance": 1.0} if kind == "probability" else {})})
    begun = {e.number for e in out if e.kind == "on"}
    for name in ("pitch", "pressure"):
        assert {e.number for e in out if e.kind == name} == begun, name
    assert {(e.value, e.offset) for e in out if e.kind == "bend"} == {(0.25, 700)}
    assert {(e.number, e.value, e.offset) for e in out if e.kind == "control"} == {(74, 0.5, 710)}


def test_split_has_an_output_for_each_part() -> None:
    out = play("split", [*note(0, 40), *note(0, 70)])
    assert {(e.channel, e.number) for e in out} == {(1, 40), (2, 70)}
    assert [(p.name, p.midi) for p in NODES["split"]().outputs] == [("notes", 0), ("low", 1), ("high", 2)]


def test_bypass_passes_and_mute_is_silent() -> None:
    out = play("chord", [*note(0, 60, 3), *note(2, 62)], changes=[(BEAT, "bypass", True)])
    assert ons(out) == [(0, 60), (0, 64), (0, 67), (2, 62)]
    assert {e.offset for e in out if e.kind == "off"} == {BEAT, 3 * BEAT}
    assert ons(play("chord", [*note(0, 60, 3), *note(2, 62)], changes=[(BEAT, "mute", True)]))[3:] == []
    arp = play("arpeggiator", CHORD, {"rate": 0.5}, changes=[(BEAT, "bypass", True)])
    assert all(beat < 1 for beat, _ in ons(arp))


def test_a_clock_that_stops_or_jumps_leaves_nothing() -> None:
    for kind in ("echo", "arpeggiator", "strum", "humanise"):
        for change in [(100, "stop", 0), (100, "locate", 40.0), (100, "reset", 0)]:
            out = play(kind, CHORD, changes=[change])
            assert left(out) == set(), (kind, change)
    # and an arpeggio goes on where its keys are still down
    again = ons(play("arpeggiator", CHORD, {"rate": 1.0}, changes=[(BEAT + 1, "stop", 0), (2 * BEAT, "play", 0)]))
    assert len(again) > 3
    assert not [beat for beat, _ in again if 1.01 < beat < 2]


NUMBERS = st.integers(0, 127) | st.sampled_from([60, 64, 67])
PLAYED = st.tuples(
    st.integers(0, 3000), NUMBERS, st.integers(0, 1500), st.floats(0.01, 1.0), st.sampled_from([1, 1, 2, 16])
)


@st.composite
def performances(draw):
    kind = draw(st.sampled_from(sorted(NODES)))
    events = []
    for begin, number, length, value, channel in draw(st.lists(PLAYED, max_size=24)):
        events += [Event("on", begin, number, value, channel), Event("off", begin + length, number, 0.0, channel)]
        if draw(st.booleans()):
            events.append(Event("pitch", begin + length // 2, number, 1.0, channel))
    changes: list[Change] = []
    params = [p for p in NODES[kind]().params if not p.readonly]
    for at in draw(st.lists(st.integers(0, 5000), max_size=6)):
        what = draw(st.sampled_from([*params, "bypass", "mute", "stop", "play", "locate", "reset"]))
        if what in ("bypass", "mute"):
            changes.append((at, what, draw(st.booleans())))
        elif isinstance(what, str):
            changes.append((at, what, draw(st.floats(0.0, 30.0))))
        else:
            number = draw(st.floats(0.0, 1.0))
            span = what.low + number * (min(what.high, 1.0 if what.name == "beats" else 127.0) - what.low)
            value = {"choice": what.choices[int(number * 0.99 * len(what.choices))] if what.choices else ""}
            value |= {"int": int(span), "float": span, "switch": number > 0.5}
            changes.append((at, what.name, value[what.kind]))
    return kind, events, changes, draw(st.lists(st.integers(1, BLOCK), min_size=1, max_size=3))


@settings(max_examples=40, deadline=None)
@given(performances())
def test_every_note_that_begins_is_ended_whatever_happens(performance) -> None:
    kind, events, changes, blocks = performance
    frames = 5000 + 20 * BEAT
    end: list[Change] = [(frames - 2 * BEAT, "hold", False)] if kind == "hold" else []
    # a clock that stands ends nothing by itself, so it goes on at last
    out = play(kind, events, changes=[*changes, (5001, "play", 0), *end], blocks=blocks, frames=frames)
    assert left(out) == set()


def test_more_than_there_is_room_for_ends_too() -> None:
    wild = [Event("on", n % 200, n % 128, 0.5, 1 + n // 128) for n in range(1000)]
    wild += [Event("off", 300 + n % 200, n % 128, 0.0, 1 + n // 128) for n in range(1000)]
    for kind in sorted(NODES):
        given_ = {"chord": {"chord": "m11"}, "echo": {"repeats": 16, "beats": 1.0}}.get(kind, {})
        changes = [(BEAT, "hold", False)] if kind == "hold" else []
        assert left(play(kind, wild, given_, changes, frames=20 * BEAT)) == set(), kind


def test_it_needs_no_clock_to_be_checked() -> None:
    import numpy as np

    for node in NODES.values():
        assert node().latency == 0
        assert render(node(), SPEC, np.zeros((1, 300), np.float32)).events == []
