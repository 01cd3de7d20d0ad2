"""A plan with a quantum is taken in the first block from its bar line on."""

import os
from collections.abc import Iterator

import pytest
from tests.engine.fake_driver import BLOCK, FakeDriver
from tests.local import RATE, graph, plan, staged

from antiphon.kernel.engine.loop import MOST_SECONDS, EngineLoop, NextPlan
from antiphon.kernel.engine.shared import MappingShape, Shared

GRAPH = graph({"g": "gain"}, ["in > g", "g > out"])
BAR_FRAMES = 2 * RATE
"""Four beats at 120 bpm."""


@pytest.fixture
def loop() -> Iterator[EngineLoop]:
    shared, bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, 0x800)
    yield EngineLoop(staged(GRAPH), FakeDriver(), shared, bell)  # type: ignore[arg-type]
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


def test_it_begins_at_once_where_no_bar_line_comes_soon(loop: EngineLoop) -> None:
    loop.run_block()
    loop.player.tempo.set_tempo(0, 4 * 60.0 / (MOST_SECONDS + 1.0))
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
