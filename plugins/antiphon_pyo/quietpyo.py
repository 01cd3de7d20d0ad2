"""pyo, imported without a window and without its words about one.

Where Python has no tkinter, pyo prints three lines on how to get windows, which no setting of its own turns off.
Whatever else it prints at its import is printed.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

ABOUT_WINDOWS = re.compile(
    r"\n?(?:Neither WxPython nor Tkinter are|WxPython is not) found.*?wxpython\.org/?\s*", re.DOTALL
)
"""As `pyo/lib/_widgets.py` of pyo 1.0.6 has it."""


def _imported() -> ModuleType:
    os.environ.setdefault("PYO_GUI_WX", "0")
    os.environ.setdefault("PYO_SERVER_AUDIO", "manual")
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            import pyo as found
    finally:
        if rest := ABOUT_WINDOWS.sub("", printed.getvalue()).strip():
            print(rest, flush=True)
    return found  # type: ignore[no-any-return]


pyo: Any = _imported()
