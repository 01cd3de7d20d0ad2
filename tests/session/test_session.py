"""The session: values, times, plans, and going back when the engine refuses."""

from array import array
from typing import Any

import pytest

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT, Port
from antiphon.kernel.errors import ParamError, PatchError, RequestError
from antiphon.kernel.graph.graph import Graph, NodeSpec, in_series
from antiphon.kernel.session.actions import Changed, EngineLoad, NodeReset, NodeSet, TempoChanged
from antiphon.kernel.session.commands import (
    NOW,
    Beat,
    ClearSchedule,
    NudgeBeat,
    Panic,
    Play,
    ResetNode,
    Sample,
    SetParam,
    SetTempo,
    SetTransport,
    Sync,
)
from antiphon.kernel.session.graph_state import TAIL
from antiphon.kernel.session.node_state import SLOTS
from antiphon.kernel.session.schedule import MAX_PENDING, Moment, ScheduleFull
from antiphon.kernel.session.session import Session

PARAMS = (
    Param("gain", default=1.0, low=0.0, high=2.0),
    Param("mode", "choice", "gate", choices=("gate", "wavelet")),
    Param("learn", "trigger", False),
    Param("label", "text", "none"),
    Param("size", "int", 256, 64, 1024, restart=True),
    Param("level", default=0.0, readonly=True),
    Param("trim", default=0.0, low=-0.1, high=0.1),
)
GAIN = ProcessorInfo("gain", "", "t", (AUDIO_IN,), (AUDIO_OUT,), PARAMS)
OTHER = ProcessorInfo("other", "", "t", (AUDIO_IN,), (AUDIO_OUT,), PARAMS[:1])
CATALOG = Catalog({"gain": GAIN, "other": OTHER})
GRAPH = in_series([NodeSpec("a", "gain", {"gain": 0.5}), NodeSpec("b", "gain")], CATALOG)
FIRST = Moment(1000.0, 2.0)
GAIN_CELL, LEARN_CELL = 3, 5


def session(playing: bool = True) -> Session:
    made = Session(CATALOG, array("d", bytes(8 * SLOTS)), 48000)
    made.state.load(GRAPH, "two", tempo=90.0)
    if playing:
        made.state.confirm(made.state.states.serial, 0.0)
    return made


@pytest.fixture
def s() -> Session:
    return session()


def test_a_value_now(s: Session) -> None:
    effects = s.handle(SetParam("a", "gain", 1.5, 0.25), FIRST, "me")
    assert effects == [NodeSet(1, GAIN_CELL, 1.5, 0.25, NOW), Changed("a", PARAMS[0], 1.5, "me")]
    assert s.state.value("a", "gain") == 1.5
    assert s.state.value("b", "gain") == 1.0


@pytest.mark.parametrize(("sent", "kept"), [(0.10000000149011612, 0.1), (-0.10000000149011612, -0.1)])
def test_a_32_bit_float_at_the_end_of_the_range_is_that_end(sent: float, kept: float, s: Session) -> None:
    s.handle(SetParam("a", "trim", sent), FIRST)
    assert s.state.value("a", "trim") == kept
    with pytest.raises(ParamError):
        s.handle(SetParam("a", "trim", sent * 1.001), FIRST)


def test_a_scheduled_value_counts_from_its_time(s: Session) -> None:
    assert s.handle(SetParam("a", "gain", 2.0, 0.0, Sample(5000)), FIRST, "me") == [
        NodeSet(1, GAIN_CELL, 2.0, 0.0, Sample(5000))
    ]
    assert s.handle(SetParam("a", "gain", 0.25, 0.0, Sample(4000)), FIRST)
    s.advance(Moment(3999.9))
    assert s.state.value("a", "gain") == 0.5
    s.advance(Moment(4000.0))
    assert s.state.value("a", "gain") == 0.25
    assert s.advance(Moment(9000.0)) == [Changed("a", PARAMS[0], 2.0, "me")]
    assert s.state.value("a", "gain") == 2.0


def test_a_late_value_counts_at_once(s: Session) -> None:
    effects = s.handle(SetParam("a", "gain", 2.0, 0.0, Sample(500)), FIRST)
    assert effects[0] == NodeSet(1, GAIN_CELL, 2.0, 0.0, Sample(500))
    assert s.state.value("a", "gain") == 2.0


def test_beats_and_quanta(s: Session) -> None:
    s.handle(SetParam("a", "gain", 2.0, 0.0, Beat(5.0, 4.0)), FIRST)
    s.advance(Moment(1e9, 7.99))
    assert s.state.value("a", "gain") == 0.5
    s.advance(Moment(1e9, 8.0))
    assert s.state.value("a", "gain") == 2.0


def test_same_sample_keeps_the_order_of_arrival(s: Session) -> None:
    for value in (0.1, 0.2, 0.3):
        s.handle(SetParam("a", "gain", value, 0.0, Sample(5000)), FIRST)
    s.advance(Moment(5000.0))
    assert s.state.value("a", "gain") == 0.3


def test_the_schedule_is_bounded_and_can_be_emptied(s: Session) -> None:
    for n in range(MAX_PENDING):
        s.handle(SetParam("a", "gain", 1.0, 0.0, Sample(2000 + n)), FIRST)
    with pytest.raises(ScheduleFull, match="65536"):
        s.handle(SetParam("a", "gain", 1.0, 0.0, Sample(2000)), FIRST)
    s.advance(Moment(2000.0))
    s.handle(SetParam("a", "gain", 1.0, 0.0, Sample(9000)), FIRST)
    assert s.handle(ClearSchedule(), FIRST) == [ClearSchedule()]
    assert len(s.schedule) == 0
    assert s.resend() == []


def test_triggers_fire_and_have_no_value(s: Session) -> None:
    assert s.handle(SetParam("a", "learn", True), FIRST) == [NodeSet(1, LEARN_CELL, 1.0, 0.0, NOW)]
    assert s.handle(SetParam("a", "learn", 0.0), FIRST) == []
    assert s.state.value("a", "learn") is False


def test_time_and_the_rest(s: Session) -> None:
    assert s.state.tempo == 90.0
    assert s.handle(SetTempo(120.0, 4.0), FIRST, "me") == [SetTempo(120.0, 4.0, NOW), TempoChanged(120.0, "me")]
    assert s.state.tempo == 120.0
    assert s.handle(SetTempo(60.0, 0.0, Sample(5000)), FIRST) == [SetTempo(60.0, 0.0, Sample(5000))]
    assert s.state.tempo == 120.0
    assert s.advance(Moment(5000.0)) == [TempoChanged(60.0)]
    assert s.handle(SetTransport(True, 4.0), FIRST) == [SetTransport(True, 4.0, NOW)]
    assert s.handle(ResetNode("b"), FIRST) == [NodeReset(2, NOW)]
    assert s.handle(Sync(7, Sample(6000)), FIRST) == [Sync(7, Sample(6000))]
    assert s.handle(Panic(), FIRST) == [Panic()]


def load_of(effects: list[Any]) -> EngineLoad:
    (found,) = [e for e in effects if isinstance(e, EngineLoad)]
    return found


def test_a_restart_parameter_asks_for_a_plan_with_all_values(s: Session) -> None:
    s.handle(SetParam("a", "gain", 1.5), FIRST)
    load = load_of(s.handle(SetParam("a", "size", 512), FIRST))
    assert load.ids == {"a": 1, "b": 2}
    assert dict(load.graph.node("a").values) == {"gain": 1.5, "size": 512}
    assert s.handle(SetParam("a", "size", 512), FIRST) == []
    assert s.state.loading
    s.state.confirm(load.serial, 0.0)
    assert not s.state.loading


def test_text_travels_with_a_plan(s: Session) -> None:
    load = load_of(s.handle(SetParam("b", "label", "hello"), FIRST))
    assert dict(load.graph.node("b").values) == {"label": "hello"}
    assert s.state.value("b", "label") == "hello"


def test_a_scheduled_restart_parameter_waits_here(s: Session) -> None:
    assert s.handle(SetParam("a", "size", 512, 0.0, Sample(5000)), FIRST) == []
    assert s.state.value("a", "size") == 256
    load_of(s.advance(Moment(5000.0)))
    assert s.state.value("a", "size") == 512


def test_one_plan_at_a_time_the_next_has_all(s: Session) -> None:
    first = load_of(s.state.add("gain", "c", "b"))
    assert s.state.add("gain", "d", "c") == []
    assert s.state.remove("a") == []
    assert s.state.states.goal == first.serial + 1
    second = load_of(s.state.confirm(first.serial, 0.0))
    assert second.serial == s.state.states.goal
    assert set(second.ids) == {"b", "c", "d"}
    assert second.ids["c"] == first.ids["c"]
    assert s.state.confirm(second.serial, 0.0) == []


def test_nodes_of_the_same_name_and_type_keep_their_number_in_another_patch(s: Session) -> None:
    s.handle(SetParam("a", "gain", 1.9), FIRST)
    graph = Graph((NodeSpec("a", "gain", {"gain": 0.75}), NodeSpec("b", "other")))
    effects = s.state.load(graph, "else")
    load = load_of(effects)
    assert load.ids == {"a": 1, "b": 3}
    assert Changed("a", PARAMS[0], 0.75) in effects
    # Its new value is said once the plan plays: a node that goes on does not start anew.
    assert s.state.confirm(load.serial, 0.0) == [NodeSet(1, GAIN_CELL, 0.75)]


def test_a_value_set_while_a_plan_is_made_is_said_again(s: Session) -> None:
    load = load_of(s.state.add("gain", "c", "b"))
    s.handle(SetParam("c", "gain", 1.75, 2.0), FIRST)
    after = s.state.confirm(load.serial, FIRST.sample + 48000)
    assert after == [NodeSet(load.ids["c"], GAIN_CELL, 1.75, 1.0)]


def test_scheduled_value_due_during_a_plan_reaches_a_new_node(s: Session) -> None:
    for node in ("a", "b"):
        s.handle(SetParam(node, "gain", 2.0, 0.0, Sample(5000)), FIRST)
    load = load_of(s.handle(SetParam("a", "size", 512), FIRST))
    s.advance(Moment(5000.0))
    # b goes on, and a later value may be on its way to it
    assert s.state.confirm(load.serial, 5000.0) == [NodeSet(1, GAIN_CELL, 2.0)]


def test_scheduled_value_is_kept_where_a_removal_is_refused(s: Session) -> None:
    s.handle(SetParam("a", "gain", 2.0, 0.0, Sample(5000)), FIRST)
    load = load_of(s.state.remove("a"))
    assert s.advance(Moment(5000.0)) == []
    s.state.refuse(load.serial)
    assert s.state.value("a", "gain") == 2.0


def test_value_of_a_refused_edit_is_not_sent(s: Session) -> None:
    first = load_of(s.state.add("gain", "c", "b"))
    s.state.load(Graph((NodeSpec("a", "gain", {"gain": 0.75}),)), "else")
    (second,) = s.state.confirm(first.serial, 0.0)
    s.state.refuse(load_of([second]).serial)
    assert s.state.value("a", "gain") == 0.5


def test_only_a_patch_brings_a_tempo_and_one_set_meanwhile_wins(s: Session) -> None:
    assert load_of(s.state.add("gain", "c")).tempo == 0.0
    s.state.confirm(s.state.states.serial, 0.0)
    load = load_of(s.state.load(GRAPH, "two", tempo=140.0))
    assert load.tempo == 140.0
    s.handle(SetTempo(100.0), FIRST)
    assert s.state.confirm(load.serial, 0.0)[-1] == SetTempo(100.0)
    assert load_of(s.state.restart()).tempo == 100.0


def test_the_first_plan_refused_leaves_an_empty_graph() -> None:
    s = session(playing=False)
    s.state.refuse(s.state.states.serial)
    assert s.state.graph == Graph()
    assert s.state.nodes == {}


def test_torn_numbers_are_mended(s: Session) -> None:
    saved = s.state.to_json()
    s.state.numbers[0] = float("nan")
    s.state.numbers[s.state.nodes["a"].base + GAIN_CELL] = 1e9
    again = Session(CATALOG, array("d", s.state.numbers), 48000)
    again.state.restore(saved)
    assert again.state.tempo == 120.0
    assert again.state.value("a", "gain") == 1.0


def test_a_plugin_that_is_gone_is_a_patch_error() -> None:
    with pytest.raises(PatchError, match="no processor type"):
        Session(Catalog(), array("d", bytes(8 * SLOTS))).state.restore(session().state.to_json())


def test_a_new_engine_hears_what_was_scheduled_at_its_own_clock(s: Session) -> None:
    s.handle(SetParam("a", "gain", 2.0, 0.0, Sample(5000)), FIRST)
    s.handle(Sync(3, Sample(6000)), FIRST)
    s.shift_schedule(-1000)
    assert s.resend() == [NodeSet(1, GAIN_CELL, 2.0, 0.0, Sample(4000)), Sync(3, Sample(5000))]
    s.advance(Moment(4000.0))
    assert s.state.value("a", "gain") == 2.0
    load = load_of(s.state.restart())
    assert dict(load.graph.node("a").values) == {"gain": 2.0}
    # Said again behind whatever the old engine's ring still held: every number, also where it is the default.
    said = s.state.confirm(load.serial, 4000.0)
    assert NodeSet(1, GAIN_CELL, 2.0) in said
    assert NodeSet(2, GAIN_CELL, 1.0) in said
    assert len(said) == 2 * 6


def test_a_new_engine_gets_what_played_as_such(s: Session) -> None:
    load = load_of(s.state.restart())
    assert load.again
    s.state.confirm(load.serial, 0.0)
    assert not s.state.states.silent
    refused = load_of(s.handle(SetParam("a", "size", 512), FIRST))
    assert not refused.again
    s.state.refuse(refused.serial)
    assert not s.state.states.silent, "the one before plays on"


def test_what_a_patch_leaves_rings_out_and_what_an_edit_removes_does_not(s: Session) -> None:
    assert load_of(s.state.load(s.state.graph, "again", tempo=90.0)).tail == TAIL
    s.state.confirm(s.state.states.serial, 0.0)
    assert load_of(s.state.remove("b")).tail == 0.0


KEYS = ProcessorInfo("keys", "", "t", (EVENTS_IN,), (AUDIO_OUT,), ())
BAND = ProcessorInfo("band", "", "t", (Port("notes", "events", held=True),), (EVENTS_OUT,), PARAMS[4:5])


def notes_of(s: Session, *nodes: NodeSpec) -> list[Any]:
    """The notes that begin when a patch of these nodes is loaded."""
    effects = s.load(Graph(nodes), "")
    before = s.state.states
    s.state.confirm(before.serial, 0.0)
    effects += s.replay_after_prepare(before)
    return [effect for effect in effects if isinstance(effect, Play) and effect.event.kind == "on"]


def test_keys_that_are_held_when_a_patch_is_loaded_are_played_to_its_band_and_to_no_instrument() -> None:
    s = Session(Catalog({"keys": KEYS, "band": BAND}), array("d", bytes(8 * SLOTS)), 48000)
    assert notes_of(s, NodeSpec("piano", "keys")) == []
    s.handle(Play("", Event("on", 0, 45, 0.5)), FIRST)
    s.handle(Play("", Event("on", 0, 48, 0.6, 2), Sample(900)), FIRST)
    s.handle(Play("", Event("on", 0, 52, 0.7)), FIRST)
    s.handle(Play("piano", Event("on", 0, 60, 0.7)), FIRST)
    s.handle(Play("", Event("on", 0, 64, 0.7), Beat(2.0)), FIRST)
    s.handle(Play("", Event("off", 0, 52)), FIRST)
    band = NodeSpec("band", "band")
    effects = notes_of(s, NodeSpec("keys", "keys"), band)
    number = s.state.nodes["band"].id
    held = [Play(number, Event("on", 0, 45, 0.5)), Play(number, Event("on", 0, 48, 0.6, 2))]
    assert effects == held
    assert notes_of(s, band) == [], "it goes on, and has them"
    again = notes_of(s, NodeSpec("band", "band", {"size": 512}))
    assert again == held, "it is prepared anew"
    assert s.handle(Play("", Event("off", 0, 45)), FIRST) == [Play(number, Event("off", 0, 45))]
    assert notes_of(s, NodeSpec("other", "band")) == [Play(s.state.nodes["other"].id, Event("on", 0, 48, 0.6, 2))]
    s.handle(Panic(), FIRST)
    assert notes_of(s, band) == []


def test_keys_that_are_played_to_no_instrument_are_held_and_released_all_the_same() -> None:
    s = Session(Catalog({"keys": KEYS, "band": BAND}), array("d", bytes(8 * SLOTS)), 48000)
    notes_of(s, NodeSpec("piano", "keys"))
    for key, channel in ((45, 1), (48, 1), (50, 2)):
        s.handle(Play("", Event("on", 0, key, 0.5, channel)), FIRST)
    notes_of(s)
    for event in (Event("off", 0, 45), Event("on", 0, 60, 0.5), Event("control", 0, 123, 0.0, 2)):
        with pytest.raises(RequestError):
            s.handle(Play("", event), FIRST)
    assert [note.event.number for note in notes_of(s, NodeSpec("band", "band"))] == [48, 60]


@pytest.mark.parametrize(
    ("unit", "before", "number", "sent"),
    [
        ("dB", 50.0, 50.004, False),
        ("dB", 50.0, 50.006, True),
        ("Hz", 500.0, 500.04, False),
        ("Hz", 500.0, 500.06, True),
        ("Hz", 1500.0, 1500.4, False),
        ("Hz", 1500.0, 1500.8, True),
        ("", 0.25, 0.2504, False),
        ("beats", 50.0, 50.0001, True),
    ],
)
def test_what_a_node_reports_is_sent_where_the_page_shows_it_otherwise(
    unit: str, before: float, number: float, sent: bool
) -> None:
    shown = Param("shown", default=0.0, low=-2000.0, high=2000.0, unit=unit, readonly=True)
    meter = ProcessorInfo("meter", "", "t", (AUDIO_IN,), (AUDIO_OUT,), (shown,))
    s = Session(Catalog({"meter": meter}), array("d", bytes(8 * SLOTS)), 48000)
    s.state.load(Graph((NodeSpec("m", "meter"),)), "")
    cell = s.state.nodes["m"].index["shown"]
    assert s.state.reported(1, cell, before) is not None
    assert (s.state.reported(1, cell, number) is not None) == sent


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        (NudgeBeat(-4.0), True),
        (NudgeBeat(-0.5), False),
        (NudgeBeat(4.0), False),
        (SetTransport(False), True),
        (SetTransport(None, 0.0), True),
        (SetTransport(None, 9.0), False),
    ],
)
def test_what_began_at_a_beat_ends_as_in_the_engine(command: Any, ends: bool) -> None:
    s = Session(Catalog({"keys": KEYS}), array("d", bytes(8 * SLOTS)), 48000)
    s.load(Graph((NodeSpec("keys", "keys"),)), "")
    s.handle(Play("keys", Event("on", 0, 60, 0.5), Beat(2.0)), FIRST, "me")
    s.handle(Play("keys", Event("on", 0, 62, 0.5), Beat(5.0)), FIRST, "me")
    s.handle(Play("keys", Event("on", 0, 64, 0.5)), FIRST, "me")
    s.handle(command, Moment(2000.0, 2.5))
    held = [one.event.number for one in s.resend() if isinstance(one, Play) and one.when == NOW]
    assert held == ([64] if ends else [60, 64])
    left = [one.event.number for one in s.leave("me", FIRST) if isinstance(one, Play)]
    assert left == ([62] if ends else [60, 62]), "the one to come is ended where it begins"
