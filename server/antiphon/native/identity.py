"""Hash of all inputs of a kernel's machine code, and the symbol names of its functions."""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from antiphon.native.kernel import Kernel


def symbol(item: Kernel[Any, Any], place: int) -> str:
    """Symbol name of a kernel in the object file; `place` distinguishes kernels of one name."""
    return f"{item.name}.{place}"


def packed_symbol(name: str) -> str:
    """Symbol name of the function that reads that kernel's arguments from words."""
    return f"{name}.packed"


def digest(items: Sequence[Kernel[Any, Any]], *others: object, by_file: bool = False) -> str:
    """Hash of the code and constants of `items`, of the compiler's own code, and of `others`.

    `by_file`: hashes source files in place of bytecode, which differs by Python version; OSError without a file.
    """
    parts = [*others, *(_file_hash(Path(__file__).parent / name) for name in ("lower.py",))]
    seen: set[Kernel[Any, Any]] = set()
    for item in items:
        _append_identity_parts(item, by_file, parts, seen)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _file_hash(file: Path, _changed: int = 0) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def members(value: object) -> dict[str, int]:
    """Members of an IntEnum, which kernels may name as `Class.MEMBER`; empty if `value` is not an IntEnum."""
    if isinstance(value, type) and issubclass(value, IntEnum):
        return {name: int(member) for name, member in value.__members__.items()}
    return {}


def _append_identity_parts(
    item: Kernel[Any, Any], by_file: bool, parts: list[object], seen: set[Kernel[Any, Any]]
) -> None:
    if item in seen:
        return
    seen.add(item)
    code: CodeType = item.function.__code__
    parts += [item.name, item.flat, item.returns]
    if by_file:
        file = Path(code.co_filename)
        parts += [_file_hash(file, file.stat().st_mtime_ns), code.co_firstlineno]
    else:
        parts += [code.co_code, code.co_consts, code.co_names, code.co_varnames]
    outside = dict(item.function.__globals__)
    cells = item.function.__closure__ or ()
    outside |= {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}
    for name in sorted({*code.co_names, *code.co_freevars}):
        value = outside.get(name)
        if isinstance(value, int | float):
            parts.append((name, value))
        elif named := members(value):
            parts.append((name, named))
        elif isinstance(value, Kernel):
            _append_identity_parts(value, by_file, parts, seen)
