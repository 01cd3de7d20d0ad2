"""Control outlasts what goes wrong in it: one message is lost, never the rest."""

from __future__ import annotations

from tests.control.rig import Rig


async def test_every_tick_is_noted_for_the_supervisor(live: Rig) -> None:
    before = live.engine.turns
    await live.settle(ticks=3)
    assert live.engine.turns == before + 3
