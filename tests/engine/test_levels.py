"""The performer's levels at the two ends of the graph, behind which no patch reaches."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.engine.test_graph_player import SPEC, THROUGH, ones, step
from tests.local import graph, plan, play, put, staged

from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import Panic
from antiphon.testing import sound as audio

MUTE, GAIN = 1, 3
FADE = round(0.02 * 48000)


def level(node, decibels, ramp=0.0):
    return NodeSet(node, GAIN, decibels, ramp)


@pytest.mark.parametrize("node", [IN_NUMBER, OUT_NUMBER])
@pytest.mark.parametrize("decibels", [-60.0, -40.0, -6.0, 0.0, 5.0])
def test_a_level_is_exact_in_decibels_and_begins_at_its_sample(node, decibels):
    stage = staged(THROUGH)
    stage.at_sample(1000, level(node, decibels))
    y = play(stage, ones(4000))
    assert (y[:, :1000] == 0.5).all()
    factor = 0.0 if decibels == -60.0 else 10 ** (decibels / 20)
    np.testing.assert_allclose(y[:, 1000 + FADE :], 0.5 * factor, rtol=1e-5)
    assert step(y) < 0.01


def test_at_0_db_the_very_samples_pass():
    stage = staged(THROUGH)
    x = audio.noise(5000, 2) * 0.2
    stage.at_sample(500, level(OUT_NUMBER, -20.0))
    stage.at_sample(2000, level(OUT_NUMBER, 0.0))
    y = play(stage, x)
    np.testing.assert_array_equal(y[:, :500], x[:, :500])
    np.testing.assert_array_equal(y[:, 2000 + FADE + 512 :], x[:, 2000 + FADE + 512 :])


def test_the_input_level_comes_before_the_patch_and_the_output_level_behind_it():
    made = graph({"g": ("gain", {"gain": 4.0})}, ["in > g", "g > out"])
    stage = staged(made)
    stage.take(level(IN_NUMBER, -20.0))
    stage.take(level(OUT_NUMBER, -6.0))
    play(stage, ones(2048, 0.1))
    # four times 0.9 would be limited, and a level behind the patch alone would come too late
    y = play(stage, ones(2048, 0.9))
    np.testing.assert_allclose(y, 0.9 * 0.1 * 4.0 * 10 ** (-6 / 20), rtol=1e-5)
    assert stage.counters.limited_blocks == 0


def test_another_patch_and_a_panic_leave_the_levels():
    stage = staged(THROUGH)
    stage.take(level(OUT_NUMBER, -20.0))
    play(stage, ones(2048))
    stage.load(plan(graph({"g": "gain"}, ["in > g", "g > out"]), SPEC), 2, 0.05)
    stage.take(Panic())
    y = play(stage, ones(8192))
    np.testing.assert_allclose(y[:, 4096:], 0.05, rtol=1e-5)


def test_muted_is_silent_and_a_stage_that_goes_on_keeps_it():
    stage = staged(THROUGH)
    stage.take(NodeSet(OUT_NUMBER, MUTE, 1.0))
    stage.take(level(IN_NUMBER, -20.0))
    assert not play(stage, ones(4096))[:, 2048:].any()
    after = GraphPlayer(SPEC)
    after.resume(stage.state(), plan(THROUGH, SPEC))
    assert not play(after, ones(512)).any()
    after.take(NodeSet(OUT_NUMBER, MUTE, 0.0))
    np.testing.assert_allclose(play(after, ones(4096))[:, 2048:], 0.05, rtol=1e-5)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 256), min_size=1, max_size=6))
def test_any_split_of_the_blocks_gives_the_same_samples(blocks):
    def rendered(sizes):
        stage = staged(THROUGH)
        stage.at_sample(700, level(IN_NUMBER, -12.0, 0.01))
        stage.at_sample(1500, level(OUT_NUMBER, 6.0))
        return play(stage, audio.noise(4000, 2) * 0.1, sizes)

    np.testing.assert_array_equal(rendered([256]), rendered(blocks))


def test_a_block_that_reaches_full_scale_is_counted_before_any_level():
    stage = staged(THROUGH)
    stage.take(level(IN_NUMBER, -40.0))
    x = ones(2560, 0.99)
    x[1, 300] = -1.0
    x[0, 2000] = 1.0
    play(stage, x)
    assert stage.counters.clipped_blocks == 2


def test_a_mute_from_before_the_first_plan_lets_nothing_through():
    stage = GraphPlayer(SPEC)
    stage.take(NodeSet(IN_NUMBER, MUTE, 1.0))
    stage.take(level(OUT_NUMBER, -20.0))
    play(stage, ones(4096))
    stage.load(plan(THROUGH, SPEC), 1, 0.0)
    assert not play(stage, ones(4096)).any()


def test_the_master_volume_outlives_a_block_that_overflows():
    stage = staged(graph({"g": ("gain", {"gain": 4.0})}, ["in > g", "g > out"]))
    stage.take(level(OUT_NUMBER, -40.0))
    play(stage, ones(4096, 0.1))
    play(stage, np.full((2, 256), 3e38, np.float32))
    y = play(stage, ones(8192, 0.1))
    assert 0.0 < y[0, -1] <= y.max() < 0.00401  # the limiter comes back from it slowly


@pytest.mark.parametrize("name", ["wet", "bypass", "mute"])
@pytest.mark.parametrize("on", [True, False])
def test_what_mixes_a_node_moves_the_sound_smoothly(name: str, on: bool) -> None:
    value = float(not on) if name == "wet" else not on
    made = graph({"half": ("gain", {"step": 0.5, name: value})}, ["in > half", "half > out"])
    player = staged(made)
    x = np.ones((2, 4096), np.float32)
    before = play(player, x)
    player.take(put(made, "half", name, float(on)))
    y = play(player, x)[0]
    assert before[0, -1] != y[-1]
    assert float(np.abs(np.diff(y, prepend=before[0, -1])).max()) < 0.01
