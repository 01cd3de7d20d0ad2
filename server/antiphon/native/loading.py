"""Machine code and its cache (10 ms instead of 1 s), by hashes of code, compiler, LLVM, CPU; for this owner only."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from antiphon.native import host
from antiphon.native.identity import digest
from antiphon.native.kernel import Kernel

_DIGEST = 32


def target() -> Any:
    """LLVM's target machine for this CPU."""
    return _native().create_target_machine(cpu=_cpu()[0], features=_cpu()[1], opt=3, reloc="pic")


def _native() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def load(image: bytes, symbols: Sequence[str]) -> tuple[object, list[int]]:
    """Loads machine code. Returns (owner of the memory, addresses of the symbols)."""
    # `image` is machine code already: this target compiles an empty module, and passes would be most of the cost
    compiles_nothing = _native().create_target_machine(opt=0, reloc="pic")
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), compiles_nothing)
    engine.add_object_file(llvm.ObjectFileRef.from_data(image))
    engine.finalize_object()
    return engine, [engine.get_function_address(name) for name in symbols]


def fingerprint(items: Sequence[Kernel[Any, Any]]) -> str:
    """File name from a hash of everything that determines the machine code of `items`."""
    return digest(items, llvmlite.__version__, *_cpu())


@cache
def _cpu() -> tuple[str, str]:
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _folders() -> Iterator[Path]:
    """Cache folders in order of preference: in the virtual environment, then in the user's cache."""
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix) / "var" / "antiphon" / "kernels"
    if host.cache_folder is not None:
        yield host.cache_folder()


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
    """Writes machine code to the first writable cache folder; without one it is recompiled next time."""
    for folder in _folders():
        part = folder / f".{key}.{os.getpid()}.tmp"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)  # left by a killed process that had the same id
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
                file.write(hashlib.sha256(image).digest() + image)
            part.replace(folder / key)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            continue
        return
