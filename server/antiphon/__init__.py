"""Antiphon: a live audio server that listens and answers.

`antiphon serve` starts it. `antiphon.run` and its neighbours do the same work on sounds of a Python program.
`antiphon.api` is for plugins.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon import aio as aio
    from antiphon.kernel.errors import AntiphonError as AntiphonError
    from antiphon.operations.chain import Chain as Chain, Model as Model, Stream as Stream
    from antiphon.operations.given import Note as Note
    from antiphon.operations.listening import Song as Song, analyse as analyse
    from antiphon.operations.lists import ask as ask
    from antiphon.operations.python import render as render, run as run
    from antiphon.operations.remote import Remote as Remote, Server as Server, connect as connect
    from antiphon.operations.result import Result as Result

__version__: str

_PLACES = {
    "AntiphonError": "antiphon.kernel.errors",
    "Note": "antiphon.operations.given",
    "Result": "antiphon.operations.result",
    "Chain": "antiphon.operations.chain",
    "Model": "antiphon.operations.chain",
    "Remote": "antiphon.operations.remote",
    "Server": "antiphon.operations.remote",
    "Song": "antiphon.operations.listening",
    "Stream": "antiphon.operations.chain",
    "analyse": "antiphon.operations.listening",
    "ask": "antiphon.operations.lists",
    "connect": "antiphon.operations.remote",
    "render": "antiphon.operations.python",
    "run": "antiphon.operations.python",
}
"""Module of each name, imported when the name is used: a start of the server needs none of them."""
__all__ = [
    "AntiphonError",
    "Chain",
    "Model",
    "Note",
    "Remote",
    "Result",
    "Server",
    "Song",
    "Stream",
    "__version__",
    "analyse",
    "ask",
    "connect",
    "render",
    "run",
]


def __getattr__(name: str) -> Any:
    """Returns a public name, which is imported at its first use, since its import would delay every start."""
    if name in _PLACES:
        from importlib import import_module

        value = getattr(import_module(_PLACES[name]), name)
    elif name == "aio":
        from importlib import import_module

        value = import_module("antiphon.aio")
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("antiphon")
    except PackageNotFoundError:
        return "0+source"
