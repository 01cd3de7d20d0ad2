"""A bar on a terminal, for what takes over two seconds; nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

PATIENCE = 2.0
"""Seconds before the bar shows."""
REDRAW = 0.1


class Progress:
    """Counts `done` of `total` frames (None: unknown) on standard error. Use it with `with`."""

    def __init__(self, label: str, total: int | None, rate: int) -> None:
        self.label, self.total, self.rate = label, total, rate
        self._next = time.monotonic() + PATIENCE
        self._on_terminal = sys.stderr.isatty()
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def update(self, done: int) -> None:
        """`done` frames are done. Cheap: draws ten times a second at most."""
        if not self._on_terminal:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + REDRAW
        self._shown = True
        sys.stderr.write("\r\033[K" + bar(self.label, done, self.total, self.rate, shutil.get_terminal_size().columns))
        sys.stderr.flush()


def bar(label: str, done: int, total: int | None, rate: int, columns: int) -> str:
    """One line of at most `columns - 1` characters."""
    label = label[: max(8, columns // 3)]
    if not total:
        return f"{label} {done / rate:.0f} s"[: columns - 1]
    share = min(1.0, done / total)
    tail = f" {share:4.0%}"
    width = max(4, min(40, columns - len(label) - len(tail) - 4))
    filled = round(share * width)
    return f"{label} [{'#' * filled}{'.' * (width - filled)}]{tail}"[: columns - 1]
