"""Events of SuperDirt's clients: what their fields mean to the nodes of a patch."""

import math
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, strategies as st
from tests import accepted
from tests.each import each

from antiphon.api.backends.transports import (
    Bundle,
    Message,
    Play,
    RequestError,
    Sample,
    SetParam,
    WireError,
    decode,
    note_params,
)
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import read as play_commands, value_control_number
from antiphon_dirt.player import MAX_FIELDS, DirtEvent, commands, length, orbits, read

STRUDEL_BANK = (
    "2362756e646c6500e8fe6f8040000000000000b42f646972742f706c617900002c7366736973667373737373697366736973697369736900"
    "637073003f0000006379636c650000000000000464656c74610000003e80000073000000526f6c616e645452383038626400000062616e6b"
    "00000000526f6c616e645452383038006e0000000000000173706565640000003fc000006375746f6666000000000320726f6f6d73697a65"
    "000000000000000273697a6500000000000000026f7262697400000000000001"
)
"""`s("bd").bank("RolandTR808").n(1).speed(1.5).cutoff(800).roomsize(2).orbit(1)`"""
STRUDEL_NOTE = (
    "2362756e646c6500e8fe6f80400000000000007c2f646972742f706c617900002c7366736673697373737373697354736600000063707300"
    "3f0000006379636c650000003f00000064656c74610000000000000173000000736177746f6f7468000000006e6f74650000000063330000"
    "6d6964696e6f74650000000000000030636c69700000000070616e003e800000"
)
"""`note("c3").s("sawtooth").clip(true).pan(.25)`"""
SARDINE = (
    "2362756e646c6500e8fe6f80400000000000007c2f646972742f706c617900002c7366736973697366736973667373736900000063707300"
    "3f0000006375746f666600000000012c6379636c650000000000000c6c656761746f00003f0000006f726269740000000000000070616e00"
    "3e800000736f756e6400000062643a3200000000737065656400000000000001"
)
"""`D("bd", n=2, cutoff=300, legato=0.5, pan=0.25, speed=1)`"""
SARDINE_FREQ = (
    "2362756e646c6500e8fe6f8040000000000000542f646972742f706c617900002c7366736973667369737300637073003f0000006379636c"
    "650000000000000c66726571000000004402d0006f7262697400000000000000736f756e6400000062643a312e300000"
)
SARDINE_PANIC = (
    "2362756e646c6500e8fe6f8040000000000000242f646972742f706c617900002c737300736f756e64000000737570657270616e69630000"
)
TIDAL = (
    "2362756e646c6500eeaa6d06f7b580000000004c2f646972742f706c617900002c73737366736673667373005f69645f0000000031000000"
    "637073003f0000006379636c650000003f80000064656c74610000003f0000007300000062640000"
)
"""`d1 $ sound "bd*4"`"""


def event_of(packet: str) -> DirtEvent:
    bundle = decode(bytes.fromhex(packet))
    assert isinstance(bundle, Bundle)
    (message,) = bundle.items
    assert isinstance(message, Message)
    assert message.address == b"/dirt/play"
    return read(message.args)


def test_the_bytes_of_a_client_are_its_event() -> None:
    accepted.compare_calls(__file__, **globals())


@each(
    "value, number", [("1", 1.0), ("-0.5", -0.5), ("1e9", None), ("c1", None), ("", None), ("0x1", None), (True, 1.0)]
)
def test_a_number_that_comes_as_text_is_one(value: object, number: float | None) -> None:
    event = read(("s", "bd", "orbit", value))  # type: ignore[arg-type]
    assert event.numbers.get("orbit") == number
    assert event.ignored == (() if number is not None else ("orbit",))


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
    return commands(read(args), orbits(tidal)[orbit], tidal, AT, RATE, 120.0, count())


def values(tidal: dict[str, Node], *args: object) -> list:
    """The controllers of the note, but its effects, without the number of the note itself."""
    return ordered([c for c in made(tidal, *args) if isinstance(c, Play) and c.event.kind == "control"])


def wanted(tidal: dict[str, Node], *args: object) -> list:
    """The controllers of a note with these values and those that every event has."""
    values = {"s": "bd", "n": 0, "speed": 1.0, "gain": 1.0, "cut": 0} | dict(zip(args[::2], args[1::2], strict=True))
    pairs = [item for pair in values.items() for item in pair]
    return ordered(play_commands("orbit0", tidal["orbit0"].info.params, pairs, AT)[:-1])


def ordered(controls: list) -> list:
    return sorted(controls, key=lambda control: control.event.number)


def test_a_name_with_a_number_behind_a_colon_is_divided() -> None:
    assert (read(("sound", "bd:3")).sound, read(("sound", "bd:3")).numbers["n"]) == ("bd", 3.0)
    assert read(("s", "bd:3", "n", 1.0)).numbers["n"] == 1.0
    assert read(("s", "ba\u0308ss:-1")) == DirtEvent("bäss", {"n": -1.0})
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
        (("x", 1.0) * (MAX_FIELDS + 1), "at most 128 names"),
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
        commands(event, orbits(nodes)[0], nodes, AT, RATE, 120.0, count())
    except (RequestError, WireError) as error:
        _sentence(str(error))


def _sentence(text: str) -> None:
    assert "\n" not in text


NODES = nodes_of("tidal")
SPEED = [param.name for param in note_params(NODES["orbit0"].info.params)].index("speed")


def test_the_note_has_the_values_of_the_event(tidal: dict[str, Node]) -> None:
    assert values(
        tidal, "s", "bd", "n", 3.0, "speed", 2.0, "pan", 0.25, "cut", 1, "begin", 0.25, "end", 0.75
    ) == wanted(tidal, "n", 3, "speed", 2.0, "cut", 1, "begin", 0.25, "end", 0.75, "pan", 0.25)
    for n, sent in ((-1.0, -1), (-2.7, -2), (-10_003.0, -3)):
        assert values(tidal, "s", "bd", "n", n) == wanted(tidal, "n", 0, "fromend", -sent)


@pytest.mark.parametrize(
    ("args", "speed"),
    [
        (("note", 12.0), 2.0),
        (("up", -12.0), 0.5),
        (("midinote", 67.0), 2 ** (7 / 12)),
        (("speed", -1.0, "note", 12.0), -2.0),
        (("speed", 1e9), 16.0),
        (("note", 1e9), 16.0),
        (("freq", 523.2511306), 2.0),
        (("freq", -1.0), 1.0),
        (("octave", 4.0, "note", 12.0), 1.0),
    ],
)
def test_semitones_are_speed(tidal: dict[str, Node], args: tuple[object, ...], speed: float) -> None:
    (found,), (wants,) = (
        [c.event.value for c in controls if c.event.number == value_control_number(SPEED)]
        for controls in (values(tidal, "s", "bd", *args), wanted(tidal, "speed", speed))
    )
    assert found == pytest.approx(wants, abs=1e-9)


def test_gain_is_a_fourth_power_and_limited(tidal: dict[str, Node]) -> None:
    for gain, level in ((0.5, 0.0625), (1.2, 1.2**4), (9.0, 4.0), (-1.0, 0.0)):
        assert values(tidal, "s", "bd", "gain", gain) == wanted(tidal, "gain", level)
    assert values(tidal, "s", "bd", "gain", 0.5, "overgain", 0.5, "amp", 0.2) == wanted(tidal, "gain", 0.5)


def test_unit_c_lasts_a_cycle(tidal: dict[str, Node]) -> None:
    # a cycle of 2 s is 4 beats at 120 bpm, at half the speed 8
    assert values(tidal, "s", "bd", "unit", "c", "cps", 0.5, "speed", 0.5) == wanted(tidal, "beats", 8.0)
    backwards = wanted(tidal, "beats", 1.0, "speed", -1.0, "begin", 0.5, "end", 0.75)
    part = ("unit", "c", "cps", 0.5, "speed", -1.0, "begin", 0.5, "end", 0.75)
    assert values(tidal, "s", "bd", *part) == backwards, "a quarter of the sample lasts a quarter of a cycle"
    assert read(("s", "bd", "unit", "s")).ignored == ("unit",)


@pytest.mark.parametrize(
    ("args", "seconds"),
    [
        (("legato", 0.5, "delta", 0.25), 0.125),
        (("sustain", 0.5, "legato", 2.0, "delta", 0.25), 0.5),
        (("attack", 0.25, "hold", 0.5), 0.75),
        (("sustain", 0.1, "hold", 0.2), 0.1),
        (("sustain", 0.0), 0.001),
        (("sustain", 1e9), 60.0),
    ],
)
def test_legato_sustain_and_hold_are_the_notes_own_end(
    tidal: dict[str, Node], args: tuple[object, ...], seconds: float
) -> None:
    also = ("attack", 0.25) if "attack" in args else ()
    assert values(tidal, "s", "bd", *args) == wanted(tidal, "sustain", seconds, *also)
    assert made(tidal, "s", "bd", *args)[-1].event.kind == "on"
    lengths = [length(read(("s", sound, "delta", 0.25))) for sound in ("supersaw", "gm_flute", "bd", "superpiano")]
    assert lengths == [0.25, 0.25, None, None], "a synth's sound lasts as long as its event"


def test_a_player_whose_notes_have_no_end_of_their_own_gets_note_offs(tidal: dict[str, Node]) -> None:
    orbit = replace(orbits(tidal)[0], values={k: v for k, v in orbits(tidal)[0].values.items() if k != "sustain"})
    numbers = count()
    ends = []
    for args in (("legato", 0.5, "delta", 0.25), ("sustain", 0.5)):
        *_, note, end = commands(read(("s", "bd", *args)), orbit, tidal, AT, RATE, 120.0, numbers)
        assert (note.event.kind, end.event.kind) == ("on", "off")
        assert (end.event.number, end.node) == (note.event.number, "orbit0")
        ends.append((end.event.number, end.when))
    assert [when for _, when in ends] == [Sample(AT.n + RATE // 8), Sample(AT.n + RATE // 2)]
    assert ends[0][0] != ends[1][0]


@pytest.mark.parametrize(
    ("args", "wants"),
    [
        (("cutoff", 300.0, "resonance", 0.2), ("lpf", 300.0, "resonance", 0.2)),
        (("hcutoff", 300.0, "hresonance", 2.0), ("hpf", 300.0, "hresonance", 1.0)),
        (("bandf", 1e9, "bandq", 0.0), ("bandf", 20000.0, "bandq", 1.0)),
        (("shape", 0.3, "crush", 4.0, "coarse", 8), ("shape", 0.3, "crush", 4.0, "coarse", 8.0)),
        (("distort", 0.3), ("shape", 0.3)),
        (("vowel", "a"), ("vowel", "a")),
        (("accelerate", -1.5), ("accelerate", -1.5)),
        (("loop", 3), ("repeats", 3)),
        (("loop", 0), ("repeats", 1)),
        (("orbit", "0", "speed", "2.0"), ("speed", 2.0)),
    ],
)
def test_effects_of_an_event_are_the_notes_own(
    tidal: dict[str, Node], args: tuple[object, ...], wants: tuple[object, ...]
) -> None:
    assert values(tidal, "s", "bd", *args) == wanted(tidal, *wants)


def test_sends_are_parameters_of_the_orbit_and_return_to_neutral(tidal: dict[str, Node]) -> None:
    def sets(*args: object) -> dict[str, object]:
        return {f"{c.node}.{c.param}": c.value for c in made(tidal, *args, orbit=2) if isinstance(c, SetParam)}

    neutral = {"room2.gain": 0.0, "delay2.gain": 0.0}
    assert sets("s", "bd", "lpf", 300.0) == neutral
    assert sets("s", "bd", "room", 0.3, "delay", -1.0) == {**neutral, "room2.gain": 0.3}
    assert sets("s", "bd", "size", 1.0, "delayfb", 5.0) == {**neutral, "reverb.size": 2.0, "echo.feedback": 0.95}


def test_filters_are_the_orbits_nodes_where_its_notes_have_none(tidal: dict[str, Node]) -> None:
    sampler = tidal["orbit2"].info
    plain = replace(sampler, params=tuple(p for p in sampler.params if p.name not in ("lpf", "hpf", "shape")))
    nodes = {**tidal, "orbit2": Node(0, "orbit2", plain, 0)}
    made = commands(read(("s", "bd", "cutoff", 300.0)), orbits(nodes)[2], nodes, AT, RATE, 120.0, count())
    sets = {f"{c.node}.{c.param}": c.value for c in made if isinstance(c, SetParam)}
    assert sets == {"room2.gain": 0.0, "delay2.gain": 0.0, "lpf2.cutoff": 300.0, "hpf2.cutoff": 20.0}


def test_a_sound_that_names_an_instrument_is_a_note_of_it() -> None:
    nodes = nodes_of("pads") | {"keys": nodes_of("keys")["keys"]}
    (only,) = orbits({name: nodes[name] for name in ("drums",)})
    on, off = commands(read(("s", "keys", "note", 7.0, "delta", 0.5)), only, nodes, AT, RATE, 120.0, count())
    assert (on.node, on.event.number, on.when) == ("keys", 67, AT)
    assert (off.event.number, off.when) == (67, Sample(AT.n + RATE // 2))
    with pytest.raises(RequestError, match="keys plays notes 0 to 127, not 160"):
        commands(read(("s", "keys", "note", 100.0)), only, nodes, AT, RATE, 120.0, count())


def test_orbits_are_found_by_name_else_in_the_patchs_order(tidal: dict[str, Node]) -> None:
    assert [orbit.node for orbit in orbits(tidal)] == ["orbit0", "orbit1", "orbit2", "orbit3"]
    assert [orbit.node for orbit in orbits(nodes_of("band"))] == ["drums", "bass", "pluck", "bell", "stab", "pad"]
    assert orbits(nodes_of("through")) == ()
