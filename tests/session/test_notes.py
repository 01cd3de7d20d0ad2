"""Notes and controls as messages, and who plays them."""

import doctest
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests import accepted
from tests.each import each
from tests.local import CATALOG, graph

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.graph import Graph, NodeSpec, Wire
from antiphon.kernel.session import notes
from antiphon.kernel.session.commands import NOW, Play, Sample
from antiphon.kernel.session.notes import ADDRESSES, Players, play_on, read
from antiphon.kernel.wire.osc import IMPULSE, Double


def test_what_clients_send_is_understood_or_refused_in_a_sentence() -> None:
    names = {"IMPULSE": IMPULSE, "Double": Double, "nan": nan, "inf": inf}

    def answer(line: str) -> str:
        address, _, args = line.partition(" ")
        sent = eval(f"[{args}]", names)
        said = accepted.refusal(lambda: read(address, sent, NOW))
        if said != "nothing is refused":
            return said
        assert read(address, sent, Sample(9)).when == Sample(9)
        return str(read(address, sent, NOW))

    accepted.compare(__file__, answer)


_ANY = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=80),
    st.binary(max_size=8),
    st.none(),
    st.just(IMPULSE),
    st.integers(-2, 130),
    st.floats(-2, 130),
    st.sampled_from(["", "keys"]),
)


@given(st.sampled_from(ADDRESSES), st.lists(_ANY, max_size=6))
def test_any_arguments_make_a_command_in_range_or_are_refused(address: str, args: list[Any]) -> None:
    try:
        command = read(address, args, NOW)
    except RequestError:
        return
    action = play_on(command, 3)
    event = action.event
    assert action.node == 3
    assert 0 <= event.number <= 127
    reach = 96.0 if event.kind == "pitch" else 1.0
    assert -reach <= event.value <= reach
    assert 1 <= event.channel <= 16


@each("event", [
        Event("on", 0, 128, 0.5), Event("on", 0, 60, 1.1), Event("on", 0, 60, nan), Event("on", 0, 60.5, 0.5),
        Event("on", 0, 60, 0.5, 0), Event("off", 0, -1), Event("off", 0, 60, 0.0, 17), Event("control", 0, 1, -0.1),
        Event("control", 0, 209, 0.5), Event("bend", 0, 0, 1.5), Event("bend", 0, 0, 0.0, 1.5),
    ])  # fmt: skip
def test_a_command_out_of_range_is_refused_whoever_makes_it(event: Event) -> None:
    with pytest.raises(RequestError, match="takes"):
        play_on(Play("", event), 3)


def test_a_command_has_the_numbers_that_its_record_takes() -> None:
    assert play_on(Play("", Event("on", 0, 60.0, 1, 2.0)), 3) == Play(3, Event("on", 0, 60, 1.0, 2))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"an event's kind is on, off, .* not 'struck'"):
        play_on(Play("", Event("struck", 0, 60, 1.0)), 3)  # type: ignore[arg-type]


def test_velocity_0_ends_the_note() -> None:
    assert play_on(Play("", Event("on", 0, 60, 0.0, 2)), 5) == Play(5, Event("off", 0, 60, 0.0, 2))
    assert play_on(Play("", Event("on", 0, 60, 0.25, 3)), 5) == Play(5, Event("on", 0, 60, 0.25, 3))


def test_without_a_name_it_is_for_those_no_wire_plays() -> None:
    made = graph(
        {"c": "clicker", "fed": "notes", "a": "notes", "b": "notes"},
        ["in > c", "c.notes > fed", "fed > out", "a > out", "b > out"],
    )
    players = Players(made, CATALOG)
    assert players.of("") == ("a", "b")
    assert players.of("fed") == ("fed",)
    with pytest.raises(RequestError, match="c takes no notes; those that take notes are: fed, a, b"):
        players.of("c")
    with pytest.raises(RequestError, match="there is no node 'x'; those that take notes are: fed, a, b"):
        players.of("x")


def test_what_analyses_sound_has_notes_by_wires_alone() -> None:
    analyses = replace(CATALOG["notes"], type="analyses", inputs=(AUDIO_IN, EVENTS_IN), outputs=())
    catalog = Catalog({**CATALOG.types, "analyses": analyses})
    players = Players(Graph((NodeSpec("a", "analyses"), NodeSpec("b", "notes"))), catalog)
    assert (players.of(""), players.of("a")) == (("b",), ("a",))
    with pytest.raises(RequestError, match="no node of this patch takes notes"):
        Players(Graph((NodeSpec("a", "analyses"),)), catalog).of("")


def test_what_overhears_has_the_notes_that_name_no_node_beside_those_that_play_them() -> None:
    ears = replace(CATALOG["notes"], type="ears", inputs=(AUDIO_IN, replace(EVENTS_IN, overhears=True)), outputs=())
    catalog = Catalog({**CATALOG.types, "ears": ears})
    players = Players(Graph((NodeSpec("a", "ears"), NodeSpec("b", "notes"), NodeSpec("c", "notes"))), catalog)
    assert (players.of(""), players.of("b")) == (("b", "c", "a"), ("b",))
    assert players.of("", by_clock=True) == ("b", "c"), "what the clock plays does not lead it"
    assert Players(Graph((NodeSpec("a", "ears"),)), catalog).of("") == ("a",)


def test_where_wires_play_all_it_is_for_all() -> None:
    made = graph({"c": "clicker", "a": "notes", "b": "notes"}, ["in > c", "c.notes > a", "c.notes > b", "a > out"])
    assert Players(made, CATALOG).of("") == ("a", "b")


@pytest.mark.parametrize("ears", [False, True])
def test_a_keyboard_in_place_of_what_finds_notes_does_not_play_what_answers(ears: bool) -> None:
    """`ears`: what answers overhears the notes, as the follower of a score does, and plays none itself."""
    into = (AUDIO_IN, replace(EVENTS_IN, overhears=True)) if ears else CATALOG["notes"].inputs
    answers = replace(CATALOG["notes"], type="answers", inputs=into, outputs=(AUDIO_OUT, EVENTS_OUT))
    catalog = Catalog({**CATALOG.types, "answers": answers})
    ends = [("c.notes", "own"), ("c.notes", "band"), ("band.notes", "piano"), ("own", "out"), ("piano", "out")]
    made = Graph(
        tuple(NodeSpec(*one) for one in (("c", "clicker"), ("own", "notes"), ("band", "answers"), ("piano", "notes")))
    )
    for source, dest in ends:
        made = replace(made, wires=(*made.wires, Wire(made.end(source, "out", catalog), made.end(dest, "in", catalog))))
    players = Players(made, catalog)
    assert (players.of(""), players.of("", by_clock=True)) == (("own", "band"), ("own",) if ears else ("own", "band"))


def test_wire_form_of_each_event_is_as_its_docstring_says() -> None:
    result = doctest.testmod(notes)
    assert (result.failed, result.attempted) == (0, 10)
