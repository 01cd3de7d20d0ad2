"""What a supervisor looks at between deaths: an engine that hangs, a device that has come back."""

from __future__ import annotations

import time

from antiphon.engine.shared import Word
from antiphon.errors import AntiphonError
from antiphon.settings import ServeSettings

HANG_SECONDS = 2.0
DEVICE_SECONDS = 3.0
"""A device may stop asking for so long before that is the device's loss, not the engine's hang."""


def stalled(words: memoryview, driver: str) -> float:
    """Seconds for which a running engine's loop has not turned, once they are too many; else 0."""
    alive = words[Word.ALIVE_NS]
    if words[Word.ENGINE_STATE] != 2 or not alive:
        return 0.0
    seconds = (time.monotonic_ns() - alive) / 1e9
    return seconds if seconds > HANG_SECONDS + (DEVICE_SECONDS if driver != "headless" else 0.0) else 0.0


def forget(words: memoryview) -> None:
    """The engine that hung is being ended; the next one has not turned yet."""
    words[Word.ALIVE_NS] = 0


def device_back(settings: ServeSettings, wanted: str) -> bool:
    """Whether the driver that was lost would play again, at the rate and block the server runs at."""
    from antiphon.engine.drivers.probe import probe

    try:
        found = probe(settings.with_(audio=wanted))
    except AntiphonError:
        return False
    return (found.rate, found.block) == (settings.rate, settings.block)
