"""A progress bar on a terminal, for work that takes over two seconds; without a terminal nothing is drawn.

A program that runs Antiphon may name a descriptor in `ANTIPHON_PROGRESS_FD`. The completed fraction is written to it,
one line each time: "0.25"; before that the current stage: "reading".
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, TextIO

from antiphon.kernel.runtime.processes.child_process import PROGRESS_VARIABLE

SHOW_DELAY = 2.0
"""Delay in seconds before the bar is shown."""
REDRAW = 0.1


_bar_visible = False


def clear() -> None:
    """Erases the bar, so that the next output begins at the start of the line."""
    global _bar_visible
    if _bar_visible:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
        _bar_visible = False


class ProgressBar:
    """Progress of `done` of `total` frames (None: unknown) on standard error, as a context manager."""

    def __init__(self, label: str, total: int | None, rate: int) -> None:
        self.label, self.total, self.rate = label, total, rate
        self._began = time.monotonic()
        self._next = self._began + SHOW_DELAY
        self._on_terminal = sys.stderr.isatty()
        self._pipe = _descriptor()
        if self._pipe >= 0:
            self._next = self._began

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        clear()

    def update(self, done: int) -> None:
        """Sets the number of processed frames, and draws the bar at most ten times a second."""
        if not self._on_terminal and self._pipe < 0:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + REDRAW
        if self._pipe >= 0:
            if self.total:
                with contextlib.suppress(OSError):  # its reader has ended, or the pipe is full
                    os.write(self._pipe, f"{min(1.0, done / self.total):.4f}\n".encode())
            return
        clear()
        _draw(bar(self.label, done, self.total, self.rate, shutil.get_terminal_size().columns, now - self._began))


def tell_stage(text: str) -> None:
    """Tells the calling program the current stage, as long as no fraction of the work is known."""
    pipe = _descriptor()
    if pipe >= 0:
        with contextlib.suppress(OSError):
            os.write(pipe, f"{text}\n".encode("ascii"))


@contextlib.contextmanager
def progress_bar(verb: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with the remaining time, on a terminal; its callback takes done, total, and a name."""
    bar = ProgressBar(verb, None, 1)

    def update(done: int, total: int, name: str) -> None:
        bar.total, bar.label = total, f"{verb} {name}"
        bar.update(done)

    with bar:
        yield update


def _descriptor() -> int:
    """File descriptor of the progress pipe; -1 for none."""
    given = os.environ.get(PROGRESS_VARIABLE, "")
    return int(given) if given.isdecimal() else -1


def _draw(line: str) -> None:
    global _bar_visible
    _bar_visible = True
    sys.stderr.write(line)
    sys.stderr.flush()


def bar(label: str, done: int, total: int | None, rate: int, columns: int, spent: float = 0.0) -> str:
    """The bar as a line of at most `columns - 1` characters.

    `done` and `total` are frames. Without a total, `rate` (frames per second) is shown. `spent` seconds give the
    estimate of the remaining time; 0 for no estimate.
    """
    label = label[: max(8, columns // 3)]
    if not total:
        return f"{label} {done / rate:.0f} s"[: columns - 1]
    share = min(1.0, done / total)
    tail = f" {share:4.0%}{_remaining_time(share, spent)}"
    width = max(4, min(40, columns - len(label) - len(tail) - 4))
    filled = round(share * width)
    return f"{label} [{'#' * filled}{'.' * (width - filled)}]{tail}"[: columns - 1]


def _remaining_time(share: float, spent: float) -> str:
    """Remaining time at the present speed: " 0:12 left"."""
    if not 0.0 < share < 1.0 or spent <= 0.0:
        return ""
    minutes, seconds = divmod(math.ceil(spent * (1.0 - share) / share), 60)
    hours, minutes = divmod(minutes, 60)
    return f" {hours}:{minutes:02d}:{seconds:02d} left" if hours else f" {minutes}:{seconds:02d} left"


def ask(question: str) -> str:
    """Asks a question on standard error and reads a line; "" without a terminal, and at the end of input."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    clear()
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\n")


def echo_answer(as_json: bool, data: Any, lines: Iterable[str]) -> None:
    """Prints an answer as JSON or as lines, which may be a generator."""
    for line in (json.dumps(data),) if as_json else lines:
        print(line, flush=True)


def align_rows(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yields a line for each row, with its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


Role = Literal["head", "good", "warn", "bad", "faint"]
CODES: dict[Role, str] = {"head": "1", "good": "32", "warn": "33", "bad": "31", "faint": "2"}
"""SGR parameters (ECMA-48): bold, green, yellow, red, faint."""


def shows_colour(stream: TextIO) -> bool:
    """Whether `stream` shows colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style_text(text: str, role: Role, stream: TextIO | None = None) -> str:
    """Colours a text by its role if the stream (default: standard output) shows colours."""
    return f"\033[{CODES[role]}m{text}\033[0m" if shows_colour(stream or sys.stdout) else text
