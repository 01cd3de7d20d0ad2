"""What a supervisor looks at between deaths: an engine or a control that hangs, a device that has come back."""

from __future__ import annotations

import time
from collections.abc import Callable

from antiphon.engine import shared
from antiphon.errors import AntiphonError
from antiphon.settings import ServeSettings
from antiphon.synth import info as synths
from antiphon.workers.arena import Arena, State, Word

HANG_SECONDS = 2.0
DEVICE_SECONDS = 3.0
"""A device may stop asking for so long before that is the device's loss, not the engine's hang."""
CONTROL_HANG_SECONDS = 10.0
"""Control notes sixty times a second that its loop turns. The longest turn that was measured takes 2 s (one datagram of
2,728 patterns on eight nodes), and one slow write to a disk may hold it up as well; nothing is heard of its absence."""
PYO_PLAYS = "pyo plays notes from here on, and a piano for instruments it has not"


def stalled(words: memoryview, driver: str) -> float:
    """Seconds for which a running engine's loop has not turned, once they are too many; else 0."""
    alive = words[shared.Word.ALIVE_NS]
    if words[shared.Word.ENGINE_STATE] != 2 or not alive:
        return 0.0
    seconds = (time.monotonic_ns() - alive) / 1e9
    return seconds if seconds > HANG_SECONDS + (DEVICE_SECONDS if driver != "headless" else 0.0) else 0.0


def forget(words: memoryview) -> None:
    """The engine that hung is being ended; the next one has not turned yet."""
    words[shared.Word.ALIVE_NS] = 0


def control_stalled(words: memoryview) -> float:
    """Seconds for which control's loop has not turned, once they are too many; else, and before its first turn, 0."""
    beat = words[shared.Word.CONTROL_BEAT]
    seconds = (time.monotonic_ns() - beat) / 1e9 if beat else 0.0
    return seconds if seconds > CONTROL_HANG_SECONDS else 0.0


def forget_control(words: memoryview) -> None:
    """Control has ended or is being ended; the next one has not turned yet."""
    words[shared.Word.CONTROL_BEAT] = 0


def synth_given_up(arena: Arena, say: Callable[[str], None]) -> bool:
    """Whether scsynth was given up; then what else there is plays notes from the next engine on."""
    name = synths.PREFIX + synths.SUPERCOLLIDER.name
    if synths.chosen().info.name != synths.SUPERCOLLIDER.name:
        return False
    for entry in arena.entries:
        given_up = entry.words[Word.STATE] in (State.QUARANTINED, State.REFUSED)
        if entry.words[Word.WANTED] and given_up and entry.kind and entry.spec().name == name:
            other = synths.PYO if synths.PYO.installed else synths.NULL
            said = PYO_PLAYS if other is synths.PYO else "notes are not heard from here on"
            say(f"scsynth is given up ({entry.reason}); {said}")
            synths.use(synths.Choice(other, instead=True))
            return True
    return False


def device_back(settings: ServeSettings, wanted: str) -> bool:
    """Whether the driver that was lost would play again, at the rate and block the server runs at."""
    from antiphon.engine.drivers.probe import probe

    try:
        found = probe(settings.with_(audio=wanted))
    except AntiphonError:
        return False
    return (found.rate, found.block) == (settings.rate, settings.block)
