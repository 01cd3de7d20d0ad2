"""`/node/NAME/play` with names and values: one message, one note, on its sample."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, cast
from unicodedata import normalize

import numpy as np
import pytest
from tests import accepted
from tests.control.fake_engine import RATE
from tests.control.rig import CATALOG, Client, Rig, refusal, rig
from tests.control.test_notes import events
from tests.each import each

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_OUT, EVENTS_IN
from antiphon.kernel.control.osc.answers import MAX_REMEMBERED_WORDS, RETRY_SECONDS, UnknownWords
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.link import NodeVocabulary
from antiphon.kernel.errors import RequestError, UsageError
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session.commands import NOW, Beat, Play, Sample, When
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.notes import Players
from antiphon.kernel.session.play import (
    BEGIN,
    FIRST,
    FIRST_WORD,
    MAX_WORD,
    NAME,
    note_params,
    other_words,
    read,
    silent,
    unknown_words,
    value_control_number,
    word_controller_values,
)
from antiphon.kernel.wire.osc import encode
from antiphon.offline.event_file import parse_events
from antiphon.synths.note_words import NoteWord, name_hash, value_place, word_hash
from antiphon.synths.shapes import NamedValues

PARAMS = (
    Param("size", "int", 2, 1, 8, restart=True),
    Param("s", "text", ""),
    Param("n", "int", 0, 0, 10),
    Param("level", default=0.0, low=0.0, high=1.0, smooth=0.01),
    Param("speed", default=1.0, low=-16.0, high=16.0),
    Param("mode", "choice", "off", choices=("off", "equal", "onsets")),
    Param("loop", "switch", False),
    Param("play", "trigger", False),
    Param("loaded", "int", 0, 0, 9, readonly=True),
)
DRUMS = ProcessorInfo("drums", "Plays.", "test", (EVENTS_IN,), (AUDIO_OUT,), PARAMS)


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state", catalog=Catalog({**CATALOG.types, "drums": DRUMS})) as made:
        yield made


@pytest.fixture
async def client(live: Rig) -> Client:
    made = live.client()
    assert await made.ask("/node/add", "drums", "d") == []
    live.engine.applied.clear()
    return made


def test_a_note_has_values_for_what_is_read_where_it_begins() -> None:
    assert [p.name for p in note_params(PARAMS)] == ["s", "n", "speed", "mode", "loop"]
    behind = (*PARAMS, Param("gate", "switch", False))
    assert note_params(behind) == note_params(PARAMS)
    many = tuple(Param(f"p{n}") for n in range(90))
    assert len(note_params(many)) == 49


def test_values_travel_in_controllers_that_midi_leaves_open_and_then_above_its_own() -> None:
    numbers = [value_control_number(place) for place in range(49)]
    assert numbers == [*range(103, 120), *range(128, 160)]
    assert [value_place(number) for number in numbers] == list(range(49))
    assert [value_place(number) for number in (0, 102, 120, 127, 160)] == [-1] * 5
    assert [NoteWord.place(number) for number in (0, 103, 159, 160, 208, 209)] == [-1, -1, -1, 0, 48, -1]


async def test_a_value_above_midis_controllers_arrives_and_no_cc_can_send_it(tmp_path: Path, home: Path) -> None:
    params = (*(Param(f"p{n}") for n in range(20)), Param("play", "trigger", False))
    many = ProcessorInfo("many", "Plays.", "test", (EVENTS_IN,), (AUDIO_OUT,), params)
    async with rig(tmp_path / "state", catalog=Catalog({**CATALOG.types, "many": many})) as live:
        client = live.client()
        assert await client.ask("/node/add", "many", "m") == []
        live.engine.applied.clear()
        assert await client.ask("/node/m/play", "p19", 1.0) == []
        assert [done[2] for done in events(live)] == [BEGIN, 130, 60]
        assert "0 to 127" in await client.refused("/cc", 130, 0.5)


@each("word", ["", "bd", "kick", "Trömmel/大鼓", "e\u0301", "x" * 64, "é" * 127, "\U0001f941" * 63])
def test_a_word_travels_as_its_bytes(word: str) -> None:
    pieces = [float(np.float32(piece)) for piece in word_controller_values("s", word)]
    taken = NoteWord()
    assert [taken.take(FIRST_WORD + 2, piece) for piece in pieces] == [2] * len(pieces)
    assert taken.text == normalize("NFC", word)
    assert all(0.0 <= piece < 1.0 for piece in pieces)
    assert len(pieces) == max(1, -(-len(normalize("NFC", word).encode()) // 3))
    for _ in range(100):
        taken.take(FIRST_WORD, 1.0)  # of a log that someone wrote
    assert len(taken.data or b"") < MAX_WORD + 3
    for value, piece in ((-1.0, b""), (float("nan"), b""), (float("inf"), b"\xff\xff\xff"), (2.0, b"\xff\xff\xff")):
        of_a_plugin = NoteWord()
        of_a_plugin.take(FIRST_WORD, value)
        assert of_a_plugin.data == piece


@pytest.mark.parametrize(("word", "reason"), [
    ("x" * (MAX_WORD + 1), "at most 255 bytes and no zero byte; 'xxx"), ("é" * 128, "has 256 bytes"),
    ("a\0b", "no zero byte"), ("\ud800", "takes text in UTF-8"),
])  # fmt: skip
def test_a_word_that_cannot_travel_is_one_sentence(word: str, reason: str) -> None:
    for refuse in (lambda: word_controller_values("s", word), lambda: read("k", BY_NAME, ["length", 0, word, 1], NOW)):
        with pytest.raises(RequestError, match=re.escape(reason)) as caught:
            refuse()
        assert len(str(caught.value)) < 200


def test_the_hash_of_old_logs_stays() -> None:
    assert word_hash("bd") == int.from_bytes(blake2b(b"bd", digest_size=8).digest()) // 2**11 / 2**53
    assert name_hash("bd") == int(word_hash("bd") * 2**24) / 2**24


async def test_one_message_is_its_values_and_then_its_note(live: Rig, client: Client) -> None:
    sent = ("s", "bd", "n", 5, "speed", 1.0, "mode", "equal", "loop", 1)
    assert await client.ask("/node/d/play", *sent) == []
    assert [done[:-1] for done in events(live)] == [
        ("control", 3, BEGIN, 0.0, 1),
        ("control", 3, FIRST_WORD, int.from_bytes(b"bd\0") / 2**24, 1),
        ("control", 3, FIRST + 1, 0.5, 1),
        ("control", 3, FIRST + 2, 17 / 32, 1),
        ("control", 3, FIRST + 3, 0.5, 1),
        ("control", 3, FIRST + 4, 1.0, 1),
        ("on", 3, 60, 1.0, 1),
    ]


async def test_note_and_velocity_are_the_notes_own(live: Rig, client: Client) -> None:
    for velocity, strength in ((127, 1.0), (1.0, 1.0), (0.75, 0.75), (1, 1 / 127)):
        live.engine.applied.clear()
        assert await client.ask("/node/d/play", "note", 38, "velocity", velocity) == []
        assert [done[:-1] for done in events(live)] == [("control", 3, BEGIN, 1.0, 1), ("on", 3, 38, strength, 1)]


async def test_a_time_tag_is_the_sample_of_all_of_it(live: Rig, client: Client) -> None:
    at = round(live.engine.sample + 0.5 * RATE)
    client.bundle(live.time.timetag(0.5), encode("/node/d/play", "n", 1), encode("/node/d/play", "n", 2))
    await live.settle()
    assert events(live) == []
    await live.move(0.51)
    assert [(done[0], done[2], done[3], done[-1]) for done in events(live)] == [
        ("control", BEGIN, 0.0, at),
        ("control", FIRST + 1, 0.1, at),
        ("on", 60, 1.0, at),
        ("control", BEGIN, 0.0, at),
        ("control", FIRST + 1, 0.2, at),
        ("on", 60, 1.0, at),
    ]


async def test_what_it_does_not_take_is_answered_and_plays_nothing(live: Rig, client: Client) -> None:
    await accepted.compare_async(__file__, lambda line: refusal(client, line))
    assert events(live) == []


async def test_a_number_beyond_its_range_is_the_nearest_and_said_once(live: Rig, client: Client) -> None:
    args = ("n", 11, "speed", -99.0, "mode", "sideways")
    said = [str(reason) for address, (_, reason) in await client.ask("/node/d/play", *args) if address == "/remark"]
    assert said == [
        "n of d takes whole numbers 0 to 10; what is beyond is played as the nearest",
        "speed of d takes -16 to 16; what is beyond is played as the nearest",
        "mode of d takes off or equal or onsets; others are left out",
    ]
    played = events(live)
    live.engine.applied.clear()
    assert await client.ask("/node/d/play", "n", 10, "speed", -16.0) == []
    assert played == events(live)
    live.engine.applied.clear()
    assert await client.ask("/node/d/play", *args) == []
    assert played == events(live)


async def test_without_values_it_is_a_trigger(live: Rig, client: Client) -> None:
    assert await client.ask("/node/d/play") == []
    assert [done[0] for done in live.engine.applied] == ["set"]


async def test_an_unknown_name_is_played_and_answered_once_in_some_seconds(live: Rig, client: Client) -> None:
    number = live.app.session.state.nodes["d"].id
    assert await client.ask("/node/d/play", "s", "bdd") == []
    live.engine.say(NodeVocabulary(number, {"s": ("bd", "hh", "sd")}))
    await live.settle()
    assert await client.ask("/node/d/play", "s", "bd") == []
    live.engine.applied.clear()
    reason = await client.refused("/node/d/play", "s", "bdd", "n", 2)
    assert reason == ("d has no s named 'bdd', and this note is silent; did you mean bd? there are: bd, hh, sd")
    assert [done[0] for done in events(live)] == ["control", "control", "control", "on"]
    assert await client.ask("/node/d/play", "s", "bdd") == []
    ((_, (_, reason)),) = await client.ask("/node/d/play", "s", "x" * 500)
    assert len(reason) < 150
    assert await client.ask("/node/d/play", "s", "") == []
    # one that is set is answered too
    ((about, reason),) = [args for address, args in await client.ask("/node/d/s", "cymbal") if address == "/fail"]
    assert (about, str(reason).rpartition("; ")[2]) == ("/node/d/s", "there are: bd, hh, sd")


def test_words_are_answered_again_later_and_the_memory_of_them_is_bounded() -> None:
    class Answers:
        said: ClassVar[list[str]] = []

        def fail(self, peer: object, address: str, reason: str) -> None:
            self.said.append(reason)

        def reply(self, peer: object, packet: bytes) -> None:
            self.said.append(packet.decode("utf-8"))

    now = [100.0]
    words = UnknownWords(cast(Replies, Answers()), lambda: now[0])
    node = Node(1, "d", DRUMS, 0, vocabulary={"s": ("bd",)})
    owner, surface = (
        cast(Peer, SimpleNamespace(level=level, key=level.name)) for level in (Level.OWNER, Level.SURFACE)
    )
    for _ in range(3):
        words.answer(surface, "/node/d/play", node, ("s", "kick", "n", 1))
    assert Answers.said == ["d has no s named 'kick', and this note is silent"]
    now[0] += RETRY_SECONDS
    words.answer(owner, "/node/d/play", node, ("s", "kick"))
    assert Answers.said[1:] == ["d has no s named 'kick', and this note is silent; there are: bd"]
    node.vocabulary = {"section": ("verse",)}
    words.answer(owner, "/node/d/section", node, ("section", "bridge"))
    assert Answers.said.pop() == "d has no section named 'bridge'; there are: verse"
    node.vocabulary = {"s": ("pad", "gm_violin"), **other_words("s", {"gm_violin": "pad"})}
    for peer in (owner, owner, surface):
        words.answer(peer, "/node/d/play", node, ("s", "gm_violin"))
    remark = encode("/remark", "/node/d/play", "d plays 'gm_violin' by pad, the nearest that it has")
    assert Answers.said[2:] == [remark.decode("utf-8")]
    for n in range(MAX_REMEMBERED_WORDS + 5):
        words.answer(owner, "/node/d/play", node, ("s", f"w{n}"))
    assert len(words._answered) == MAX_REMEMBERED_WORDS


def test_files_of_events_take_it_too() -> None:
    graph = Graph((NodeSpec("d", "drums", {}),), ())
    catalog = Catalog({"drums": DRUMS})

    def find(node: str, name: str) -> Param:
        return next(p for p in PARAMS if p.name == name)

    lines = ['{"sample": 480, "address": "/node/d/play", "args": ["s", "sd", "speed", -1.0]}']
    commands = parse_events(lines, RATE, find, "e.jsonl", Players(graph, catalog))
    assert commands == [
        Play("d", Event("control", 0, BEGIN), Sample(480)),
        Play("d", Event("control", 0, FIRST_WORD, int.from_bytes(b"sd\0") / 2**24), Sample(480)),
        Play("d", Event("control", 0, FIRST + 2, 15 / 32), Sample(480)),
        Play("d", Event("on", 0, 60, 1.0), Sample(480)),
    ]
    with pytest.raises(UsageError, match=r"e.jsonl line 1: play takes no value named 'sped'"):
        parse_events([lines[0].replace('"speed"', '"sped"')], RATE, find, "e.jsonl", Players(graph, catalog))


BY_NAME = (Param("play", "trigger", False), Param("level", default=0.0), Param("name", "text", ""))


def named_values(note: list[object], when: When = NOW) -> tuple[list[Play[str]], dict[str, float]]:
    commands = read("k", BY_NAME, note, when)
    values = NamedValues()
    controls = [command for command in commands if command.event.kind == "control"]
    for one in controls:
        assert 0.0 <= one.event.value <= 1.0
        assert values.take(replace(one.event, value=float(np.float32(one.event.value))))
    return [c for c in commands if c not in controls], values.take_named(1, ("cutoff", "depth", "x"))


@each("value", [800.25, -0.1, 0.0, 1e-7, -123456.0, 3])
def test_values_by_name_arrive_as_32_bit_floats(value: float) -> None:
    notes, values = named_values(["note", 60, "velocity", 127, "length", 0, "cutoff", value, "other", 7, "depth", 1])
    assert notes == [Play("k", Event("on", 0, 60, 1.0), NOW)]
    assert values == {"cutoff": float(np.float32(value)), "depth": 1.0}


def test_names_with_one_hash_are_two_values_and_old_logs_have_the_hash() -> None:
    seen: dict[float, str] = {}
    names = (f"v{n}" for n in count())
    one, other = next((seen[h], name) for name in names if (h := name_hash(name)) in seen or seen.update({h: name}))
    assert (one, other) == ("v126", "v4002")
    values = NamedValues()
    for command in read("k", BY_NAME, ["length", 0, one, 1.5, other, -2], NOW)[:-1]:
        values.take(command.event)
    assert values.take_named(1, {one, other, "x"}) == {one: 1.5, other: -2.0}
    old = [(BEGIN, 0.0), (NAME, name_hash("x")), (NAME + 1, 0x3FC0 / 65536), (NAME + 2, 0.0)]
    for number, value in old:
        values.take(Event("control", 0, number, value))
    assert values.take_named(1, {one, "x"}) == {"x": 1.5}


def test_of_a_value_that_is_given_twice_the_last_is_played() -> None:
    assert read("d", PARAMS, ["s", "kick", "n", 1, "s", "sd"], NOW) == read("d", PARAMS, ["s", "sd", "n", 1], NOW)


def test_a_note_by_name_at_a_beat_may_have_a_length() -> None:
    notes, _ = named_values(["note", 60, "length", 1.5, "x", 1], Beat(2.0))
    assert notes == [Play("k", Event("on", 0, 60, 1.0), Beat(2.0)), Play("k", Event("off", 0, 60), Beat(3.5))]
    by_name = Path(__file__).with_name("by_name.py")
    accepted.compare(by_name, lambda wrong: accepted.refusal(lambda: read("k", BY_NAME, eval(wrong), NOW)))


def test_an_unknown_name_of_a_value_has_its_sentence() -> None:
    found = list(unknown_words({"play": ("cutoff",)}, ["note", 60, "length", 0, "cutoff", 3, "cutof", 2]))
    assert found == [("play", "cutof", ("cutoff",))]
    assert silent("k", "play", "cutof") == "k has no value named 'cutof', and this note is played without it"
