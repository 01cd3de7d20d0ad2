"""Records Ctrl-C during a command's imports: an import or a callback may swallow the exception."""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


def watch() -> None:
    """From here on SIGINT raises KeyboardInterrupt and is recorded."""
    signal.signal(signal.SIGINT, _stop)


def end_requested() -> bool:
    """Whether SIGINT has been received since `watch`."""
    return _asked


def _stop(_number: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
