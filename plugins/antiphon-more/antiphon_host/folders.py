"""System folders of CLAP and VST3 plugins; nothing outside them is loaded."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from antiphon.api import ParamError

_VARIABLES = {"clap": "CLAP_PATH", "vst3": "VST3_PATH"}


def folders(kind: str) -> list[Path]:
    """Folders of a kind, "clap" or "vst3": the user's, the system's, and those of CLAP_PATH or VST3_PATH."""
    home, name = Path.home(), kind.upper()
    if sys.platform == "darwin":
        found = [root / "Library/Audio/Plug-Ins" / name for root in (home, Path("/"))]
    elif sys.platform == "win32":
        common = os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files")
        local = os.environ.get("LOCALAPPDATA", str(home))
        found = [Path(common) / name, Path(local) / "Programs/Common" / name]
    else:
        found = [home / f".{kind}", Path("/usr/local/lib") / kind, Path("/usr/lib") / kind]
    more = os.environ.get(_VARIABLES[kind], "").split(os.pathsep)
    return [*(Path(folder) for folder in more if os.path.isabs(folder)), *found]


def libraries(kind: str) -> Iterator[Path]:
    """The plugins in the folders of a kind, by path."""
    seen: set[Path] = set()
    for folder in folders(kind):
        for path in sorted(folder.glob(f"**/*.{kind}")):
            inside_other = any(parent.suffix == f".{kind}" for parent in path.parents)
            if path.resolve() not in seen and not inside_other:
                seen.add(path.resolve())
                yield path


def allowed(kind: str, text: str) -> Path:
    """The path of a plugin, or its name in a folder. Raises ParamError: it is not in the folders of its kind."""
    for path in libraries(kind):
        if text in (str(path), path.name, path.stem):
            return path
    where = ", ".join(str(folder) for folder in folders(kind))
    raise ParamError(f"is in none of the folders of {kind.upper()} plugins ({where})")
