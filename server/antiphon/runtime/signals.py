"""Ctrl-C while a command still imports: kept in mind, for an import or a callback may swallow the exception."""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


def watch() -> None:
    """From here on SIGINT is a KeyboardInterrupt, as ever, and remembered."""
    signal.signal(signal.SIGINT, _stop)


def asked() -> bool:
    """Whether somebody pressed Ctrl-C since."""
    return _asked


def _stop(_number: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
