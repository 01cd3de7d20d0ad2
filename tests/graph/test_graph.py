"""Graphs: edits give good graphs or a refusal, and the order runs what feeds before what is fed."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings, strategies as st
from tests import accepted
from tests.waiting import costs_at_most

from antiphon.kernel.contract.catalog import Catalog, Failure, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT, Port
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import graph as graphs
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO, TempoMap
from antiphon.kernel.graph.graph import IN, MAX_NODES, OUT, End, Graph, NodeSpec, Wire, check, order
from antiphon.kernel.graph.names import CANCELLER, GUARD


def info(name, inputs=(AUDIO_IN,), outputs=(AUDIO_OUT,), params=(), holds=False):
    return ProcessorInfo(name, "", "test", inputs, outputs, params, holds)


CATALOG = Catalog(
    {
        i.type: i
        for i in (
            info("gain", params=(Param("gain", default=1.0, high=2.0),)),
            info("delay", holds=True),
            info("mix", inputs=(Port("a"), Port("b"))),
            info("click", inputs=()),
            info("hum", outputs=(EVENTS_OUT,)),
            info("keys", inputs=(EVENTS_IN,)),
        )
    },
    (Failure("broken", "it has no hooks"),),
)


def chain(*names, kind="gain"):
    """in → each → out."""
    ends = [End(IN, IN), *(End(name, "in") for name in names), End(OUT, OUT)]
    wires = tuple(Wire(End(a.node, "out") if a.node != IN else a, b) for a, b in pairwise(ends))
    return Graph(tuple(NodeSpec(name, kind) for name in names), wires)


def drawn(graph):
    return [f"{w.source}>{w.dest}" for w in graph.wires]


def test_add_behind_a_node_takes_over_what_it_fed():
    graph = chain("a", "b").add(NodeSpec("c", "gain"), CATALOG, "a")
    assert [n.name for n in graph.nodes] == ["a", "c", "b"]
    assert set(drawn(graph)) == {"in.in>a.in", "a.out>c.in", "c.out>b.in", "b.out>out.out"}
    first = chain("a").add(NodeSpec("c", "gain"), CATALOG, IN)
    assert set(drawn(first)) == {"in.in>c.in", "c.out>a.in", "a.out>out.out"}
    beside = chain("a", "b").add(NodeSpec("k", "keys"), CATALOG, "a")
    assert set(drawn(beside)) == {"in.in>a.in", "a.out>b.in", "k.out>b.in", "b.out>out.out"}


def test_beside_loudspeakers_a_canceller_of_what_is_played_stands_in_front_of_the_input():
    kinds = {
        **CATALOG.types,
        CANCELLER: info(CANCELLER, inputs=(AUDIO_IN, Port("reference"))),
    }
    catalog = Catalog(kinds, ())
    ears, keys = (NodeSpec(name, name) for name in ("hum", "keys"))
    played = (Wire(End("hum", "notes"), End("keys", "notes")), Wire(End("keys", "out"), End(OUT, OUT)))
    graph = Graph((ears, keys), (Wire(End(IN, IN), End("hum", "in")), *played)).beside_loudspeakers(catalog)
    check(graph, catalog)
    assert order(graph, catalog)[0][0] == CANCELLER
    assert [str(wire.dest) for wire in graph.wires if wire.source.node == IN] == ["echo_cancel.in"]
    assert [str(wire.dest) for wire in graph.wires if wire.source.node == OUT] == ["echo_cancel.reference"]
    assert graph.beside_loudspeakers(catalog) == graph
    assert chain("a").beside_loudspeakers(catalog) == chain("a"), "what is played would be its own echo"
    guard = Catalog({**kinds, GUARD: info(GUARD, inputs=(AUDIO_IN, Port("reference")))}, ())
    played = chain("a").beside_loudspeakers(guard).guard_input(guard)
    assert set(drawn(played)) == {
        "in.in>howl_guard.in",
        "howl_guard.out>a.in",
        "a.out>out.out",
        "out.out>howl_guard.reference",
    }
    assert played.guard_input(guard) == played
    by_hand = played.connect(End(IN, IN), End(OUT, OUT), guard).guard_input(guard)
    assert set(drawn(by_hand)) == {*drawn(played), "howl_guard.out>out.out"}
    assert played.remove(GUARD, guard).guard_input(CATALOG).has(GUARD) is False, "none is installed"
    assert graph.guard_input(guard) == graph, "what is only listened to does not howl"
    assert graph.remove(CANCELLER, catalog).beside_loudspeakers(CATALOG).has(CANCELLER) is False, "none is installed"
    deaf = Graph((NodeSpec("click", "click"),), (Wire(End("click", "out"), End(OUT, OUT)),))
    assert deaf.beside_loudspeakers(catalog) == deaf


def test_add_behind_what_has_no_sound_wires_nothing():
    graph = Graph((NodeSpec("hum", "hum"),)).add(NodeSpec("a", "gain"), CATALOG, "hum")
    assert [n.name for n in graph.nodes] == ["hum", "a"]
    assert graph.wires == ()


def test_remove_of_what_held_a_cycle_takes_its_feedback_along():
    graph = chain("a", "b").add(NodeSpec("echo", "delay"), CATALOG)
    graph = graph.connect(End("b", "out"), End("echo", "in"), CATALOG).connect(
        End("echo", "out"), End("a", "in"), CATALOG
    )
    without = graph.remove("echo", CATALOG)
    check(without, CATALOG)
    assert drawn(without) == drawn(chain("a", "b"))


def test_remove_closes_the_gap_and_move_puts_it_elsewhere():
    assert set(drawn(chain("a", "b", "c").remove("b", CATALOG))) == set(drawn(chain("a", "c")))
    moved = chain("a", "b", "c").move("a", "c", CATALOG)
    assert set(drawn(moved)) == set(drawn(chain("b", "c", "a")))
    back = moved.move("a", IN, CATALOG)
    assert set(drawn(back)) == set(drawn(chain("a", "b", "c")))


def test_what_makes_no_sense_is_refused_and_changes_nothing():
    graph = chain("a", "b")
    accepted.compare(__file__, lambda edit: accepted.refusal(lambda: eval(edit, {**globals(), "g": graph})))
    assert graph == chain("a", "b")


def test_events_and_audio_are_not_wired_together():
    graph = Graph((NodeSpec("hum", "hum"), NodeSpec("keys", "keys"), NodeSpec("gain", "gain")))
    assert graph.connect(End("hum", "notes"), End("keys", "notes"), CATALOG).wires
    with pytest.raises(PatchError, match=r"carries events and gain\.in takes audio"):
        graph.connect(End("hum", "notes"), End("gain", "in"), CATALOG)


def test_a_cycle_is_fed_late_where_it_holds_and_nowhere_else():
    nodes = (NodeSpec("send", "gain"), NodeSpec("echo", "delay"), NodeSpec("dark", "gain"))
    wires = tuple(
        Wire(End(a, IN if a == IN else "out"), End(b, OUT if b == OUT else "in"))
        for a, b in ((IN, "send"), ("send", "echo"), ("echo", "dark"), ("dark", "echo"), ("dark", OUT))
    )
    names, late = order(Graph(nodes, wires), CATALOG)
    assert names == ("send", "echo", "dark")
    assert late == {wires[3]}


def test_there_is_an_end_to_a_patch():
    graph = Graph(tuple(NodeSpec(f"n{n}", "gain") for n in range(MAX_NODES)))
    with pytest.raises(PatchError, match=str(MAX_NODES)):
        graph.add(NodeSpec("more", "gain"), CATALOG)


def test_json_and_back():
    graph = chain("a", "b").add(NodeSpec("c", "gain", {"gain": 0.5}), CATALOG, "a")
    assert Graph.from_json(graph.to_json()) == graph


NAMES = [f"n{n}" for n in range(6)]
TYPES = sorted(CATALOG)
ENDS = [IN, OUT, *NAMES]
EDITS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), st.sampled_from(TYPES), st.sampled_from([None, IN, *NAMES])),
    st.tuples(st.just("remove"), st.sampled_from(NAMES)),
    st.tuples(st.just("move"), st.sampled_from(NAMES), st.sampled_from([IN, *NAMES])),
    st.tuples(st.sampled_from(["connect", "disconnect"]), st.sampled_from(ENDS), st.sampled_from(ENDS)),
)


def edited(graph, edit):
    match edit:
        case ("add", name, kind, after):
            return graph.add(NodeSpec(name, kind), CATALOG, after)
        case ("remove", name):
            return graph.remove(name, CATALOG)
        case ("move", name, after):
            return graph.move(name, after, CATALOG)
        case ("connect", a, b):
            return graph.connect(graph.end(a, "out", CATALOG), graph.end(b, "in", CATALOG), CATALOG)
        case ("disconnect", a, b):
            return graph.disconnect(graph.end(a, "out", CATALOG), graph.end(b, "in", CATALOG))


@given(st.lists(EDITS, max_size=25))
@settings(max_examples=50)
def test_any_edits_leave_a_graph_that_runs_in_order(edits):
    graph = Graph()
    for edit in edits:
        try:
            graph = edited(graph, edit)
        except PatchError:
            continue
        check(graph, CATALOG)
        names, late = order(graph, CATALOG)
        assert sorted(names) == sorted(n.name for n in graph.nodes)
        place = {name: n for n, name in enumerate(names)}
        for wire in graph.wires:
            if wire.source.node in place and wire.dest.node in place:
                held = CATALOG[graph.node(wire.dest.node).type].holds
                assert place[wire.source.node] < place[wire.dest.node] or (wire in late and held)


def test_the_worst_wiring_is_ordered_soon():
    """Many delays, each loop fed by all loops before it: every step has to look for a cycle again."""
    nodes, wires = [], []
    for n in range(MAX_NODES // 2):
        nodes += [NodeSpec(f"d{n}", "delay"), NodeSpec(f"g{n}", "gain")]
        wires += [Wire(End(f"d{n}", "out"), End(f"g{n}", "in")), Wire(End(f"g{n}", "out"), End(f"d{n}", "in"))]
        wires += [Wire(End(f"g{m}", "out"), End(f"d{n}", "in")) for m in range(max(0, n - 6), n)]
    nodes.reverse()
    with costs_at_most(2.0):
        check(Graph(tuple(nodes), tuple(wires[:1024])), CATALOG)


RATE = 48000
bpm = st.floats(MIN_TEMPO, MAX_TEMPO)
moves = st.one_of(
    st.tuples(st.just("tempo"), bpm, st.sampled_from([0.0, 0.5, 4.0, 64.0])),
    st.tuples(st.just("play"), st.none(), st.none()),
    st.tuples(st.just("stop"), st.none(), st.none()),
    st.tuples(st.just("locate"), st.floats(-100, 1000), st.none()),
)


def moved(tempo, sample, move):
    kind, a, b = move
    if kind == "tempo":
        tempo.set_tempo(sample, a, b)
    elif kind == "locate":
        tempo.set_transport(sample, None, a)
    else:
        tempo.set_transport(sample, kind == "play", None)


@given(bpm, st.lists(st.tuples(st.integers(0, 2_000_000), moves), max_size=8), st.integers(0, 20_000_000))
def test_the_two_ways_are_inverse(start, steps, later):
    tempo, sample = TempoMap(RATE, start, end_bpm=start), 0
    for gap, move in steps:
        sample += gap
        moved(tempo, sample, move)
    at = sample + later
    beat = tempo.beat_at(at)
    if tempo.playing:
        assert tempo.sample_at(beat) == pytest.approx(at, abs=0.01)
    else:
        assert beat == tempo.beat
        assert tempo.sample_at(beat + 1.0) == math.inf


@given(bpm, bpm, st.floats(0.1, 100.0), st.integers(0, 10**7), st.floats(0, 200))
@example(10.0, 10.000000000000002, 1.0, 0, 1.0)
def test_beats_to_samples_and_back_through_a_ramp(start, end, beats, sample, ahead):
    tempo = TempoMap(RATE, start, end_bpm=start)
    tempo.set_tempo(sample, end, beats)
    there = tempo.sample_at(tempo.beat + ahead)
    low, high = math.floor(there), math.floor(there) + 1
    assert tempo.beat_at(low) <= tempo.beat + ahead + 1e-6
    assert tempo.beat_at(high) >= tempo.beat + ahead - 1e-6


@given(bpm, st.lists(st.tuples(st.integers(1, 500_000), moves), min_size=1, max_size=8))
def test_a_change_never_makes_the_beat_jump_and_time_never_runs_back(start, steps):
    tempo, sample = TempoMap(RATE, start, end_bpm=start), 0
    for gap, move in steps:
        sample += gap
        before, pace = tempo.beat_at(sample), tempo.tempo_at(sample)
        assert MIN_TEMPO - 1e-6 <= pace <= MAX_TEMPO + 1e-6
        moved(tempo, sample, move)
        after = tempo.beat_at(sample)
        if move[0] == "locate":
            assert after == move[1]
        else:
            assert after == pytest.approx(before, abs=1e-9)
        if move[0] == "tempo" and move[2] == 0.0:
            assert tempo.tempo_at(sample) == move[1]
        else:
            assert tempo.tempo_at(sample) == pytest.approx(pace)
        assert tempo.beat_at(sample + 1000) >= after


def test_a_ramp_takes_its_beats_and_stays():
    tempo = TempoMap(RATE, 60.0, end_bpm=60.0)
    tempo.set_tempo(0, 120.0, 8.0)
    end = tempo.sample_at(8.0)
    # a line in beats: the time is 8 / (120 - 60) * ln(120 / 60) minutes
    assert end == pytest.approx(8.0 / 60.0 * math.log(2.0) * 60.0 * RATE)
    assert tempo.tempo_at(round(tempo.sample_at(4.0))) == pytest.approx(90.0, abs=1e-3)
    assert tempo.tempo_at(round(end) + 1) == 120.0
    assert tempo.sample_at(9.0) - end == pytest.approx(RATE / 2)


def test_a_ramp_cut_in_two_by_the_transport_is_the_same_ramp():
    whole, cut = (TempoMap(RATE, 60.0, end_bpm=60.0) for _ in range(2))
    whole.set_tempo(0, 180.0, 8.0)
    cut.set_tempo(0, 180.0, 8.0)
    cut.set_transport(70_000, False, None)
    assert cut.beat_at(500_000) == whole.beat_at(70_000)
    cut.set_transport(170_000, True, None)
    for n in range(70_000, 900_000, 50_000):
        assert cut.beat_at(n + 100_000) == pytest.approx(whole.beat_at(n))


def test_a_steered_clock_catches_up_within_a_beat_by_eight_percent_and_never_turns_back() -> None:
    tempo, beats = TempoMap(RATE, 120.0), [0.0]
    wanted, block = 0.03, 256
    for n in range(1, 200):
        here = tempo.beat_at(n * block)
        tempo.steer(n * block, 120.0, wanted + n * block * 2.0 / RATE - here, 0.0)
        assert 120.0 * 0.92 - 1e-9 <= tempo.tempo_at(n * block) <= 120.0 * 1.08 + 1e-9
        beats.append(here)
    assert all(after > before for before, after in pairwise(beats[1:]))
    assert beats[-1] - 199 * block * 2.0 / RATE == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("asked", [(float("nan"), 0.0, 0.0), (120.0, float("inf"), 0.0), (120.0, 0.0, float("nan"))])
def test_what_is_no_number_steers_no_clock(asked: tuple[float, float, float]) -> None:
    tempo = TempoMap(RATE, 100.0)
    tempo.steer(256, *asked)
    assert tempo == TempoMap(RATE, 100.0)


def test_a_clock_that_waits_stands_until_its_node_steers_it() -> None:
    tempo = TempoMap(RATE, 120.0)
    tempo.set_transport(0, None, 5.5)
    tempo.wait(256, 7)
    assert (tempo.playing, tempo.waits) == (False, 7)
    assert tempo.beat_at(RATE) == tempo.beat
    assert math.isinf(tempo.sample_at(tempo.beat)), "what falls on its beat comes when it begins"
    tempo.steer(RATE, 100.0, 0.0, -0.25)
    assert (tempo.playing, tempo.waits) == (True, 0)
    assert tempo.sample_at(tempo.beat + 0.25) == pytest.approx(RATE + 0.25 * 0.6 * RATE)


def test_a_stopped_clock_is_begun_by_a_node_only_where_it_waits_and_one_that_waits_is_started_and_stopped() -> None:
    tempo = TempoMap(RATE, 120.0)
    for playing in (False, True):
        tempo.set_transport(0, True, None)
        tempo.wait(0, 7)
        tempo.set_transport(256, playing, None)
        assert (tempo.playing, tempo.waits) == (playing, 0)
    tempo.set_transport(512, False, None)
    tempo.steer(512, 100.0, 0.0, 1.0)
    assert (tempo.playing, tempo.waits, tempo.bpm) == (False, 0, 120.0)
    tempo.wait(512, 7)
    assert (tempo.playing, tempo.waits) == (False, 7)
    tempo.steer(512, 100.0, 0.0, 1.0)
    assert (tempo.playing, tempo.waits, tempo.bpm) == (True, 0, 100.0)


@pytest.mark.parametrize(("asked", "taken"), [(5000.0, MAX_TEMPO), (0.001, MIN_TEMPO), (-3.0, MIN_TEMPO)])
def test_a_clock_is_steered_to_no_tempo_that_a_performer_cannot_set(asked: float, taken: float) -> None:
    tempo = TempoMap(RATE, 100.0)
    tempo.steer(256, asked, 0.0, 0.0)
    assert tempo.tempo_at(512) == taken


def test_a_graph_holds_its_most_wires_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chain("a", "b", "c")
    monkeypatch.setattr(graphs, "MAX_WIRES", len(whole.wires))
    check(whole, CATALOG)
    with pytest.raises(PatchError, match="at most"):
        check(replace(whole, wires=(*whole.wires, Wire(End("a", "out"), End("c", "in")))), CATALOG)
