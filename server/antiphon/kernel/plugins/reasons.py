"""An exception from a plugin, as one sentence."""

from __future__ import annotations

from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime.importing import raised_at


def reason_of(error: BaseException) -> str:
    """An exception as one sentence, with file and line in the plugin where it was raised."""
    # the text of a SyntaxError has the place already
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:300]
    if isinstance(error, AntiphonError):
        return text
    where = raised_at(error)
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"
