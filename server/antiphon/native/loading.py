"""Loads machine code, and caches it between runs: compiling takes LLVM most of a second, loading 10 ms.

The cache is in the environment Antiphon is installed in, or in the user's cache folder, under a
name that holds everything it depends on: the kernels' code and constants, this compiler, LLVM and
the CPU. A file of another owner or with a wrong checksum is not loaded.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from types import CodeType
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from antiphon.errors import AntiphonError
from antiphon.native.kernel import Kernel
from antiphon.runtime import paths

_DIGEST = 32


def symbol(item: Kernel[Any, Any], place: int) -> str:
    """A kernel's name in the object file; `place` distinguishes kernels with the same name."""
    return f"{item.name}.{place}"


def packed_symbol(name: str) -> str:
    """The name of the function that takes the arguments of the kernel with that symbol from words."""
    return f"{name}.packed"


def target() -> Any:
    """LLVM's target machine for this CPU."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, reloc="pic"
    )


def load(image: bytes, symbols: Sequence[str]) -> tuple[object, list[int]]:
    """(owner of the memory, addresses of the symbols)."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(image))
    engine.finalize_object()
    return engine, [engine.get_function_address(name) for name in symbols]


def fingerprint(items: Sequence[Kernel[Any, Any]]) -> str:
    """A file name from a hash of everything that determines the machine code of `items`."""
    parts: list[object] = [llvmlite.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    parts += [(Path(__file__).parent / name).read_bytes() for name in ("lower.py", "arithmetic.py")]
    seen: set[Kernel[Any, Any]] = set()
    for item in items:
        _describe(item, parts, seen)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def members(value: object) -> dict[str, int]:
    """The members of an IntEnum, which kernels may name as `Class.MEMBER`; none if `value` is not an IntEnum."""
    if isinstance(value, type) and issubclass(value, IntEnum):
        return {name: int(member) for name, member in value.__members__.items()}
    return {}


def _describe(item: Kernel[Any, Any], parts: list[object], seen: set[Kernel[Any, Any]]) -> None:
    if item in seen:
        return
    seen.add(item)
    code: CodeType = item.function.__code__
    parts += [item.name, item.flat, item.returns, code.co_code, code.co_consts, code.co_names, code.co_varnames]
    outside = dict(item.function.__globals__)
    cells = item.function.__closure__ or ()
    outside |= {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}
    for name in (*code.co_names, *code.co_freevars):
        value = outside.get(name)
        if isinstance(value, int | float):
            parts.append((name, value))
        elif named := members(value):
            parts.append((name, named))
        elif isinstance(value, Kernel):
            _describe(value, parts, seen)


def _folders() -> Iterator[Path]:
    """Cache folders in order of preference: in the virtual environment, then in the user's cache."""
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix) / "var" / "antiphon" / "kernels"
    yield paths.cache() / "kernels"


def read_cached(key: str) -> bytes | None:
    """Reads machine code from the cache; None if it is missing, of another owner or damaged."""
    for folder in _folders():
        path = folder / key
        try:
            if path.stat().st_uid != os.getuid() or folder.stat().st_uid != os.getuid():
                continue
            data = path.read_bytes()
        except OSError:
            continue
        checksum, image = data[:_DIGEST], data[_DIGEST:]
        if hashlib.sha256(image).digest() == checksum:
            return image
    return None


def write_cached(key: str, image: bytes) -> None:
    """Writes machine code to the first cache folder that can be written; otherwise it is compiled again next time."""
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            paths.write_atomic(folder / key, hashlib.sha256(image).digest() + image, 0o600)
        except (OSError, AntiphonError):
            continue
        return
