"""Events of SuperDirt's clients: what their fields mean to the nodes of a patch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.api import WireError
from antiphon.api.commands import NoteOff, NoteOn, Sample, SetParam, play_commands
from antiphon.graph.patch import load as load_patch
from antiphon.plugins.loader import load
from antiphon.session.node_state import Node
from antiphon_dirt.events import NoteNumbers, commands
from antiphon_dirt.fields import MOST_FIELDS, read
from antiphon_dirt.orbits import Orbit, orbits

RATE = 48000
AT = Sample(96000)


def nodes_of(name: str) -> dict[str, Node]:
    catalog = load(check=False).catalog
    graph = load_patch(name, catalog).graph
    return {n.name: Node(place, n.name, catalog[n.type], 0) for place, n in enumerate(graph.nodes)}


@pytest.fixture(scope="module")
def tidal() -> dict[str, Node]:
    return nodes_of("tidal")


def made(tidal: dict[str, Node], *args: object, orbit: int = 0):
    return commands(read(args), orbits(tidal)[orbit], tidal, AT, RATE, 120.0, NoteNumbers())


def values(tidal: dict[str, Node], *args: object) -> list:
    """The controllers of the note, but its effects, without the number of the note itself."""
    return [c for c in made(tidal, *args) if not isinstance(c, SetParam | NoteOn | NoteOff)]


def wanted(tidal: dict[str, Node], *args: object) -> list:
    return play_commands("orbit0", tidal["orbit0"].info.params, args, AT)[:-1]


def test_names_and_values_come_in_any_order_and_of_any_number_type() -> None:
    event = read(("_id_", "1", "cps", 0.5, "cycle", 4.75, "delta", 0.25, "n", 3, "orbit", 1, "s", "bd", "speed", 2.0))
    assert (event.sound, event.number("n", 0.0), event.number("orbit", 0.0)) == ("bd", 3.0, 1.0)
    assert event.ignored == ()


def test_a_name_with_a_number_behind_a_colon_is_divided() -> None:
    assert (read(("sound", "bd:3")).sound, read(("sound", "bd:3")).numbers["n"]) == ("bd", 3.0)
    assert read(("s", "bd:3", "n", 1.0)).numbers["n"] == 1.0
    assert read(("s", "odd:name")).sound == "odd:name"
    assert read(("s", "bd", "bank", "tr808")).sound == "tr808_bd"


def test_what_is_not_known_or_of_the_wrong_type_is_left_out_and_named() -> None:
    event = read(("s", "bd", "label", "x", "cutoff", "c1", "gain", math.nan, "squiz", 2.0))
    assert event.ignored == ("label", "lpf", "gain", "squiz")
    assert event.numbers == {}


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("s",), "names and values in turn"),
        ((1.0, "bd"), "the argument 1 is no name"),
        (("n", 1.0), "names no sound"),
        (("s", ""), "names no sound"),
        (("x", 1.0) * (MOST_FIELDS + 1), "at most 128 names"),
    ],
)
def test_what_is_no_event_is_a_sentence(args: tuple[object, ...], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        read(args)  # type: ignore[arg-type]


@given(args=st.lists(st.one_of(st.text(max_size=8), st.floats(), st.integers(), st.none(), st.binary(max_size=4))))
def test_anything_is_an_event_or_a_sentence(args: list[object]) -> None:
    nodes = {"orbit0": NODES["orbit0"]}
    try:
        event = read(("s", "bd", *args))  # type: ignore[arg-type]
        commands(event, Orbit(0, "orbit0"), nodes, AT, RATE, 120.0, NoteNumbers())
    except WireError as error:
        _sentence(str(error))


def _sentence(text: str) -> None:
    assert "\n" not in text


NODES = nodes_of("tidal")


def test_the_note_has_the_values_of_the_event(tidal: dict[str, Node]) -> None:
    assert values(
        tidal, "s", "bd", "n", 3.0, "speed", 2.0, "pan", 0.25, "cut", 1, "begin", 0.25, "end", 0.75
    ) == wanted(tidal, "s", "bd", "n", 3, "speed", 2.0, "gain", 1.0, "cut", 1, "begin", 0.25, "end", 0.75, "pan", 0.25)


@pytest.mark.parametrize(
    ("args", "speed"),
    [
        (("note", 12.0), 2.0),
        (("up", -12.0), 0.5),
        (("midinote", 67.0), 2 ** (7 / 12)),
        (("speed", -1.0, "note", 12.0), -2.0),
        (("speed", 1e9), 16.0),
        (("note", 1e9), 16.0),
    ],
)
def test_semitones_are_speed(tidal: dict[str, Node], args: tuple[object, ...], speed: float) -> None:
    assert values(tidal, "s", "bd", *args) == wanted(tidal, "s", "bd", "n", 0, "speed", speed, "gain", 1.0, "cut", 0)


def test_gain_is_a_fourth_power_and_limited(tidal: dict[str, Node]) -> None:
    for gain, level in ((0.5, 0.0625), (1.2, 1.2**4), (9.0, 4.0), (-1.0, 0.0)):
        wants = wanted(tidal, "s", "bd", "n", 0, "speed", 1.0, "gain", level, "cut", 0)
        assert values(tidal, "s", "bd", "gain", gain) == wants


def test_unit_c_lasts_a_cycle(tidal: dict[str, Node]) -> None:
    # a cycle of 2 s is 4 beats at 120 bpm, at half the speed 8
    wants = wanted(tidal, "s", "bd", "n", 0, "speed", 1.0, "gain", 1.0, "cut", 0, "beats", 8.0)
    assert values(tidal, "s", "bd", "unit", "c", "cps", 0.5, "speed", 0.5) == wants


def test_legato_and_sustain_end_that_event_and_no_other(tidal: dict[str, Node]) -> None:
    numbers = NoteNumbers()
    ends = []
    for args in (("legato", 0.5, "delta", 0.25), ("sustain", 0.5)):
        *_, note, end = commands(read(("s", "bd", *args)), orbits(tidal)[0], tidal, AT, RATE, 120.0, numbers)
        assert isinstance(note, NoteOn)
        assert isinstance(end, NoteOff)
        assert (end.note, end.node) == (note.note, "orbit0")
        ends.append((end.note, end.when))
    assert [when for _, when in ends] == [Sample(AT.n + RATE // 8), Sample(AT.n + RATE // 2)]
    assert ends[0][0] != ends[1][0]
    assert not any(isinstance(c, NoteOff) for c in made(tidal, "s", "bd"))


def test_effects_are_parameters_of_the_orbit_and_return_to_neutral(tidal: dict[str, Node]) -> None:
    def sets(*args: object) -> dict[str, object]:
        return {f"{c.node}.{c.param}": c.value for c in made(tidal, *args, orbit=2) if isinstance(c, SetParam)}

    neutral = {"room2.gain": 0.0, "delay2.gain": 0.0, "lpf2.cutoff": 20000.0, "hpf2.cutoff": 20.0}
    assert sets("s", "bd") == neutral
    assert sets("s", "bd", "room", 0.3, "cutoff", 300.0) == {**neutral, "room2.gain": 0.3, "lpf2.cutoff": 300.0}
    assert sets("s", "bd", "lpf", 1e9, "delay", -1.0) == neutral


def test_a_sound_that_names_an_instrument_is_a_note_of_it() -> None:
    nodes = nodes_of("pads") | {"keys": nodes_of("keys")["keys"]}
    (only,) = orbits({name: nodes[name] for name in ("drums",)})
    on, off = commands(read(("s", "keys", "note", 7.0, "delta", 0.5)), only, nodes, AT, RATE, 120.0, NoteNumbers())
    assert (on.node, on.note, on.when) == ("keys", 67, AT)
    assert (off.note, off.when) == (67, Sample(AT.n + RATE // 2))
    with pytest.raises(WireError, match="keys plays notes 0 to 127, not 160"):
        commands(read(("s", "keys", "note", 100.0)), only, nodes, AT, RATE, 120.0, NoteNumbers())


def test_orbits_are_found_by_name_else_in_the_patchs_order(tidal: dict[str, Node]) -> None:
    assert [orbit.node for orbit in orbits(tidal)] == ["orbit0", "orbit1", "orbit2", "orbit3"]
    assert [orbit.node for orbit in orbits(nodes_of("band"))] == ["drums", "bass", "pluck", "bell", "stab"]
    assert orbits(nodes_of("through")) == ()
