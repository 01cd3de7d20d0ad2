"""`@kernel` declares a function as a kernel; all declared kernels are compiled before the first block."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from antiphon.native import host, library
from antiphon.native.identity import packed_symbol, symbol
from antiphon.native.kernel import Kernel, P, R

_declared: list[Kernel[Any, Any]] = []


def kernel(python: Callable[P, R]) -> Kernel[P, R]:
    """Declares a kernel: a function in a narrow subset of Python, compiled by LLVM at start or when it is called.

    Each argument and the result have a type: `i64`, `f32`, `f64`, a pointer (`i64p`, `f32p`, `f64p`, `u8p`), `Audio`,
    or None for no result. The body may have local variables, arithmetic, comparisons, `and`, `or`, `not`, `x if c else
    y`, `if`, `while`, `for` over `range`, `break`, `continue`, `return`, indexing, numbers of its module and members of
    its IntEnums, `min`, `max`, `abs`, other kernels, and of `math` sqrt, exp, exp2, log, log2, pow, sin, cos and floor.
    Its module begins with `from __future__ import annotations`. Raises TypeError: an argument or the result has no
    type, or an unknown one. Code outside the subset raises it when the kernel is first called.
    """
    declared = Kernel(python, partial(_compile_module, python.__module__))
    _declared.append(declared)
    return declared


_compiled: list[object] = []


def declared_kernels() -> Sequence[Kernel[Any, Any]]:
    """Every kernel of the modules that have been imported."""
    return tuple(_declared)


def compile_all(processes: int = 1, fork: Callable[[Callable[[], None]], int] | None = None) -> bool:
    """Compiles every declared kernel that is not compiled yet and not in the library.

    Returns whether the cache lacked any. A kernel that fails to compile raises when it is called; the others are
    compiled.

    `processes`: all but this one are forked by `fork`, which runs a function in a child and returns its process id;
        each compiles its share into the cache. Only a process without threads of its own may ask for more than one.
    """
    declared = dict.fromkeys(item.function.__module__ for item in _declared if item.address == 0)
    modules = [module for module in declared if _compile_module(module, build=False)]
    processes = 1 if fork is None else max(1, min(processes, len(modules)))
    children = [fork(partial(_compile_each, modules[n::processes])) for n in range(1, processes)] if fork else []
    _compile_each(modules[::processes])
    for child in children:
        os.waitpid(child, 0)
    _compile_each(modules)  # what the children have compiled is in the cache
    return bool(modules)


def _compile_each(modules: Sequence[str]) -> None:
    for module in modules:
        _compile_module(module)


def _compile_module(module: str, *, build: bool = True) -> bool:
    fresh = library.link(
        item for item in _declared if item.address == 0 and item.error is None and item.function.__module__ == module
    )
    if not fresh:
        return False
    try:
        from antiphon.native import loading  # noqa: F401 - it imports llvmlite
    except ModuleNotFoundError as error:
        if error.name != "llvmlite":
            raise
        for item in fresh:
            item.error = error if host.error_without is None else host.error_without(item.name, "llvmlite")
        return False
    return _compile(fresh, build)


def _compile(items: Sequence[Kernel[Any, Any]], may_build: bool = True) -> bool:
    """Compiles kernels in one LLVM module, or each in its own if that fails. Returns whether the cache lacked them."""
    from antiphon.native import loading

    key = loading.fingerprint(items)
    image = loading.read_cached(key)
    lacked = image is None
    if image is None and not may_build:
        return True
    if image is None:
        from antiphon.native.lower import KernelSyntaxError, build

        try:
            image = build(items, loading.target())
        except KernelSyntaxError as error:
            if len(items) == 1:
                items[0].error = error
            else:
                for item in items:
                    _compile([item])
            return True
        loading.write_cached(key, image)
    names = [symbol(item, n) for n, item in enumerate(items)]
    # an engine each: local symbols of two images in one are taken for another
    engine, addresses = loading.load(image, [*names, *map(packed_symbol, names)])
    _compiled.append(engine)
    for item, address, packed in zip(items, addresses[: len(items)], addresses[len(items) :], strict=True):
        item.link(address, packed)
    return lacked
