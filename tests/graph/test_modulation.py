"""Control wires: a signal that ends in a parameter moves it, frame by frame, within its range."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.graph.test_plan import SPEC, run, step
from tests.local import CATALOG, RATE, cell, graph, plan

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.modulation import FADE
from antiphon.kernel.graph.patch import dump, parse
from antiphon.kernel.graph.wire_signals import NoteWire
from antiphon.testing import sound as audio

ONES = np.ones((2, 6000), np.float32)
WIRES = ["in > g", "saw > g.gain", "g > out"]


def moved(slope=1e-4, gain=1.0, extra=None):
    nodes = {"saw": ("saw", {"slope": slope}), "g": ("gain", {"gain": gain})}
    return graph({**nodes, **(extra or {})}, WIRES)


def test_a_control_is_added_in_parts_of_the_range_and_held_within_it():
    y = run(plan(moved(1e-4, 2.0), SPEC), ONES)
    np.testing.assert_allclose(y[0], np.minimum(2.0 + 4.0 * 1e-4 * np.arange(6000), 4.0), atol=2e-6)
    y = run(plan(moved(-1e-4), SPEC), ONES)
    np.testing.assert_allclose(y[0], np.maximum(1.0 - 4.0 * 1e-4 * np.arange(6000), 0.0), atol=2e-6)


def test_a_log_parameter_is_moved_by_equal_ratios():
    made = graph({"saw": "saw", "l": "log"}, ["saw > l.cutoff", "l > out"])
    y = run(plan(made, SPEC), ONES)
    np.testing.assert_allclose(y[0], np.minimum(0.1 * 100.0 ** (1e-4 * np.arange(6000)), 1.0), rtol=1e-5)


def test_several_controls_on_one_parameter_add_up():
    nodes = {"a": ("saw", {"slope": 1e-4}), "b": ("saw", {"slope": -4e-5}), "g": "gain"}
    y = run(plan(graph(nodes, ["in > g", "a > g.gain", "b > g.gain", "g > out"]), SPEC), ONES)
    np.testing.assert_allclose(y[0], 1.0 + 4.0 * 6e-5 * np.arange(6000), atol=2e-6)


def test_the_knob_still_turns_under_a_control():
    made = plan(moved(1e-5), SPEC)
    y = run(made, ONES, posts=[(3000, 2, cell("gain", "gain"), 2.0, 0.0)])
    expected = 1.0 + 4.0 * 1e-5 * np.arange(6000)
    expected[3000 + 192 :] += 1.0
    np.testing.assert_allclose(y[0][:3000], expected[:3000], atol=2e-6)
    np.testing.assert_allclose(y[0][3192:], expected[3192:], atol=2e-6)
    assert step(y) < 0.01


@settings(max_examples=25)
@given(st.lists(st.integers(1, 256), min_size=1, max_size=6))
def test_any_split_of_the_blocks_gives_the_same_samples(blocks):
    extra = {"l": ("level", {})}
    made = graph({"saw": "saw", "g": "gain", **extra}, [*WIRES, "in > l", "l > g.gain"])
    x = audio.noise(3000, 2) * 0.2
    np.testing.assert_array_equal(run(plan(made, SPEC), x), run(plan(made, SPEC), x, blocks))


def test_a_control_that_is_late_has_the_sound_wait_for_it():
    x = np.zeros((2, 1000), np.float32)
    x[:, 100] = 0.25
    nodes = {"l": "level", "g": ("gain", {"gain": 2.0})}
    made = plan(graph(nodes, ["in > l", "in > g", "l > g.gain", "g > out"]), SPEC)
    assert made.latency == 40
    y = run(made, x)
    assert y[0, 140] == pytest.approx(0.25 * 3.0)


def test_a_wire_that_comes_and_goes_takes_hold_and_lets_go_without_a_click():
    still = graph({"saw": ("saw", {"slope": 5e-5}), "g": "gain"}, ["in > g", "g > out"])
    up = moved(5e-5)
    ids = {"saw": 1, "g": 2}
    first = plan(still, SPEC, None, ids)
    a = run(first, ONES)
    second = plan(up, SPEC, first, ids)
    assert second.hosts[2] is first.hosts[2]
    b = run(second, ONES)
    third = plan(still, SPEC, second, ids)
    c = run(third, ONES)
    both = np.concatenate([a, b, c], axis=1)
    assert step(both) < 1.2 * 4.0 / (FADE * RATE)
    np.testing.assert_array_equal(c[0, round(FADE * RATE) + 512 :], 1.0)
    assert b[0, -1] > 1.5


def test_a_control_on_wet_mixes():
    made = graph({"saw": "saw", "g": ("gain", {"gain": 3.0, "wet": 0.0})}, ["in > g", "saw > g.wet", "g > out"])
    y = run(plan(made, SPEC), ONES)
    np.testing.assert_allclose(y[0], 1.0 + 2.0 * np.minimum(1e-4 * np.arange(6000), 1.0), atol=1e-5)


def test_a_bypassed_or_failed_control_moves_nothing():
    made = plan(moved(1e-4), SPEC)
    y = run(made, ONES, posts=[(0, 1, 0, 1.0, 0.0)])
    np.testing.assert_allclose(y[0, 2000:], 1.0, atol=1e-6)


def test_what_cannot_be_moved_is_refused_with_what_can():
    def answer(wire):
        return accepted.refusal(lambda: plan(graph({"saw": "saw", "g": "gain"}, [wire]), SPEC))

    accepted.compare(__file__, answer)


def test_a_patch_says_it_in_its_wires_and_keeps_it():
    text = """format = 1
[nodes.saw]
[nodes.g]
type = "gain"
[wires]
"in" = "g"
"saw" = "g.gain"
"g" = "out"
"""
    made = parse(text, CATALOG)
    again = parse(dump(made), CATALOG)
    assert again.graph == made.graph
    assert Graph.from_json(made.graph.to_json()) == made.graph
    y = run(plan(made.graph, StreamSpec(RATE, 64, 1)), ONES[:1])
    assert y[0, 1000] == pytest.approx(1.4, abs=1e-5)
    with pytest.raises(PatchError, match=r'line 9, wires\.saw: .*"mode"|cannot|no input'):
        parse(text.replace("g.gain", "g.nothing"), CATALOG)


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
