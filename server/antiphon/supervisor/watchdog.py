"""What a supervisor looks at between deaths: an engine or a control that hangs, a device that has come back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from antiphon.engine import shared
from antiphon.engine.loading import LoadingNote
from antiphon.errors import AntiphonError
from antiphon.runtime.child_process import DEVICE_GONE, NO_DEVICE
from antiphon.runtime.settings import ServeSettings
from antiphon.synth import info as synths
from antiphon.workers.arena import Arena, State, WorkerWord

HANG_SECONDS = 2.0
DEVICE_SECONDS = 3.0
"""A device may stop asking for so long before that is the device's loss, not the engine's hang."""
CONTROL_HANG_SECONDS = 10.0
"""Control notes sixty times a second that its loop turns. The longest turn that was measured takes 2 s (one datagram of
2,728 patterns on eight nodes), and one slow write to a disk may hold it up as well; nothing is heard of its absence."""


def stalled(words: memoryview, driver: str) -> float:
    """Seconds for which a running engine's loop has not turned, once they are too many; else 0."""
    alive = words[shared.HeaderWord.ALIVE_NS]
    if words[shared.HeaderWord.ENGINE_STATE] != 2 or not alive:
        return 0.0
    seconds = (time.monotonic_ns() - alive) / 1e9
    return seconds if seconds > HANG_SECONDS + (DEVICE_SECONDS if driver != "headless" else 0.0) else 0.0


def hang(words: memoryview, driver: str, loading: LoadingNote) -> str:
    """Why a running engine is to be ended: its loop or its loader has not turned for too long. "" while both do."""
    seconds = stalled(words, driver)
    if seconds:
        return f"the engine has hung for {seconds:.1f} s; ending it"
    seconds = loading.stalled
    if words[shared.HeaderWord.ENGINE_STATE] != 2 or not seconds:
        return ""
    at = f" at the node {loading.name}" if loading.name else ""
    return f"the engine's loader has hung for {seconds:.1f} s{at}; ending the engine"


def forget(words: memoryview, loading: LoadingNote) -> None:
    """The engine that hung is being ended; the next one has not turned yet."""
    words[shared.HeaderWord.ALIVE_NS] = 0
    loading.forget()


def blame(words: memoryview, loading: LoadingNote, code: int, *, hung: bool) -> str:
    """Notes at which node an engine ended, so that the next one leaves it out.

    Args:
        words: Of the shared memory.
        loading: What its loader was at.
        code: Its exit status, below 0 the signal.
        hung: It was ended here, because it hung.

    Returns:
        The name of the node that was being prepared, or "".
    """
    at_work, words[shared.HeaderWord.AT_WORK] = words[shared.HeaderWord.AT_WORK], 0
    innocent = (signal.SIGKILL, signal.SIGTERM) if code < 0 else (0, DEVICE_GONE, NO_DEVICE)
    at_fault = hung or abs(code) not in innocent
    name = loading.engine_ended(at_fault=at_fault)
    if at_fault:
        # what is new is the likelier one: the node of the block has played before
        words[shared.HeaderWord.BLAMED] = 0 if name else at_work
    return name


def control_stalled(words: memoryview) -> float:
    """Seconds for which control's loop has not turned, once they are too many; else, and before its first turn, 0."""
    beat = words[shared.HeaderWord.CONTROL_BEAT]
    seconds = (time.monotonic_ns() - beat) / 1e9 if beat else 0.0
    return seconds if seconds > CONTROL_HANG_SECONDS else 0.0


def forget_control(words: memoryview) -> None:
    """Control has ended or is being ended; the next one has not turned yet."""
    words[shared.HeaderWord.CONTROL_BEAT] = 0


def synth_given_up(arena: Arena, registered: synths.Registered, say: Callable[[str], None]) -> bool:
    """Whether the synth was given up; then what else there is plays notes from the next engine on."""
    info = synths.chosen().info
    if not info.fallback:
        return False
    name = synths.PREFIX + info.name
    for entry in arena.entries:
        given_up = entry.words[WorkerWord.STATE] in (State.QUARANTINED, State.REFUSED)
        if entry.words[WorkerWord.WANTED] and given_up and entry.kind and entry.spec().name == name:
            other = synths.choose("auto", registered)
            said = f"{other.name} plays notes from here on, and a piano for instruments it has not"
            if other.name == synths.NULL.name:
                said = "notes are not heard from here on"
            say(f"{info.program or info.name} is given up ({entry.reason}); {said}")
            synths.use(synths.BackendChoice(other, instead=True))
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
