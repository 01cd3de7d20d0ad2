"""Tempo ramps and swing: what is dated in beats falls on its sample, live and in a file, whatever the blocks."""

import math
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.engine.fake_driver import BLOCK, FakeDriver
from tests.local import RATE, graph, plan, play, put, staged

from antiphon.kernel.engine import process
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop import MAX_SECONDS, EngineLoop, NextPlan
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.graph.clock import MAX_STEP, MAX_SWING, MIN_STEP, beat_without_swing, swing_beat
from antiphon.kernel.session.commands import Beat, Sample, SetSwing, SetTempo, SetTransport

GAIN = graph({"g": "gain"}, ["in > g", "g > out"])
swings = st.floats(0.0, MAX_SWING)
steps = st.floats(MIN_STEP, MAX_STEP)
beats = st.floats(-1000.0, 1000.0)


@given(beats, swings, steps)
def test_swing_there_and_back(beat: float, swing: float, step: float) -> None:
    assert beat_without_swing(swing_beat(beat, swing, step), swing, step) == pytest.approx(beat, abs=1e-9)


@given(beats, beats, swings, steps)
def test_swing_leaves_the_order_and_moves_nothing_further_than_its_share(
    one: float, other: float, swing: float, step: float
) -> None:
    low, high = sorted((one, other))
    assert swing_beat(low, swing, step) <= swing_beat(high, swing, step) + 1e-9
    assert -1e-9 <= swing_beat(one, swing, step) - one <= swing * step + 1e-9


@pytest.mark.parametrize(
    ("swing", "step", "asked", "placed"),
    [
        (1 / 3, 0.5, (0.0, 0.5, 1.0, 1.5, 2.0), (0.0, 2 / 3, 1.0, 5 / 3, 2.0)),
        (0.5, 0.25, (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.375, 0.5, 0.875, 1.0)),
        (0.5, 0.5, (0.25, 0.75, -0.5), (0.375, 0.875, -0.25)),
        (0.0, 0.5, (0.1, 0.5, 7.7), (0.1, 0.5, 7.7)),
    ],
)
def test_every_second_step_is_late_by_the_share_of_it(
    swing: float, step: float, asked: tuple[float, ...], placed: tuple[float, ...]
) -> None:
    assert [swing_beat(beat, swing, step) for beat in asked] == pytest.approx(placed)


def toggled(stage: GraphPlayer, beats: list[float], frames: int, blocks: list[int]) -> list[int]:
    """Frames at which changes for those beats took effect."""
    for number, beat in enumerate(beats):
        stage.take(put(GAIN, "g", "step", 0.5 if number % 2 else 0.25, when=Beat(beat)))
    y = play(stage, np.full((2, frames), 0.5, np.float32), blocks)[0]
    return [int(n) for n in np.flatnonzero(np.diff(y)) + 1]


@pytest.mark.parametrize("blocks", [[256], [200, 3, 77]])
def test_eighths_swing_and_the_beat_does_not(blocks: list[int]) -> None:
    stage = staged(GAIN, tempo=120.0)
    stage.take(SetSwing(1 / 3))
    # beats of 24,000 frames; the second eighth at two thirds of it
    assert toggled(stage, [0.5, 1.0, 1.5, 2.0, 2.25], 60000, blocks) == [16000, 24000, 40000, 48000, 56000]
    assert stage.tempo.beat_at(48000) == 2.0
    assert stage.counters.late == 0


def test_a_swing_set_later_moves_what_is_scheduled_already() -> None:
    stage = staged(GAIN, tempo=120.0)
    stage.take(SetSwing(0.5, 0.25, when=Beat(1.0)))
    assert toggled(stage, [0.25, 1.25, 1.5], 48000, [256]) == [6000, 24000 + 9000, 36000]


def test_a_quantum_takes_a_place_that_the_swing_has_not_passed() -> None:
    stage = staged(GAIN, tempo=120.0)
    stage.take(SetSwing(0.5, 0.5))
    play(stage, np.zeros((2, 14000), np.float32))
    # beat 0.5 is at 18,000 frames now, so that its place is not past; without the swing it would be
    stage.take(put(GAIN, "g", "step", 0.25, when=Beat(0.0, 0.5)))
    y = play(stage, np.full((2, 10000), 0.5, np.float32))[0]
    assert int(np.flatnonzero(np.diff(y))[0]) + 1 + 14000 == 18000
    stage.take(put(GAIN, "g", "step", 0.5, when=Beat(0.5)))
    play(stage, np.zeros((2, 256), np.float32))
    assert stage.counters.late == 1


def exact_place(beat: float, start: float, end: float, over: float) -> float:
    """The sample of a beat in a ramp that begins at beat 0, by the integral of 60 / tempo over the beats."""
    steps = 20000
    total = 0.0
    for n in range(steps):
        middle = (n + 0.5) * beat / steps
        total += 60.0 / (start + (end - start) * min(1.0, middle / over))
    return total * beat / steps * RATE


@pytest.mark.parametrize(("start", "end", "over"), [(120.0, 180.0, 8.0), (180.0, 60.0, 3.0), (120.0, 120.0, 4.0)])
def test_a_ramp_is_linear_in_beats_and_events_in_it_are_on_their_sample(start: float, end: float, over: float) -> None:
    stage = staged(GAIN, tempo=start)
    stage.take(SetTempo(end, over, when=Sample(0)))
    beats = [0.5, 1.0, 1.75, 2.5, 3.0, 3.5, 4.25]
    found = toggled(stage, beats, 110000, [256])
    wanted = [exact_place(beat, start, end, over) for beat in beats]
    assert found == [round(place) for place in wanted if place < 109999]


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 8.0),
            st.one_of(
                st.builds(SetTempo, st.floats(60.0, 400.0), st.sampled_from([0.0, 1.0, 3.0])),
                st.builds(SetSwing, swings, st.sampled_from([0.25, 0.5])),
                st.builds(SetTransport, st.booleans(), st.none()),
            ),
        ),
        max_size=5,
    )
)
def test_tempo_and_swing_give_the_same_samples_in_any_blocks(changes: list[tuple[float, object]]) -> None:
    def played(blocks: list[int]) -> np.ndarray:
        stage = staged(GAIN, tempo=200.0)
        for beat, change in changes:
            stage.take(type(change)(**{  # type: ignore[arg-type]
                name: getattr(change, name) for name in change.__slots__ if name != "when"  # type: ignore[attr-defined]
            }, when=Beat(beat)))  # fmt: skip
        for number in range(24):
            stage.take(put(GAIN, "g", "step", (number % 5) / 5, when=Beat(number / 3)))
        return play(stage, np.full((2, 30000), 0.5, np.float32), blocks)

    np.testing.assert_array_equal(played([256]), played([255, 64, 97]))


def test_the_state_of_a_player_has_its_swing_and_one_without_it_is_even() -> None:
    stage = staged(GAIN, tempo=120.0)
    stage.take(SetSwing(0.5, 0.25))
    play(stage, np.zeros((2, 256), np.float32))
    state = stage.state()
    other = staged(GAIN, tempo=120.0)
    other.resume(state, stage.plan)
    assert (other.tempo.swing, other.tempo.step) == (0.5, 0.25)
    del state["tempo"]["swing"], state["tempo"]["step"]
    other.resume(state, stage.plan)
    assert other.tempo.sample_of_event(0.25) == other.tempo.sample_at(0.25)
    assert math.isfinite(other.tempo.sample_of_event(0.25))


GRAPH = graph({"g": "gain"}, ["in > g", "g > out"])
BAR_FRAMES = 2 * RATE
"""Four beats at 120 bpm."""


@pytest.fixture
def loop() -> Iterator[EngineLoop]:
    shared, bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, 0x800)
    yield EngineLoop(staged(GRAPH), FakeDriver(), shared, bell)
    os.close(bell)


def taken(loop: EngineLoop, quantum: float, most: int) -> int:
    """The first sample of the block in which the plan begins."""
    new = plan(GRAPH, loop.player.spec, loop.player.plan)
    loop.next_plan = NextPlan(new, 2, 0.0, 0.0, b"{}", quantum=quantum)
    for _ in range(most):
        sample = loop.player.sample
        loop.run_block()
        if loop.player.plan is new:
            assert loop.next_plan is None
            return sample
    pytest.fail(f"not within {most} blocks")


def test_it_begins_at_the_bar_line(loop: EngineLoop) -> None:
    for _ in range(10):
        loop.run_block()
    assert 0 <= taken(loop, 4.0, 400) - BAR_FRAMES < BLOCK
    assert taken(loop, 0.0, 1) == loop.player.sample - BLOCK
    assert 0 <= taken(loop, 1.0, 100) - BAR_FRAMES - RATE // 2 < BLOCK


@pytest.mark.parametrize(("crowded", "takes"), [(False, 0.032), (True, 0.05)])
def test_what_rings_out_ends_for_the_next_plan_and_where_blocks_have_no_time(
    loop: EngineLoop, monkeypatch: pytest.MonkeyPatch, crowded: bool, takes: float
) -> None:
    player, other = loop.player, {"g": 7}
    if crowded:
        monkeypatch.setattr("antiphon.kernel.engine.loop.MOST_FADING", 0.0)
    player.load(plan(GRAPH, player.spec, player.plan, other), 2, 0.02, tail=1.0)
    before = player.sample
    if crowded:
        while player.fading:
            loop.run_block()
    else:
        loop.run_block()
        taken(loop, 0.0, 40)
    assert player.sample - before <= takes * RATE + 3 * BLOCK


def test_it_begins_at_once_where_no_bar_line_comes_soon(loop: EngineLoop) -> None:
    loop.run_block()
    loop.player.tempo.set_tempo(0, 4 * 60.0 / (MAX_SECONDS + 1.0))
    assert taken(loop, 4.0, 1) == BLOCK
    loop.player.tempo.set_tempo(0, 120.0)
    loop.player.tempo.set_transport(0, False, 1.0)
    assert taken(loop, 4.0, 1) == 2 * BLOCK


def test_a_jump_of_the_transport_moves_the_bar_line(loop: EngineLoop) -> None:
    tempo = loop.player.tempo
    tempo.set_transport(0, None, 41.0)
    new = plan(GRAPH, loop.player.spec, loop.player.plan)
    loop.next_plan = NextPlan(new, 2, 0.0, 0.0, b"{}", quantum=4.0)
    loop.run_block()
    assert loop.next_plan is not None
    tempo.set_transport(loop.player.sample, None, 35.99)
    for _ in range(3):
        loop.run_block()
    assert loop.player.plan is new


def test_tempo_a_node_found_is_what_the_next_engine_has() -> None:
    shared = Shared.create(MappingShape.of(48000, 256, 2))
    player = staged(GAIN)
    assert player.plan is not None
    player.plan.steering.append((1, (103.0, 0.5, 0.0)))  # half a beat behind: 8 % faster until it has caught up
    play(player, np.zeros((2, 256), np.float32))
    assert player.tempo.bpm == pytest.approx(103.0 * 1.08)
    shared.words[HeaderWord.RATE], shared.words[HeaderWord.PLAYING] = 48000, 1
    shared.floats[HeaderWord.TEMPO], shared.floats[HeaderWord.FOUND_TEMPO] = player.tempo.bpm, player.found_tempo
    assert process._tempo_of(shared).bpm == 103.0
    player.take(SetTempo(90.0))
    play(player, np.zeros((2, 256), np.float32))
    assert player.found_tempo == 0.0
    os.close(shared.fd)
