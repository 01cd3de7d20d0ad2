"""Strips: their sum is the mix before the master's level and limiter, whatever fades in, out or across."""

import numpy as np
import pytest
from tests.local import graph, ids, plan, play, put, staged

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.session.commands import Panic

SPEC = StreamSpec(48000, 64, 2)
BEFORE = graph(
    {"a": "gain", "b": "lag", "two": "two"}, ["in > a", "in > b", "in > two", "a > out", "b > out", "two > out"]
)
AFTER = graph(
    {"a": "gain", "two": "two", "c": ("lag", {"frames": 333})},
    ["in > a", "in > two", "in > c", "a > c", "two > out", "two.minus > out", "c > out"],
)


def added(stage: GraphPlayer) -> Samples:
    """The sum of the last block's strips in the output's channels: mono to both, surplus ones dropped."""
    total = np.zeros(stage.out.shape)
    for _, sound in stage.strips.now.values():
        total += sound if len(sound) == 1 else sound[:2]
    return total


def sums(stage: GraphPlayer, x: Samples) -> tuple[Samples, Samples]:
    """The output, and the sum of the strips, over all of x."""
    found = [(stage.run(x[:, at : at + 64]).copy(), added(stage)) for at in range(0, x.shape[1], 64)]
    out, mixed = zip(*found, strict=True)
    return np.concatenate(out, axis=1), np.concatenate(mixed, axis=1)


def noise(blocks: int) -> Samples:
    return (np.random.default_rng(1).standard_normal((2, 64 * blocks)) * 0.05).astype(np.float32)


def error_db(out: Samples, mixed: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean((out - mixed) ** 2)) / np.sqrt(np.mean(out**2)) + 1e-12))


@pytest.mark.parametrize("fade", [0.0, 0.02])
def test_the_sum_of_the_strips_is_the_mix(fade: float) -> None:
    stage = staged(BEFORE, SPEC)
    stage.strips.keep(True)
    stage.rise()
    numbers = {**ids(BEFORE), "c": 9}
    out, mixed = sums(stage, noise(20))
    assert set(stage.strips.now) == {"a", "b", "two"}
    stage.load(plan(AFTER, SPEC, stage.plan, numbers), 2, fade)
    changed = sums(stage, noise(60))
    assert set(stage.strips.now) == {"two", "two.minus", "c"}
    stage.take(Panic())
    cut = sums(stage, noise(20))
    stage.skip(640)
    again = sums(stage, noise(20))
    for what, (heard, summed) in {"begin": (out, mixed), "change": changed, "panic": cut, "gap": again}.items():
        assert np.abs(heard).max() > 0.05, what
        assert error_db(heard, summed) < -110, what


def test_strips_cost_nothing_while_no_tracks_are_recorded() -> None:
    stage = staged(BEFORE, SPEC)
    play(stage, noise(4))
    assert not stage.strips.now
    assert stage.plan is not None
    assert stage.plan.heard is None


def test_a_strip_is_what_its_node_plays_at_its_fader() -> None:
    stage = staged(BEFORE, SPEC)
    stage.strips.keep(True)
    stage.take(put(BEFORE, "a", "gain", 0.5))
    x = noise(20)
    play(stage, x)
    np.testing.assert_allclose(
        stage.strips.now["a"][1], 0.5 * x[:, -64 - 100 : -100], atol=1e-6, err_msg="as late as b"
    )


def test_strips_of_one_bus_are_what_it_mixes() -> None:
    """All passes `bus`, then `last`; `a` is an effect of one strip, and `b` is late."""
    nodes = {"s": "gain", "a": "gain", "b": ("lag", {"frames": 100}), "bus": ("gain", {"gain": 0.25}), "last": "gain"}
    wires = ["in > s", "s > a", "in > b", "a > bus", "b > bus", "bus > last", "last > out"]
    stage = staged(graph(nodes, wires), SPEC)
    stage.strips.keep(True)
    stage.rise()
    out, mixed = sums(stage, noise(20))
    assert set(stage.strips.now) == {"a", "b"}
    assert error_db(out, 0.25 * mixed) < -110


@pytest.mark.parametrize(
    ("wires", "strips"),
    [
        (["in > a", "a > bus", "bus > out"], {"bus"}),
        (["in > a", "a > bus", "in > bus", "bus > out", "a > out"], {"a", "bus"}),
    ],
)
def test_strips_without_one_bus_are_the_wires(wires: list[str], strips: set[str]) -> None:
    stage = staged(graph({"a": "gain", "bus": "gain"}, wires), SPEC)
    stage.strips.keep(True)
    play(stage, noise(4))
    assert set(stage.strips.now) == strips
