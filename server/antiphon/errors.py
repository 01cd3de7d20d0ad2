"""One root error; each leaf says whose fault it is.

A message is one sentence a performer can act on: what was wrong, what is allowed, what to do.
"""

from __future__ import annotations


class AntiphonError(Exception):
    """Anything Antiphon refuses. `str(error)` is one line, fit for standard error or `/fail`."""


class WireError(AntiphonError):
    """The peer sent bytes or a message that cannot be used.

    `address` is the OSC address it was meant for, as far as it could be read, else "".
    """

    def __init__(self, message: str, address: str = "") -> None:
        super().__init__(message)
        self.address = address


class ParamError(WireError):
    """A value a parameter does not take; the message names the allowed range."""


class PatchError(AntiphonError):
    """A patch its author has to mend: names file, line, key and what is allowed."""


class PluginError(AntiphonError):
    """A plugin that cannot be loaded or does not keep its contract."""


class EngineError(AntiphonError):
    """An audio device, driver or engine process that cannot do what was asked."""


class Unanswered(EngineError):
    """Nobody answers where something is to be joined, for now: it is asked again."""


class FileError(AntiphonError):
    """A file that cannot be read or written."""


class UsageError(AntiphonError):
    """A command line or a call that makes no sense as given."""
