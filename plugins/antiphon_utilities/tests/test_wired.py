"""Control wires in a patch: what the lfo and the follower do to other nodes' sound."""

import numpy as np
import pytest

from antiphon.api import BlockTime, StreamSpec
from antiphon.api.backends.rendering import load_plugins
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.patch import parse

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    return load_plugins(tmp_path_factory.mktemp("none"), check=False)


def play(plugins, text, x):
    """The patch's output for x `[2, frames]`, at 120 bpm from beat 0."""
    graph = parse('format = 1\nname = "Try"\n' + text, plugins.catalog).graph
    ids = {node.name: n for n, node in enumerate(graph.nodes, 1)}
    plan = compile_plan(graph, plugins.catalog, plugins.make, SPEC, ids)
    out = []
    for at in range(0, x.shape[1], 256):
        plan.input[:] = x[:, at : at + 256]
        out.append(plan.run(256, BlockTime(sample=at, beat=at / 24000)).copy())
    return np.concatenate(out, axis=1)


def test_an_lfo_by_the_clock_opens_and_shuts_a_filter(plugins):
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 8 * 12032)).astype(np.float32)
    text = """
[nodes.filter]
cutoff = 600.0

[nodes.lfo]
beats = 2.0
depth = 0.4

[wires]
"in" = "filter"
"filter" = "out"
"lfo" = "filter.cutoff"
"""
    y = play(plugins, text, noise)[0]
    # a turn is a second: up in its first half, down in its second
    open_, shut = (np.std(y[at : at + 6000]) for at in (RATE + 9000, RATE + 33000))
    assert open_ > 5.0 * shut


def test_a_follower_makes_room_for_what_it_hears(plugins):
    x = np.full((2, 376 * 256), 0.001, np.float32)
    x[:, RATE:] = 0.5
    text = """
[nodes.gain]

[nodes.follower]
depth = -0.4
floor = -50.0
ceiling = -10.0

[wires]
"in" = ["follower", "gain"]
"gain" = "out"
"follower" = "gain.gain"
"""
    y = play(plugins, text, x)[0]
    np.testing.assert_allclose(y[RATE - 1000 : RATE], 0.001, rtol=1e-4)
    # 0.4 of a range of 2 below 1
    np.testing.assert_allclose(y[RATE + 12000 :], 0.5 * 0.2, rtol=1e-3)
    assert np.abs(np.diff(y[RATE:])).max() < 0.01


def test_all_of_them_in_one_patch(plugins):
    t = np.arange(376 * 256) / RATE
    x = np.tile(0.3 * np.sin(2 * np.pi * 220.0 * t), (2, 1)).astype(np.float32)
    text = """
[nodes.tuner]
[nodes.looper]
[nodes.metronome]
level = 0.2

[wires]
"in" = "tuner"
"tuner" = "looper"
"looper" = "metronome"
"metronome" = "out"
"""
    extra = play(plugins, text, x) - x
    assert np.abs(extra[:, 24000]).max() == pytest.approx(0.14, abs=1e-3)
    assert np.abs(extra[:, 3000:23990]).max() < 1e-6
