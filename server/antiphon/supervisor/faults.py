"""What went wrong in the supervisor and cost no more than itself: counted each time, said once."""

from __future__ import annotations

from antiphon.engine.shared import HeaderWord
from antiphon.errors import AntiphonError
from antiphon.runtime.console import say


class SupervisorFaults:
    """Those of one supervisor; `supervisor_faults` in the status."""

    def __init__(self, words: memoryview) -> None:
        self._words, self._said = words, ""

    def add(self, text: str) -> None:
        """Counts it, and says it where it is another than the last."""
        self._words[HeaderWord.SUPERVISOR_FAULTS] += 1
        if text != self._said:
            say(text)
        self._said = text

    def over(self) -> None:
        """It has passed: the same is said again should it come again."""
        self._said = ""


def why(error: Exception) -> str:
    """What happened, without the line of the program where it did."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"
