"""Stage of a running loop: target of the script's words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from antiphon.live.loop_state import LoopState
from antiphon.live.patterns.chance import chance, stream_of
from antiphon.live.records import LiveEvent, LiveNote


class LoopStage:
    """Stage of the words while a loop runs; see `Stage`."""

    def __init__(self, performance: Any, state: LoopState) -> None:
        self._performance, self._state = performance, state
        self.script = performance.script
        self.beat = state.beat
        self.source, self.on = state.loop.name, state.loop.on
        self.memory, self.turn = state.memory, state.turn

    def send(self, event: LiveEvent | LiveNote, rank: int) -> None:
        self._performance.put(event, rank)

    def random(self) -> float:
        state = self._state
        state.draws += 1
        return chance(self.script.seed, stream_of(self.source) + state.draws, Fraction(state.turn))

    def cue(self, name: str, value: object) -> None:
        self._performance.cue(name, value)

    def seconds(self, beats: Fraction) -> float:
        return float(self._performance.seconds(beats))
