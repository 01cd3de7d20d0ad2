"""A graph compiled and run: what flows where, how late, and what happens to a node that fails."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.clock import ThreadTime
from tests.engine.test_graph_player import step
from tests.local import CATALOG, RATE, TYPES, cell, graph, ids, make, plan

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.processor import BlockTime, Processor
from antiphon.kernel.errors import PatchError, PluginError
from antiphon.kernel.graph import overruns
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.node_host import FADE
from antiphon.testing import sound as audio

SPEC = StreamSpec(RATE, 256, 2)


def run(made, x, blocks=None, posts=(), resets=()):
    """x through a plan; posts: (sample, node number, cell, value, ramp) in order; resets: (sample, node number)."""
    time, at, turn, kept, waiting = BlockTime(), 0, 0, [], list(posts)
    again, blocks = list(resets), blocks or [made.spec.block]
    while at < x.shape[1]:
        size = min(blocks[turn % len(blocks)], x.shape[1] - at)
        while again and again[0][0] <= at:
            made.hosts[again.pop(0)[1]].reset()
        while waiting and waiting[0][0] < at + size:
            sample, node, place, value, ramp = waiting.pop(0)
            assert made.hosts[node].post(place, max(0, sample - at), value, ramp)
        time.sample = at
        made.input[:, :size] = x[:, at : at + size]
        kept.append(made.run(size, time).copy())
        at, turn = at + size, turn + 1
    return np.concatenate(kept, axis=1)


def late(x, frames):
    return np.pad(x, ((0, 0), (frames, 0)))[:, : x.shape[1]]


def test_nothing_wired_is_silence_and_a_wire_is_the_very_samples():
    x = audio.noise(1000, 2)
    assert not run(plan(graph({}, []), SPEC), x).any()
    np.testing.assert_array_equal(run(plan(graph({}, ["in > out"]), SPEC), x, [100, 1]), x)


def test_several_wires_into_one_port_are_summed():
    x = audio.noise(1000, 2)
    made = graph(
        {"a": ("gain", {"gain": 2.0}), "b": ("gain", {"gain": 0.5})}, ["in > a", "in > b", "a > out", "b > out"]
    )
    np.testing.assert_allclose(run(plan(made, SPEC), x), 2.5 * x, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_wires_between_ports_of_other_channels_follow_the_rule(channels):
    spec = StreamSpec(RATE, 64, channels)
    x = audio.noise(200, channels)
    made = graph({"t": "two"}, ["in > t", "t.out > out"])
    mono = x.mean(axis=0, keepdims=True, dtype=np.float32)
    np.testing.assert_allclose(run(plan(made, spec), x), np.repeat(mono, channels, axis=0), atol=1e-7)
    y = run(plan(graph({"t": "two"}, ["in > t", "t.minus > out"]), spec), x)
    both = min(channels, 3)
    if channels == 1:
        np.testing.assert_allclose(y, -mono, atol=1e-7)
    else:
        np.testing.assert_allclose(y[:both], -np.repeat(mono, both, axis=0), atol=1e-7)
        assert not y[3:].any()
    added = run(plan(graph({"t": "two"}, ["in > t", "t.minus > out", "in > out"]), spec), x)
    np.testing.assert_allclose(added, x + y, atol=1e-6)


def test_parallel_branches_of_other_latency_meet_in_time():
    nodes = {"a": ("lag", {"frames": 300}), "b": ("lag", {"frames": 17}), "c": ("lag", {"frames": 40}), "g": "gain"}
    made = plan(
        graph(nodes, ["in > a", "in > b", "b > c", "in > g", "a > out", "c > out", "g > out", "in > out"]), SPEC
    )
    x = audio.noise(3000, 2)
    assert made.latency == 300
    np.testing.assert_allclose(run(made, x, [256, 1, 77]), 4 * late(x, 300), atol=1e-6)


def test_branches_that_meet_in_a_node_are_compensated_there():
    nodes = {"a": ("lag", {"frames": 300}), "g": "gain", "after": ("lag", {"frames": 5})}
    made = plan(graph(nodes, ["in > a", "a > g", "in > g", "g > after", "after > out"]), SPEC)
    x = audio.noise(2000, 2)
    assert made.latency == 305
    np.testing.assert_allclose(run(made, x), 2 * late(x, 305), atol=1e-6)


def test_a_graph_may_not_lag_by_more_than_ten_seconds():
    nodes = {f"a{n}": ("lag", {"frames": 100000}) for n in range(5)}
    wires = ["in > a0", *(f"a{n} > a{n + 1}" for n in range(4)), "a4 > out"]
    with pytest.raises(PatchError, match=r"lag by 10\.4 s; at most 10 s"):
        plan(graph(nodes, wires), SPEC)


def test_a_cycle_comes_back_a_block_late_exactly_whatever_the_blocks():
    made = graph({"e": "echo"}, ["in > e", "e > e", "e > out"])
    x = audio.clicks([10], 2000, 2, 1.0)
    wanted = np.zeros(2000, np.float32)
    for turn in range(8):
        if 10 + 256 * turn < 2000:
            wanted[10 + 256 * turn] = 0.5 ** (turn + 1)
    for blocks in ([256], [1], [200, 3, 256]):
        np.testing.assert_array_equal(run(plan(made, SPEC), x, blocks), np.stack([wanted, wanted]))


def test_a_loop_behind_a_loop_is_fed_in_time_whatever_the_order_of_the_nodes():
    wires = ["in > a", "a > a", "a > b", "b > b", "b > out"]
    x = audio.noise(2000, 2)
    first = run(plan(graph({"a": "echo", "b": "echo"}, wires), SPEC), x)
    other = run(plan(graph({"b": "echo", "a": "echo"}, wires), SPEC), x)
    np.testing.assert_array_equal(first, other)


def test_a_cycle_without_a_node_that_holds_is_refused():
    with pytest.raises(PatchError, match="put a delay node into it"):
        plan(graph({"a": "gain", "b": "gain"}, ["a > b", "b > a", "b > out"]), SPEC)


def test_events_arrive_at_their_frame_from_all_senders_in_order():
    made = graph(
        {"a": "clicker", "b": "clicker", "n": "notes"}, ["in > a", "in > b", "a.notes > n", "b.notes > n", "n > out"]
    )
    fire = cell("clicker", "fire")
    posts = [(5, 2, fire, 1.0, 0.0), (9, 1, fire, 1.0, 0.0), (300, 1, fire, 1.0, 0.0), (301, 1, fire, 1.0, 0.0)]
    y = run(plan(made, SPEC), np.zeros((2, 600), np.float32), [256], posts)
    assert list(np.flatnonzero(y[0])) == [5, 9, 300, 301]


def test_a_step_splits_the_block_of_a_processor_that_asks_for_it():
    made = graph({"c": "count"}, ["c > out"])
    posts = [(100, 1, cell("count", "plus"), 2.0, 0.0), (101, 1, cell("count", "plus"), 1.0, 0.0)]
    y = run(plan(made, SPEC), np.zeros((2, 600), np.float32), [256], posts)
    wanted = np.arange(600) / 2**20
    wanted[100] += 0.25
    wanted[101:] += 0.125
    np.testing.assert_array_equal(y[0], wanted.astype(np.float32))


nodes_of = st.lists(
    st.sampled_from(
        ["gain", ("lag", {"frames": 13}), ("lag", {"frames": 700}), "echo", "clicker", "count", "two", "notes"]
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def graphs(draw):
    """Random graphs without a cycle but those through an echo: wires go to later nodes, or back to an echo."""
    kinds = draw(nodes_of)
    nodes = {f"n{place}": kind for place, kind in enumerate(kinds)}
    plain = [kind if isinstance(kind, str) else kind[0] for kind in kinds]
    wires = set()
    for place, kind in enumerate(plain):
        for source in draw(st.lists(st.integers(-1, len(kinds) - 1), max_size=3)):
            if source >= place and kind != "echo":
                continue
            name = "in" if source < 0 else f"n{source}"
            if kind == "notes":
                if source >= 0 and plain[source] == "clicker":
                    wires.add(f"{name}.notes > n{place}")
            elif kind != "count":
                wires.add(f"{name} > n{place}")
    for source in draw(st.lists(st.integers(-1, len(kinds) - 1), min_size=1, max_size=3)):
        wires.add(("in" if source < 0 else f"n{source}") + " > out")
    return graph(nodes, sorted(wires))


@settings(max_examples=40)
@given(graphs(), st.lists(st.integers(1, 256), min_size=1, max_size=6), st.data())
def test_any_split_of_blocks_gives_the_same_samples(made, blocks, data):
    x = audio.noise(1500, 2)
    choices = [(n, place) for n, node in enumerate(made.nodes, 1) for place in range(len(CATALOG[node.type].cells))
               if CATALOG[node.type].cells[place].name != "frames"]  # fmt: skip
    posts = sorted(
        data.draw(
            st.lists(
                st.tuples(st.integers(0, 1499), st.sampled_from(choices), st.sampled_from([0.0, 1.0, 0.5]),
                          st.sampled_from([0.0, 0.001, 0.02])),
                max_size=6,
            )
        )
    )  # fmt: skip
    flat = []
    for n, (node, place), value, ramp in posts:
        kind = CATALOG[made.nodes[node - 1].type].cells[place].kind
        flat.append((n, node, place, value if kind == "float" else round(value), ramp))
    whole, split = plan(made, SPEC), plan(made, SPEC)
    np.testing.assert_array_equal(run(whole, x, [256], flat), run(split, x, blocks, flat))
    assert not whole.failures


@pytest.mark.parametrize("latency", [0, 100, 1000])
@pytest.mark.parametrize(("name", "there"), [("bypass", 1.0), ("wet", 0.0), ("mute", 1.0)])
def test_bypass_wet_and_mute_do_not_click_and_keep_the_latency(latency, name, there):
    made = graph({"a": ("lag", {"frames": latency}), "g": ("gain", {"gain": 0.2})}, ["in > a", "a > g", "g > out"])
    x = audio.sine(300, 0.25, channels=2, level=-6)
    quiet = step(x)
    for node, kind in ((1, "lag"), (2, "gain")):
        built = plan(made, SPEC)
        place = cell(kind, name)
        y = run(built, x, [256], [(3000, node, place, there, 0.0), (7000, node, place, 1.0 - there, 0.0)])
        assert built.latency == latency
        ends = slice(9000, None)
        np.testing.assert_allclose(y[:, ends], 0.2 * late(x, latency)[:, ends], atol=1e-6)
        middle = slice(4500, 7000)
        if name == "mute":
            assert not y[:, middle].any()
        else:
            factor = 0.2 if node == 1 else 1.0
            np.testing.assert_allclose(y[:, middle], factor * late(x, latency)[:, middle], atol=1e-6)
        # 5 ms lines: no step beyond that of the sine and that of the line itself
        assert step(y) < quiet + 0.51 / (0.005 * RATE)


def test_wet_mixes_with_a_dry_sound_of_the_same_time():
    built = plan(graph({"a": ("lag", {"frames": 333, "wet": 0.25})}, ["in > a", "a > out"]), SPEC)
    x = audio.noise(2000, 2)
    np.testing.assert_allclose(run(built, x, [256, 5]), late(x, 333), atol=1e-6)


def test_bypass_of_a_source_and_of_a_second_output_is_silence():
    for node, wires in (("count", ["n > out"]), ("two", ["in > n", "n.minus > out"])):
        built = plan(graph({"n": (node, {"bypass": True})}, wires), SPEC)
        assert not run(built, audio.noise(500, 2)).any()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "raised ValueError: as I was told"),
        ("nan", "gave NaN or infinity"),
        ("shape", "gave a wrong shape: [3, 5] instead of [2, 256]"),
        ("return", "process returned something; it must fill io.audio_out and return nothing"),
        ("none", "changed its outputs: 0 instead of 1"),
    ],
)
def test_a_failing_node_is_heard_dry_is_named_and_comes_back_by_reset(how, reason):
    made = graph({"a": ("lag", {"frames": 50}), "w": ("wrong", {"how": how})}, ["in > a", "a > w", "w > out"])
    built = plan(made, SPEC)
    x = audio.sine(300, 0.5, channels=2, level=-6)
    go = cell("wrong", "go")
    y = run(built, x, [256], [(5000, 2, go, 1.0, 0.0), (9000, 2, go, 0.0, 0.0)], [(12 * 1024, 2)])
    assert [(f.number, f.name, f.reason.partition(" (local.py")[0]) for f in built.failures] == [(2, "w", reason)]
    dry = late(x, 50)
    np.testing.assert_array_equal(y[:, :4864], 0.5 * dry[:, :4864])
    fade = round(FADE * RATE)
    np.testing.assert_allclose(y[:, 5120 + fade : 12 * 1024], dry[:, 5120 + fade : 12 * 1024], atol=1e-6)
    np.testing.assert_allclose(y[:, 12 * 1024 + fade :], 0.5 * dry[:, 12 * 1024 + fade :], atol=1e-6)
    assert np.isfinite(y).all()
    assert step(y) < step(x) + 1.0 / fade
    assert built.hosts[2].failed == ""


def test_a_node_that_fails_again_at_once_stays_dry():
    built = plan(graph({"w": ("wrong", {"go": True})}, ["in > w", "w > out"]), SPEC)
    x = audio.noise(4096, 2)
    y = run(built, x, [256], (), [(1024, 1)])
    assert len(built.failures) == 2
    assert built.hosts[1].failed
    np.testing.assert_allclose(y[:, 3000:], x[:, 3000:], atol=1e-6)


def test_a_reset_amid_the_fade_after_a_failure_does_not_click():
    built = plan(graph({"w": "wrong"}, ["in > w", "w > out"]), SPEC)
    x = audio.sine(200, 0.2, channels=2, level=-6)
    go = cell("wrong", "go")
    y = run(built, x, [64], [(2000, 1, go, 1.0, 0.0), (2060, 1, go, 0.0, 0.0)], [(2112, 1), (2176, 1)])
    assert len(built.failures) == 1
    np.testing.assert_allclose(y[:, 4000:], 0.5 * x[:, 4000:], atol=1e-6)
    assert step(y) < step(x) + 1.0 / (FADE * RATE)


def test_the_other_nodes_go_on_when_one_fails():
    made = graph({"w": ("wrong", {"go": True}), "g": ("gain", {"gain": 2.0})}, ["in > g", "in > w", "g > out"])
    x = audio.noise(1000, 2)
    np.testing.assert_array_equal(run(plan(made, SPEC), x), 2 * x)


def slow_plan(monkeypatch, clock):
    """A plan of one node that calls `clock` in each block."""
    monkeypatch.setattr(TYPES["wrong"], "clock", staticmethod(clock))
    built = plan(graph({"w": ("wrong", {"how": "slow", "go": True})}, ["in > w", "w > out"]), SPEC)
    built.watched = True
    return built


@pytest.mark.parametrize("spent", [{"ran": 20_000_000}, {}], ids=["computes", "sleeps"])
def test_overrunning_for_a_second_is_a_failure_and_less_is_not(monkeypatch, spent):
    thread = ThreadTime(monkeypatch)
    thread.passes(10_000_000_000)
    built = slow_plan(monkeypatch, lambda: thread.passes(20_000_000, **spent))
    built.watched = False
    x = np.zeros((2, 256 * 50), np.float32)
    run(built, x)
    run(built, x)
    assert not built.failures  # a file takes its time
    built.watched = True
    run(built, x)
    assert not built.failures
    run(built, x[:, :256])
    assert [f.reason for f in built.failures] == ["overran: 20.0 ms for a block of 5.3 ms; it is tried again in 2 s"]
    assert built.failures[0].retry == 2.0


@pytest.mark.parametrize(
    "passes",
    [
        pytest.param(lambda turn: (0, 0) if turn % 5 else (20_000_000, 20_000_000), id="made up for"),
        pytest.param(lambda turn: (30_000_000, 1_000_000, 29_000_000), id="no processor"),
        pytest.param(lambda turn: (1_500_000_000 if turn in (3, 4) else 1_000_000, 1_000_000), id="stopped"),
    ],
)
def test_what_overruns_by_no_fault_of_its_own_is_no_failure(monkeypatch, passes):
    thread, turns = ThreadTime(monkeypatch), count(1)
    built = slow_plan(monkeypatch, lambda: thread.passes(*passes(next(turns))))
    run(built, np.zeros((2, 256 * 500), np.float32))
    assert not built.failures


def test_a_worker_that_is_late_is_not_the_nodes_fault(monkeypatch):
    """With many blocks ahead the engine sleeps for many a block's time until a late answer comes."""
    thread, slept = ThreadTime(monkeypatch), [0]
    monkeypatch.setattr(overruns._thread, "answers", lambda: slept[0])

    def asks():
        thread.passes(100_000_000, 1_000_000)
        slept[0] += 99_000_000

    built = slow_plan(monkeypatch, asks)
    run(built, np.zeros((2, 256 * 500), np.float32))
    assert not built.failures


def test_a_processor_that_will_not_prepare_is_named():
    class Bad(Processor):
        def prepare(self, spec):
            raise RuntimeError("no")

        def process(self, io):
            pass

    class Negative(Bad):
        def prepare(self, spec):
            self.latency = -1

    made = graph({"g": "gain"}, ["in > g", "g > out"])
    with pytest.raises(PluginError, match=r"g \(gain\) would not prepare: RuntimeError: no"):
        compile_plan(made, CATALOG, lambda name: Bad(), SPEC, ids(made))
    with pytest.raises(PluginError, match=r"g \(gain\) would not prepare: its latency is -1; a whole number"):
        compile_plan(made, CATALOG, lambda name: Negative(), SPEC, ids(made))


def test_a_processor_of_another_rate_and_block_is_a_node_like_any():
    class Slow(TYPES["gain"]):
        rate, block, channels = 16000, 160, 1

    def making(name):
        return Slow() if name == "gain" else make(name)

    made = graph({"g": ("gain", {"wet": 0.5}), "l": ("lag", {"frames": 7})}, ["in > g", "in > l", "g > out", "l > out"])
    built = compile_plan(made, CATALOG, making, SPEC, ids(made))
    x = audio.sine(440, 0.3, channels=2, level=-12)
    y = run(built, x, [256, 31])
    assert built.latency == built.hosts[1].latency > 160 * 3
    settled = slice(2000, None)
    error = y[:, settled] - 2 * late(x, built.latency)[:, settled]
    assert audio.level(error) < audio.level(x) - 60


def test_kept_nodes_go_on_where_they_were_and_new_ones_begin():
    first = graph({"c": "count"}, ["c > out"])
    old = plan(first, SPEC)
    run(old, np.zeros((2, 512), np.float32))
    second = graph({"c": "count", "g": ("gain", {"gain": 2.0})}, ["c > g", "g > out"])
    new = plan(second, SPEC, old)
    assert new.hosts[1] is old.hosts[1]
    y = run(new, np.zeros((2, 10), np.float32))
    assert y[0, 0] == 2 * 512 / 2**20
    third = plan(second, SPEC, new, {"c": 9, "g": 2})
    assert third.hosts[2] is new.hosts[2]
    assert run(third, np.zeros((2, 10), np.float32))[0, 0] == 0.0


def test_clear_leaves_no_tail():
    nodes = {"a": ("lag", {"frames": 500}), "e": "echo"}
    built = plan(graph(nodes, ["in > a", "a > out", "in > out", "in > e", "e > e", "e > out"]), SPEC)
    run(built, audio.noise(2048, 2))
    built.clear()
    assert not run(built, np.zeros((2, 2048), np.float32)).any()


def test_a_reset_does_not_click_and_the_dry_sound_goes_on():
    built = plan(graph({"a": ("lag", {"frames": 100, "wet": 0.5})}, ["in > a", "a > out"]), SPEC)
    x = np.ones((2, 4096), np.float32)
    y = run(built, x, [256], (), [(2048, 1)])
    # the sound before it falls and the dry one rises; 100 frames on, behind its own latency, the processor's does
    assert step(y[:, 200:]) < 2.0 / (FADE * RATE)
    assert (y[:, 200:] >= 0.5).all()
    assert y[0, -1] == 1.0


def test_a_reset_that_raises_fails_the_node_by_name():
    class Stuck(TYPES["gain"]):
        def reset(self):
            raise RuntimeError("cannot")

    made = graph({"g": ("gain", {"gain": 0.5})}, ["in > g", "g > out"])
    built = compile_plan(made, CATALOG, lambda name: Stuck(), SPEC, ids(made))
    x = audio.noise(4096, 2)
    y = run(built, x, [256], (), [(1024, 1), (2048, 1)])
    assert [f.reason for f in built.failures] == ["reset raised RuntimeError: cannot"]
    np.testing.assert_allclose(y[:, 2048:], x[:, 2048:], atol=1e-6)
