"""Translates programs in a separate process (`child`), with limits of size, memory and time."""

import threading
from contextlib import suppress
from dataclasses import dataclass

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, Child, ChildLimits, spawn
from antiphon.kernel.runtime.sound_packs import sound_packs

MAX_CHARACTERS = 200_000
LIMITS = ChildLimits(data=600 << 20, cpu=10, file=0)
"""Limits of the process: a program of 200,000 characters takes five seconds of a processor."""
TIMEOUT_SECONDS = 20.0
"""Timeout in seconds for an answer."""
_WAIT_SECONDS = 2.0
"""Maximum wait in seconds for a running translation: each waiting request occupies a thread of the server."""
_ONE_AT_A_TIME = threading.Lock()
_ready: list[Child] = []
"""Process for the next translation, started in advance: its start takes longer than the translation."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The live script of a program, its tracks, and the number of parts without counterpart."""

    text: str
    tracks: int
    left_out: int


def translation(text: str) -> Translation:
    """Translates a program to a live script.

    Raises UsageError: it is in neither language, nothing in it plays, or it is too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"a program has at most {MAX_CHARACTERS:,} characters; paste a part of it")
    if not _ONE_AT_A_TIME.acquire(timeout=_WAIT_SECONDS):
        raise UsageError("another program is being translated; try again once it is")
    try:
        with _process() as child:
            answer = child.ask(
                {"text": text, "packs": [part for pack in sound_packs() for part in (pack.folder.name, pack.source)]},
                silence=TIMEOUT_SECONDS,
            )[0]
    except CHILD_FAULTS:
        raise UsageError("this program takes too much time or memory to be translated; paste a part of it") from None
    finally:
        _ONE_AT_A_TIME.release()
    if "refused" in answer:
        raise UsageError(str(answer["refused"]))
    return Translation(answer["text"], answer["tracks"], answer["left_out"])


def prepare() -> None:
    """Starts the process for the next translation, unless one is waiting or running."""
    if _ONE_AT_A_TIME.acquire(blocking=False):
        with suppress(OSError):  # the translation says so
            _ready[:] = [_process()]
        _ONE_AT_A_TIME.release()


def _process() -> Child:
    child = _ready.pop() if _ready else None
    return spawn("antiphon.paste.child:main", limits=LIMITS) if child is None or child.ended else child
