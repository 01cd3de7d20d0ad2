"""Short tasks for which the supervisor starts a process. Imports little: the process may be a fresh interpreter."""

import json
import os
import time
from collections.abc import Callable

from antiphon.kernel.engine.shared import HeaderWord, Shared
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.platform import end_with_parent, short_slices

SECONDS = 1.5
"""Maximum seconds of a measurement; the supervisor ends it before it starts the engine."""
_STEP_NS = 1_000_000


def measure_wakes(shared: Shared, parent: int) -> int:
    """Measures how late this machine wakes a thread: sleeps like the engine, and stores the latest wake-up."""
    words = shared.words
    if not end_with_parent(parent):
        return 1
    short_slices()
    due = time.monotonic_ns()
    end = due + round(SECONDS * 1e9)
    while due < end:
        now = time.monotonic_ns()
        words[HeaderWord.WAKE_LATE_NS] = max(words[HeaderWord.WAKE_LATE_NS], now - due)
        due = now + _STEP_NS
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
    return 0


def write_secrets(make: Callable[[], None], write: int) -> None:
    """Makes the secrets, and writes a JSON line to a pipe: the reasons why one could not be made."""
    errors: list[str] = []
    try:
        make()
    except FileError as error:
        errors.append(str(error))
    os.write(write, json.dumps(errors).encode() + b"\n")
