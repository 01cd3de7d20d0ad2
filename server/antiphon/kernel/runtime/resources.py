"""The sounds, patches, models and SynthDefs that come with Antiphon; read-only.

A checkout's folders come before those of the wheel, since an editable install would hold stale copies.
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
    """Returns the path of a read-only folder that ships with Antiphon.

    `name`: "library", "patches", "lessons", "models", "supercollider", "docs", or "demo", which is in the package. The
    folder is the checkout's where Antiphon runs from one, otherwise the installed one.
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
    """Parses a manifest into tables, cached: it takes most of 10 ms, and every model that is loaded needs it."""
    import tomllib  # what loads no model does without

    return tomllib.loads(text)


LOADING, PLAYING = 128 << 10, 32 << 20
"""Values of `set_trim_threshold` for a process that loads, and for one that computes hops, where no page may fault."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""


def set_trim_threshold(above: int) -> None:
    """Makes malloc return freed blocks of `above` bytes or more to the system by itself; glibc only.

    By default glibc raises that limit to the size of the largest freed block, up to 32 MB, so that kept memory lies
    between holes. Forked processes inherit the setting.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, above)
        mallopt(_TRIM_THRESHOLD, above)


_DONTNEED = 4
"""MADV_DONTNEED of Linux."""


def trim() -> None:
    """Returns malloc's freed memory to the system, where the C library can (`malloc_trim`), and LLVM's pages.

    Loading samples or weights frees as much as it keeps, and 43 MB of LLVM are used again only where a plugin is
    reloaded. Off the block path: it takes milliseconds.
    """
    unmap_clean("llvmlite")
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def unmap_clean(library: str) -> None:
    """Unmaps the pages of a shared library that are unchanged from its file.

    They were mapped when they were used, and count as this process's memory since then. When used again, they come from
    the file's cache. Pages that were written, such as those with relocated addresses, stay. Linux only.
    """
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        found = [line.split(maxsplit=2)[:2] for line in lines if library in line]
        for (place, use), (_, following) in pairwise(found):
            if "w" in use + following:  # before what may be written stands what was written as it was loaded
                continue
            begin, end = (int(part, 16) for part in place.split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _DONTNEED)
