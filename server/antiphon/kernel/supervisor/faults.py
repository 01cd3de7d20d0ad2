"""Errors in the supervisor after which it continues: each is counted, and repeats are printed once."""

from __future__ import annotations

from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime.console import say


class SupervisorFaults:
    """The error count of one supervisor, `supervisor_faults` in the status."""

    def __init__(self, words: memoryview) -> None:
        self._words, self._last_text = words, ""

    def add(self, text: str) -> None:
        """Counts an error, and prints its text unless it is the same as the last one's."""
        self._words[HeaderWord.SUPERVISOR_FAULTS] += 1
        if text != self._last_text:
            say(text)
        self._last_text = text

    def clear(self) -> None:
        """Forgets the last text, so that the same error is printed again when it recurs."""
        self._last_text = ""


def why(error: Exception) -> str:
    """The cause as one line of text, without a traceback."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"
