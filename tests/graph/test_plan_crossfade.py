"""Two plans while one fades into the other: nothing clicks where wires change, before and behind kept nodes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.engine.test_graph_player import step
from tests.graph.test_plan import SPEC, graphs, late
from tests.local import RATE, graph, plan, play, put, staged

from antiphon.kernel.graph.plan_crossfade import HURRY, DeclickCrossfade
from antiphon.kernel.session.actions import EndTails, NodeSet
from antiphon.testing import sound as audio

FADE = 0.02
IDS = {"a": 1, "b": 2, "c": 3, "d": 4, "n": 5, "m": 6}


def swapped(first, second, x, at=2048, fade=FADE, blocks=None, ids=IDS):
    """x through the first plan and from `at` on through the second."""
    stage = staged_with(first, ids)
    before = play(stage, x[:, :at], blocks)
    stage.load(plan(second, SPEC, stage.plan, ids), 2, fade)
    return np.concatenate([before, play(stage, x[:, at:], blocks)], axis=1), stage


def staged_with(made, ids):
    stage = staged(graph({}, []))
    stage.load(plan(made, SPEC, stage.plan, ids), 1, 0.0)
    return stage


SINE = audio.sine(150, 0.5, channels=2, level=-6)
FLAT = step(SINE) + 1.0 / (FADE * RATE)


@pytest.mark.parametrize("latency", [0, 100, 3000])
def test_a_node_put_in_before_a_kept_one_is_faded_into_it(latency):
    behind = {"c": ("lag", {"frames": 10})}
    first = graph(behind, ["in > c", "c > out"])
    second = graph(
        {"b": ("lag", {"frames": latency}), "d": ("gain", {"gain": 0.25}), **behind},
        ["in > b", "b > d", "d > c", "c > out"],
    )
    y, stage = swapped(first, second, SINE)
    assert step(y) < FLAT
    end = 2048 + latency + round(FADE * RATE) + 20
    np.testing.assert_allclose(y[:, end:], 0.25 * late(SINE, latency + 10)[:, end:], atol=1e-6)
    np.testing.assert_allclose(y[:, 10 : 2048 + latency], late(SINE, 10)[:, 10 : 2048 + latency], atol=1e-6)
    assert not stage.fading


def test_a_node_taken_out_before_a_kept_one_fades_out_of_it():
    first = graph({"a": ("gain", {"gain": 0.25}), "c": "gain"}, ["in > a", "a > c", "c > out"])
    second = graph({"c": "gain"}, ["in > c", "c > out"])
    y, _ = swapped(first, second, SINE)
    assert step(y) < FLAT
    np.testing.assert_allclose(y[:, 3100:], SINE[:, 3100:], atol=1e-6)


@pytest.mark.parametrize("latency", [0, 700, 5000])
def test_what_is_new_at_the_end_is_heard_once_it_has_caught_up(latency):
    first = graph({}, ["in > out"])
    second = graph({"b": ("lag", {"frames": latency})}, ["in > b", "b > out"])
    y, _ = swapped(first, second, SINE)
    assert step(y) < FLAT
    np.testing.assert_allclose(y[:, : 2048 + latency], SINE[:, : 2048 + latency], atol=1e-6)


@pytest.mark.parametrize("latency", [0, 300])
def test_the_first_echo_of_sound_that_already_plays_does_not_click(latency):
    first = graph({}, ["in > out"])
    second = graph(
        {"a": ("lag", {"frames": latency}), "b": ("repeat", {"frames": 3000}), "c": "gain"},
        ["in > a", "a > b", "b > c", "a > out", "c > out"],
    )
    x = 0.4 * SINE
    y, _ = swapped(first, second, x)
    assert step(y) < FLAT
    np.testing.assert_allclose(y[:, 8000:], late(x, latency)[:, 8000:] + late(x, latency + 3000)[:, 8000:], atol=1e-6)


def test_a_branch_whose_compensation_grows_does_not_click():
    first = graph({"a": "gain", "c": "gain"}, ["in > a", "a > c", "c > out"])
    second = graph(
        {"a": "gain", "b": ("lag", {"frames": 900}), "c": "gain"}, ["in > a", "in > b", "a > c", "b > c", "c > out"]
    )
    x = 0.4 * SINE
    y, _ = swapped(first, second, x)
    assert step(y) < FLAT
    np.testing.assert_allclose(y[:, 5000:], 2 * late(x, 900)[:, 5000:], atol=1e-6)


def test_a_kept_node_goes_on_and_runs_once():
    first = graph({"c": "count", "d": "gain"}, ["c > d", "d > out"])
    second = graph({"c": "count", "b": "gain", "d": "gain"}, ["c > b", "b > d", "d > out"])
    y, _ = swapped(first, second, np.zeros((2, 8192), np.float32))
    np.testing.assert_allclose(y[0], np.arange(8192) / 2**20, atol=1e-6)


@settings(max_examples=25)
@given(graphs(), graphs(), st.lists(st.integers(1, 256), min_size=1, max_size=5))
def test_any_plan_into_any_other_whatever_the_blocks(first, second, blocks):
    """Kept where names and kinds agree, and the end is the second plan alone, as it would be had the first not been."""
    x = audio.noise(3000, 2) * 0.1
    ids = {f"n{n}": n + 1 for n in range(6)}
    kinds = {node.name: node.type for node in first.nodes}
    taken = {n.name: ids[n.name] + (0 if kinds.get(n.name) == n.type else 100) for n in second.nodes}

    def both(sizes):
        stage = staged_with(first, ids)
        before = play(stage, x[:, :1024], sizes if 1024 % sum(sizes) == 0 else None)
        stage.load(plan(second, SPEC, stage.plan, taken), 2, 0.01)
        after = play(stage, x[:, 1024:], sizes)
        assert np.isfinite(after).all()
        return before, after, stage

    _, whole, stage = both([256])
    _, split, other = both(blocks)
    old = plan(first, SPEC, None, ids)
    new = plan(second, SPEC, old, taken)
    if not any(isinstance(c, DeclickCrossfade) for found in new.crossing._crosses.values() for c in found):
        np.testing.assert_array_equal(whole, split)
    assert abs(blocks_of_fading(stage) - blocks_of_fading(other)) <= 1, "the fade's end is looked at once a block"


def blocks_of_fading(stage):
    """How many blocks of 256 frames a fade still takes."""
    silence = np.zeros((2, 256), np.float32)
    for n in range(64):
        if not stage.fading:
            return n
        play(stage, silence)
    raise AssertionError("the fade does not end")


NOTES = {"n": "clicker", "c": "noteclick"}
NOTED = graph(NOTES, ["in > n", "n.notes > c", "c > out"])


@pytest.fixture
def noted():
    """A stage on which a note sounds."""
    stage = staged_with(NOTED, IDS)
    stage.at_sample(100, NodeSet(5, 3, 1.0))
    play(stage, np.zeros((2, 512), np.float32))
    return stage


def sounding(stage, number):
    return [(e.kind, e.number) for e in stage.plan.hosts[number].endings]


@pytest.mark.parametrize("second", [
    graph({"c": "noteclick"}, ["c > out"]),
    graph({"n": "clicker", "c": "noteclick"}, ["in > n", "c > out"]),
])  # fmt: skip
def test_a_note_whose_sender_goes_ends(noted, second):
    noted.load(plan(second, SPEC, noted.plan, IDS), 2, FADE)
    assert sounding(noted, 3) == [("off", 60)]


def test_a_note_whose_sender_stays_sounds_on(noted):
    second = graph({**NOTES, "d": "gain"}, ["in > n", "n.notes > c", "c > d", "d > out"])
    noted.load(plan(second, SPEC, noted.plan, IDS), 2, FADE)
    assert sounding(noted, 3) == []
    play(noted, np.zeros((2, 4096), np.float32))
    noted.load(plan(graph({"c": "noteclick"}, ["c > out"]), SPEC, noted.plan, IDS), 3, FADE)
    assert sounding(noted, 3) == [("off", 60)]


def test_a_note_whose_sender_is_made_anew_ends(noted):
    """Another setting that takes a restart, say: the new sender knows nothing of the note."""
    anew = plan(NOTED, SPEC, None, IDS)
    anew.hosts = {**anew.hosts, 3: noted.plan.hosts[3]}
    for step_ in anew.steps:
        if step_.host.number == 3:
            step_.host = noted.plan.hosts[3]
    noted.load(anew, 2, FADE)
    assert sounding(noted, 3) == [("off", 60)]


def test_what_ends_comes_before_what_begins_with_the_block(noted):
    second = graph({"m": "clicker", "c": "noteclick"}, ["in > m", "m.notes > c", "c > out"])
    noted.load(plan(second, SPEC, noted.plan, IDS), 2, FADE)
    noted.at_sample(512, NodeSet(6, 3, 1.0))
    play(noted, np.zeros((2, 256), np.float32))
    heard = next(s for s in noted.plan.steps if s.host.number == 3).io.events_in
    assert [(e.kind, e.number) for e in heard] == [("off", 60), ("on", 60)]


QUIET = np.full((2, 12000), 0.2, np.float32)


def test_one_control_in_the_place_of_another_does_not_jump():
    nodes = {"a": "level", "b": ("saw", {"slope": 0.0}), "c": ("gain", {"gain": 2.0})}
    first = graph(nodes, ["in > a", "in > c", "a > c.gain", "c > out"])
    second = graph(nodes, ["in > a", "in > c", "b > c.gain", "c > out"])
    y, _ = swapped(first, second, QUIET)
    assert y[0, 2000] == pytest.approx(0.2 * 2.8, abs=1e-5)
    assert y[0, -1] == pytest.approx(0.2 * 2.0, abs=1e-5)
    assert step(y[:, 60:]) < 0.002


def test_latency_put_in_before_what_a_control_moves_does_not_jump():
    nodes = {"a": "level", "c": ("gain", {"gain": 2.0})}
    first = graph(nodes, ["in > a", "in > c", "a > c.gain", "c > out"])
    second = graph({**nodes, "b": ("lag", {"frames": 1000})}, ["in > a", "in > b", "b > c", "a > c.gain", "c > out"])
    y, _ = swapped(first, second, QUIET)
    assert step(y[:, 60:]) < 0.002
    assert y[0, -1] == pytest.approx(0.2 * 2.8, abs=1e-5)


def test_in_a_circle_what_is_late_is_waited_for():
    kept = {"a": "gain", "b": "gain"}
    first = graph(kept, ["in > a", "a > b", "b > out"])
    second = graph({**kept, "n": ("lag", {"frames": 3000})}, ["in > n", "n > b", "b > a", "a > out"])
    y, _ = swapped(first, second, SINE)
    assert step(y) < FLAT + step(SINE)
    np.testing.assert_allclose(y[:, 9000:], late(SINE, 3000)[:, 9000:], atol=1e-6)


def test_marks_of_what_fades_out_reach_the_log():
    first = graph({"a": "gain"}, ["in > a", "a > out"])
    stage = staged_with(first, IDS)
    play(stage, SINE[:, :512])
    stage.load(plan(graph({"b": "gain"}, ["in > b", "b > out"]), SPEC, stage.plan, IDS), 2, FADE)
    leaving = stage.leaving[1]
    leaving.forced = "as it was told"
    stage.reports.clear()
    play(stage, SINE[:, :256])
    assert [(r.kind, r.node, r.cell) for r in stage.reports if r.kind == "failed"] == [("failed", 1, 1)]


def test_what_fades_out_still_hears_a_kept_sender():
    first = graph({"n": "clicker", "m": "notes"}, ["in > n", "n.notes > m", "m > out"])
    second = graph({"n": "clicker"}, ["in > n", "n > out"])
    stage = staged_with(first, IDS)
    play(stage, np.zeros((2, 512), np.float32))
    stage.load(plan(second, SPEC, stage.plan, IDS), 2, 0.1)
    stage.at_sample(600, put(second, "n", "fire", 1.0))
    stage.at_sample(600, NodeSet(5, 3, 1.0))
    y = play(stage, np.zeros((2, 1024), np.float32))
    share = (600 - 512 + 1) / 4800
    assert y[0, 88] == pytest.approx(0.5 * (1 - share) + 0.25 * share, abs=1e-4)


def test_a_plan_made_without_the_one_it_follows_is_crossed_to_all_the_same():
    stage = staged(graph({"a": ("gain", {"gain": 0.25})}, ["in > a", "a > out"]))
    play(stage, SINE[:, :2048])
    stage.load(plan(graph({"b": "gain"}, ["in > b", "b > out"]), SPEC, None, {"b": 9}), 2, FADE)
    y = play(stage, SINE[:, 2048:])
    assert step(y) < FLAT


TAIL = 0.1
BEFORE = graph({"a": ("repeat", {"frames": 3000}), "c": "gain"}, ["in > a", "a > c", "c > out"])
AFTER = graph({"b": "gain", "c": "gain"}, ["in > b", "b > c", "c > out"])


def rung(x, hurried=0, at=2048, tail=TAIL, first=BEFORE, second=AFTER):
    """x through a patch and from `at` on through another; `hurried`: when its tail has to end."""
    stage = staged_with(first, IDS)
    before = play(stage, x[:, :at])
    stage.load(plan(second, SPEC, stage.plan, IDS), 2, FADE, tail=tail)
    if hurried:
        stage.at_sample(hurried, EndTails())
    return np.concatenate([before, play(stage, x[:, at:])], axis=1), stage


def test_what_left_rings_out_and_falls_as_a_cube():
    x = SINE.copy()
    x[:, 2048:] = 0.0
    y, stage = rung(x)
    echo = late(x, 3000)
    left = np.maximum(0.0, 1.0 - (np.arange(x.shape[1]) - 2047) / (TAIL * RATE))
    np.testing.assert_allclose(y[:, 2048:], (echo * left**3)[:, 2048:], atol=1e-5)
    assert np.abs(y[:, 3100:4900]).max() > 0.1
    assert not stage.fading


@pytest.mark.parametrize("first", [{"a": "gain"}, {"a": "gain", "d": "gain"}])
def test_what_comes_into_it_from_outside_fades_as_before(first):
    """Twice the input would sound, where both patches play it."""
    names = list(first)
    wires = ["in > a", *(f"{a} > {b}" for a, b in itertools.pairwise(names)), f"{names[-1]} > c", "c > out"]
    y, _ = rung(SINE, first=graph({**first, "c": "gain"}, wires))
    assert step(y) < FLAT
    np.testing.assert_allclose(y[:, :2048], SINE[:, :2048], atol=1e-6)
    assert (np.abs(y) <= np.abs(SINE) + 1e-5).all()
    np.testing.assert_allclose(y[:, 3100:], SINE[:, 3100:], atol=1e-5)


def test_what_left_falls_at_its_end_without_a_new_patch_between():
    """A removed node that is the end itself, and a strip of the recording with it."""
    x = SINE.copy()
    x[:, 2048:] = 0.0
    ends = graph({"a": ("repeat", {"frames": 3000})}, ["in > a", "a > out"])
    stage = staged_with(ends, IDS)
    stage.strips.keep(True)
    play(stage, x[:, :2048])
    stage.load(plan(graph({"b": "gain"}, ["in > b", "b > out"]), SPEC, stage.plan, IDS), 2, FADE, tail=TAIL)
    for at in range(2048, 6144, 256):
        y = play(stage, x[:, at : at + 256])
        strips = sum(sound[:, :256] for _, sound in stage.strips.now.values())
        np.testing.assert_allclose(strips, y, atol=1e-5)


def test_a_tail_ends_within_thirty_milliseconds_where_the_next_plan_is_ready():
    x = SINE.copy()
    x[:, 2048:] = 0.0
    whole, _ = rung(x)
    y, stage = rung(x, hurried=4096)
    np.testing.assert_array_equal(y[:, :4096], whole[:, :4096])
    assert np.abs(y[:, 4096 + round(HURRY * RATE) :]).max() == 0.0
    assert step(y) < FLAT
    assert not stage.fading


def test_what_left_gets_no_events_after_the_fade():
    first = graph({"n": "clicker", "m": "notes"}, ["in > n", "n.notes > m", "m > out"])
    second = graph({"n": "clicker"}, ["in > n"])
    stage = staged_with(first, IDS)
    play(stage, np.zeros((2, 512), np.float32))
    stage.load(plan(second, SPEC, stage.plan, IDS), 2, FADE, tail=TAIL)
    stage.at_sample(3000, NodeSet(5, 3, 1.0))
    assert np.abs(play(stage, np.zeros((2, 4096), np.float32))).max() == 0.0
    assert stage.fading


def test_nothing_rings_where_nothing_left():
    _, stage = rung(SINE[:, :3400], first=graph({"c": "gain"}, ["in > c", "c > out"]))
    assert not stage.fading
