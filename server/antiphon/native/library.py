"""Machine code of the shipped kernels, which `tools/prebuilt.py` puts into the wheels of platforms."""

import ctypes
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from antiphon.native.identity import digest, packed_symbol
from antiphon.native.kernel import Kernel

FOLDER = Path(__file__).resolve().parents[1] / "data" / "kernels"
"""Folder of the libraries, in an installation out of a platform's wheel."""
LEVELS = {"x86-64-v4": ("AVX512_ICL",), "x86-64-v3": ("AVX2", "FMA3"), "base": ()}
"""Names of the libraries, the fastest first, and numpy's names of the CPU features that each needs.

The one for x86-64-v4 uses vectors of 512 bits, for which CPUs before Ice Lake lower their clock.
"""


def path() -> Path:
    """The fastest library for this CPU. Whoever may write it may run any code already."""
    from numpy._core._multiarray_umath import __cpu_features__ as has  # type: ignore[import-not-found]

    files = (FOLDER / f"{name}.so" for name, needs in LEVELS.items() if all(has.get(need) for need in needs))
    return next((file for file in files if file.exists()), FOLDER / "base.so")


def link(items: Iterable[Kernel[Any, Any]]) -> list[Kernel[Any, Any]]:
    """Links kernels with the machine code of the library, and returns those that it lacks."""
    library = _opened(path())
    return list(items) if library is None else [item for item in items if not _link_kernel(item, library)]


def symbol(item: Kernel[Any, Any]) -> str:
    """Symbol name of a kernel in the library, a hash of its machine code's inputs; "" for one that is in no file."""
    try:
        return f"kernel_{digest([item], by_file=True)[:32]}"
    except OSError:
        return ""


@cache
def _opened(path: Path) -> ctypes.CDLL | None:
    if not path.exists():
        return None
    try:
        whole = path.stat().st_size >= _end_of_elf(path)
        return ctypes.CDLL(str(path)) if whole else None
    except OSError:  # damaged, or for another system: its kernels are compiled
        return None


def _end_of_elf(path: Path) -> int:
    """Size of a library of Linux by its own header, whose table of sections is last; 0 for another system's.

    A library that is cut is mapped all the same, and ends the process where its missing part is read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        return 0
    (start,) = struct.unpack_from("<Q", head, 40)
    size, count = struct.unpack_from("<HH", head, 58)
    return int(start + size * count)


def _link_kernel(item: Kernel[Any, Any], library: ctypes.CDLL) -> bool:
    try:
        functions = [library[name] for name in (symbol(item), packed_symbol(symbol(item)))]
    except AttributeError:
        return False
    address, packed = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
    item.link(address, packed)
    return True
