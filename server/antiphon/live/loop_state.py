"""State of a running loop."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from antiphon.live.stage import LiveLoop


@dataclass(slots=True)
class LoopState:
    """State of a running loop. A new version of a script continues it: name, memory, place and count stay.

    Attributes:
        place: Its order among loops that run on one beat.
        begun: Beat of its pass.
        turn: Number of its pass, from 0.
        pass_: The pass that waits, or None between two.
        waits_for: Name of the cue that it waits for, or "".
        taken: Numbers of the cues that it took last, by name; the voices of a loop share it.
        answer: What the next `yield` gives it.
    """

    loop: LiveLoop
    place: int
    beat: Fraction
    begun: Fraction
    turn: int = 0
    draws: int = 0
    memory: SimpleNamespace = field(default_factory=SimpleNamespace)
    pass_: Generator[Any, Any, Any] | None = None
    waits_for: str = ""
    synced: bool = False
    taken: dict[str, int] = field(default_factory=dict)
    passes: list[int] = field(default_factory=lambda: [0])
    key: str = ""
    answer: object = None
    ended: bool = False
    running: LiveLoop | None = None
    good: LiveLoop | None = None
    before: LiveLoop | None = None


def voice_key(name: str, voice: int) -> str:
    """Name of a loop's voice; the first one's is the loop's."""
    return name if voice == 0 else f"{name}\0{voice}"
