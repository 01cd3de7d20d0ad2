"""Messages of work on files: progress, written files, warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from antiphon.offline.output_summary import Written


class Progress(Protocol):
    """Progress of one piece of work."""

    def update(self, done: int) -> None:
        """Sets how much of the total is done."""
        ...


class _Unseen:
    def update(self, done: int) -> None:
        """Shows nothing."""


@contextmanager
def hidden_progress(label: str, total: int | None, rate: int) -> Iterator[Progress]:
    """Progress without a display."""
    yield _Unseen()


@dataclass(frozen=True, slots=True)
class Reporting:
    """Receiver of the messages of work on files.

    Attributes:
        wrote: Takes each file that was written.
        complain: Takes one sentence that a person should read.
        progress: Makes the progress of a piece of work out of its label, its total (None where that is not known) and
            how much of the total is a second.
        ask: Puts a question to the person and returns the answer; "" where nobody can be asked.
        stage: Takes what is being done before progress is made, in a word or two of ASCII.
    """

    complain: Callable[[str], None] = lambda sentence: None
    wrote: Callable[[Written], None] = lambda written: None
    progress: Callable[[str, int | None, int], AbstractContextManager[Progress]] = hidden_progress
    ask: Callable[[str], str] = lambda question: ""
    stage: Callable[[str], None] = lambda text: None


SILENT = Reporting()
