"""Ahead-of-time library of kernels for systems without LLVM; symbols are hashes of the code they depend on."""

import ctypes
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import FileError
from antiphon.kernel.native.identity import digest, packed_symbol
from antiphon.kernel.native.kernel import Kernel

NAME = "antiphon-kernels.so"
_LIBRARIES = ("-l:libm.so.6", "-l:libc.so.6")
"""Libraries the machine code links to, by their run-time names: no headers or development files are needed."""


def library_path() -> Path:
    """Path of this environment's library. Write access to it already means running any code."""
    return Path(sys.prefix) / "lib" / NAME


def link(items: Iterable[Kernel[Any, Any]]) -> list[Kernel[Any, Any]]:
    """Links kernels with the machine code of the library, and returns those that it lacks."""
    library = _opened(library_path())
    return list(items) if library is None else [item for item in items if not _linked(item, library)]


def write(items: Iterable[Kernel[Any, Any]], path: Path) -> int:
    """Library of compiled kernels for any CPU of the target (x86-64-v2); `FileError` where `ld` is missing or fails."""
    import subprocess
    import tempfile

    from antiphon.kernel.native.loading import portable_target
    from antiphon.kernel.native.lower import build

    wanted = {_symbol(item): item for item in items}
    # a kernel that another calls, and that is like one of the library, is compiled once more under another name
    names: dict[str, int] = {}

    def named(item: Kernel[Any, Any], _place: int) -> str:
        name = _symbol(item)
        names[name] = names.get(name, 0) + 1
        return name if names[name] == 1 else f"{name}.{names[name]}"

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "kernels.o"
        image.write_bytes(build(wanted.values(), portable_target(), named))
        command = ["ld", "-shared", "-z", "relro", "-z", "now", "-z", "noexecstack", "-o", str(path), str(image)]
        try:
            done = subprocess.run([*command, *_LIBRARIES], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise FileError(f"{path} needs the linker ld: sudo apt-get install binutils") from None
    if done.returncode:
        raise FileError(f"{path} could not be linked: {done.stderr.strip() or done.returncode}")
    return len(wanted)


def _symbol(item: Kernel[Any, Any]) -> str:
    return f"kernel_{digest([item])}"


@cache
def _opened(path: Path) -> ctypes.CDLL | None:
    return ctypes.CDLL(str(path)) if path.exists() else None


def _linked(item: Kernel[Any, Any], library: ctypes.CDLL) -> bool:
    name = _symbol(item)
    try:
        functions = library[name], library[packed_symbol(name)]
    except AttributeError:
        return False
    address, packed = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
    item.link(address, packed)
    return True
