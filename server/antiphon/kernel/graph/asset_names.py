"""Values of parameters of kind file: a name in the library when sent over the network, any path on the command line."""

from __future__ import annotations

from pathlib import Path

from antiphon.kernel.errors import AntiphonError, FileError, RequestError
from antiphon.kernel.runtime import paths, resources

SHOWN = 8


def locate_asset(text: str, error: type[AntiphonError] = FileError) -> str:
    """The path of a file parameter's value.

    `text`: name in the library, the performer's first, then the one that ships with Antiphon; "" and absolute paths,
    which only the command line can give, are returned unchanged.
    """
    if not text or Path(text).is_absolute():
        return text
    return str(_found(text, error))


def _found(text: str, error: type[AntiphonError]) -> Path:
    own = paths.inside(paths.library(), text, error=error)
    built_in = resources.folder("library") / own.name
    return built_in if not own.exists() and built_in.exists() else own


def check_name(text: str) -> str:
    """Checks a file name sent over the network. Raises RequestError, which lists the library, without one."""
    if not text:
        return text
    if not _found(text, RequestError).exists():
        raise RequestError(f"the library holds no {text!r}; it holds: {list_names()}")
    return text


def there(text: str) -> str:
    """Checks that a parameter's earlier value (name or absolute path) exists. Raises RequestError otherwise."""
    if text and not Path(locate_asset(text, RequestError)).exists():
        raise RequestError(f"the file {text!r} no longer exists")
    return text


def name_asset(text: str) -> str | None:
    """The library's name for an absolute path; None for a file outside it. Other values are returned unchanged."""
    path = Path(text)
    if not text or not path.is_absolute():
        return text
    inside = paths.library() / path.name
    return path.name if paths.same(path, inside) else None


def list_names() -> str:
    """The first `SHOWN` names in the library as a phrase, with the number of the others; "nothing" when empty."""
    try:
        names = sorted(p.name for p in paths.library().iterdir() if not p.name.startswith("."))
    except OSError:
        names = []
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "") or "nothing"
