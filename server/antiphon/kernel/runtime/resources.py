"""The sounds, patches, models and SynthDefs that come with Antiphon; read-only.

A checkout's folders stand before those in the wheel: an editable install would hold stale copies.
"""

import contextlib
import ctypes
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """The root of the working tree this code runs from, or None when it is installed."""
    root = _HERE.parents[1]
    if _HERE.parent.name == "server" and (root / "pyproject.toml").is_file():
        return root
    return None


def source_folders(root: Path) -> list[Path]:
    """Finds the folders of a working tree that contain packages: the server, each distribution's plugins, the lab."""
    return [
        root / "server",
        *sorted(f for f in (root / "plugins").iterdir() if f.is_dir()),
        root / "models",
        root / "bench",
    ]


def folder(name: str) -> Path:
    """Finds a folder that ships with Antiphon; read-only.

    `name`: "library", "patches", "lessons", "models", "supercollider", "docs", or "demo", which is in the package.
    Returns the checkout's where Antiphon runs from one, otherwise the installed one.
    """
    if name == "demo":
        return _HERE / name
    root = checkout()
    return root / name if root is not None else _HERE / "data" / name


def patches() -> Path:
    """The folder of the patches that ship with Antiphon, read-only."""
    return folder("patches")


def models() -> Path:
    """The folder of the weights that ship with Antiphon, in the checkout or installed."""
    return folder("models/weights")


MANIFEST = "manifest.toml"
"""File in the folder of the weights that names them, with their checksums."""


@lru_cache(maxsize=4)
def parse_manifest(text: str) -> dict[str, Any]:
    """A manifest's text as tables; kept, for it takes most of 10 ms, and each model that is loaded asks for it."""
    import tomllib  # what loads no model does without

    return tomllib.loads(text)


LOADING, PLAYING = 128 << 10, 32 << 20
"""Bytes for `return_freed` of a process that loads, and of one that computes hops, in which pages are not to fault."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""


def return_freed(above: int) -> None:
    """Has malloc return what is freed to the system by itself, where it is `above` bytes or more; glibc alone.

    By default glibc takes the largest piece that was freed for the least that it returns, to 32 MB, so that what is
    kept lies between holes. In forks it stays so.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, above)
        mallopt(_TRIM_THRESHOLD, above)


_DONTNEED = 4
"""MADV_DONTNEED of Linux."""


def trim() -> None:
    """Returns freed memory from malloc to the system, where the C library can (`malloc_trim`), and LLVM's pages.

    Loading samples or weights frees as much as it keeps, and 43 MB of LLVM are used again where a plugin is reloaded
    alone. Off the block path: it takes milliseconds.
    """
    unmap_clean("llvmlite")
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def unmap_clean(library: str) -> None:
    """Takes the pages of a shared library that hold what its file holds out of this process.

    They were mapped when they were used, and count as this process's memory from then on. Used again, they come from
    the file's cache. Pages that were written, as those with relocated addresses, stay. Linux only.
    """
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        found = [line.split(maxsplit=2)[:2] for line in lines if library in line]
        for (place, use), (_, following) in pairwise(found):
            if "w" in use + following:  # before what may be written stands what was written as it was loaded
                continue
            begin, end = (int(part, 16) for part in place.split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _DONTNEED)
