"""What a parameter of kind file means: over the network a name in the library, on the command line any path."""

from __future__ import annotations

from pathlib import Path

from antiphon.errors import AntiphonError, FileError, WireError
from antiphon.runtime import paths

SHOWN = 8


def located(text: str, error: type[AntiphonError] = FileError) -> str:
    """The path of a name in the library; "" and whole paths, which only the command line can have given, stay."""
    if not text or Path(text).is_absolute():
        return text
    return str(paths.inside(paths.library(), text, error=error))


def checked(text: str) -> str:
    """A name from the network as it is, or `WireError` with what the library holds."""
    if not text:
        return text
    path = paths.inside(paths.library(), text, error=WireError)
    if not path.exists():
        raise WireError(f"the library holds no {text!r}; it holds: {listed()}")
    return text


def there(text: str) -> str:
    """A value that a parameter had already, a name or a whole path, or `WireError` when its file is there no more."""
    if text and not Path(located(text, WireError)).exists():
        raise WireError(f"the file {text!r} is there no more")
    return text


def named(text: str) -> str | None:
    """The name that the library has for a file; None for one outside it."""
    path = Path(text)
    if not text or not path.is_absolute():
        return text
    inside = paths.library() / path.name
    return path.name if paths.same(path, inside) else None


def listed() -> str:
    """A few names of what is there."""
    try:
        names = sorted(p.name for p in paths.library().iterdir() if not p.name.startswith("."))
    except OSError:
        names = []
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "") or "nothing"
