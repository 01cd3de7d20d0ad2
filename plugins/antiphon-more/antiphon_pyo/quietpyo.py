"""Import of pyo without a window and without its messages about one.

pyo is imported as if Python had no tkinter, which would add 4 MB and a tenth to the time of the import. It then prints
three lines on how to get windows, which no setting of its own turns off. Its other output is printed.
"""

import io
import os
import re
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

ABOUT_WINDOWS = re.compile(
    r"\n?(?:Neither WxPython nor Tkinter are|WxPython is not) found.*?wxpython\.org/?\s*", re.DOTALL
)
"""Message text of `pyo/lib/_widgets.py` in pyo 1.0.6."""


def _imported() -> ModuleType:
    os.environ.setdefault("PYO_GUI_WX", "0")
    os.environ.setdefault("PYO_SERVER_AUDIO", "manual")
    printed = io.StringIO()
    before = sys.modules.get("tkinter")
    sys.modules["tkinter"] = None  # type: ignore[assignment] # an import of it raises ImportError
    try:
        with redirect_stdout(printed):
            import pyo as found
    finally:
        if before is None:
            del sys.modules["tkinter"]
        else:
            sys.modules["tkinter"] = before
        if rest := ABOUT_WINDOWS.sub("", printed.getvalue()).strip():
            print(rest, flush=True)
    return found  # type: ignore[no-any-return]


pyo: Any = _imported()
