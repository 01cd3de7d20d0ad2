"""Checks of the supervisor's loop: an engine or a control that hangs, a device that is back, a synth given up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from antiphon.engine import shared
from antiphon.engine.loading import LoadingNote
from antiphon.errors import AntiphonError
from antiphon.runtime.child_process import DEVICE_GONE, NO_DEVICE
from antiphon.runtime.settings import ServeSettings
from antiphon.synth import choosing
from antiphon.synth import info as synths
from antiphon.workers.arena import Arena, State, WorkerWord

HANG_SECONDS = 2.0
DEVICE_SECONDS = 3.0
"""Added with a device: the driver itself reports a device that stops calling, after this time at most."""
CONTROL_HANG_SECONDS = 10.0
"""Control marks each turn of its loop, sixty times a second. The longest turn measured takes 2 s (one datagram of 2,728
patterns on eight nodes), and a slow write to a disk may add to it; the sound does not depend on control meanwhile."""


def stalled(words: memoryview, driver: str) -> float:
    """How long a running engine's loop has stood still.

    Args:
        words: The shared header, indexed by `HeaderWord`.
        driver: What the engine plays by.

    Returns:
        Seconds where they exceed the limit, else 0.
    """
    alive = words[shared.HeaderWord.ALIVE_NS]
    if words[shared.HeaderWord.ENGINE_STATE] != 2 or not alive:
        return 0.0
    seconds = (time.monotonic_ns() - alive) / 1e9
    return seconds if seconds > HANG_SECONDS + (DEVICE_SECONDS if driver != "headless" else 0.0) else 0.0


def hang(words: memoryview, driver: str, loading: LoadingNote) -> str:
    """The reason to end a running engine whose loop or loader stands still, as a line of text; "" where none does."""
    seconds = stalled(words, driver)
    if seconds:
        return f"the engine has hung for {seconds:.1f} s; ending it"
    seconds = loading.stalled
    if words[shared.HeaderWord.ENGINE_STATE] != 2 or not seconds:
        return ""
    at = f" at the node {loading.name}" if loading.name else ""
    return f"the engine's loader has hung for {seconds:.1f} s{at}; ending the engine"


def forget(words: memoryview, loading: LoadingNote) -> None:
    """Clears the marks of an engine that is being ended, so that the next one is not taken for hung."""
    words[shared.HeaderWord.ALIVE_NS] = 0
    loading.forget()


def blame(words: memoryview, loading: LoadingNote, code: int, *, hung: bool) -> str:
    """Notes which node was running or being prepared when an engine ended, so that the next engine leaves it out.

    Args:
        words: The shared header, indexed by `HeaderWord`.
        loading: The node that the engine's loader was preparing.
        code: The engine's exit status; a negative one is the signal.
        hung: Whether the supervisor killed it because it hung.

    Returns:
        The name of the node that was being prepared, or "".
    """
    at_work, words[shared.HeaderWord.AT_WORK] = words[shared.HeaderWord.AT_WORK], 0
    innocent = (signal.SIGKILL, signal.SIGTERM) if code < 0 else (0, DEVICE_GONE, NO_DEVICE)
    at_fault = hung or abs(code) not in innocent
    name = loading.engine_ended(at_fault=at_fault)
    if at_fault:
        # blame the node being prepared before the one in the block: that one has played before
        words[shared.HeaderWord.BLAMED] = 0 if name else at_work
    return name


def control_stalled(words: memoryview) -> float:
    """Seconds for which control's loop has stood still, where over the limit; else, and before its first turn, 0."""
    beat = words[shared.HeaderWord.CONTROL_BEAT]
    seconds = (time.monotonic_ns() - beat) / 1e9 if beat else 0.0
    return seconds if seconds > CONTROL_HANG_SECONDS else 0.0


def forget_control(words: memoryview) -> None:
    """Clears the mark of a control that has ended, so that the next one is not taken for hung."""
    words[shared.HeaderWord.CONTROL_BEAT] = 0


def synth_given_up(arena: Arena, registered: choosing.Registered, say: Callable[[str], None]) -> bool:
    """Chooses another backend where the workers of the present synth are quarantined or refused.

    Args:
        arena: With the state of each worker.
        registered: The backends to choose from.
        say: Prints a line for the performer.

    Returns:
        Whether another backend was chosen; it plays notes from the next engine on.
    """
    info = choosing.chosen().info
    if not info.fallback:
        return False
    name = synths.PREFIX + info.name
    for entry in arena.entries:
        given_up = entry.words[WorkerWord.STATE] in (State.QUARANTINED, State.REFUSED)
        if entry.words[WorkerWord.WANTED] and given_up and entry.kind and entry.spec().name == name:
            other = choosing.choose("auto", registered)
            consequence = f"{other.name} plays notes from here on, and a piano for instruments it has not"
            if other.name == synths.NULL.name:
                consequence = "notes make no sound from here on"
            say(f"{info.program or info.name} is given up ({entry.reason}); {consequence}")
            choosing.use(synths.BackendChoice(other, instead=True))
            return True
    return False


def device_back(settings: ServeSettings, wanted: str) -> bool:
    """Whether the lost driver can play again, at the server's rate and block."""
    from antiphon.engine.drivers.probe import probe

    try:
        device = probe(settings.with_(audio=wanted))
    except AntiphonError:
        return False
    return (device.rate, device.block) == (settings.rate, settings.block)
