"""Calls from machine code into the interpreter."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from antiphon.native.compiling import kernel
from antiphon.native.intrinsics import address_i64, call_c
from antiphon.native.kernel import address, i64

RAISED = -1
"""What machine code gets from a `CallBack` that raised."""
_FUNCTION, _ENDED, _RESULT = range(3)
"""Words at a `CallBack`'s address: of ctypes' function, 1 if its last call ended, and what that gave."""
_CALL_BACK = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)


@kernel
def call_python(function: i64, first: i64, second: i64) -> i64:
    """Calls a `CallBack` at its address. Returns what its function returns, or `RAISED`."""
    words = address_i64(function)
    words[_ENDED] = 0
    call_c(words[_FUNCTION], first, second)
    return words[_RESULT] if words[_ENDED] != 0 else RAISED


class CallBack:
    """A Python function of two whole numbers that gives one, at an `address` for `call_python`.

    It takes the interpreter's lock. No exception passes through machine code: it is kept, and `check` raises it.
    """

    def __init__(self, function: Callable[[int, int], int]) -> None:
        if not isinstance(sys.unraisablehook, _Hook):
            sys.unraisablehook = _Hook(sys.unraisablehook)
        words = np.zeros(3, np.int64)
        self._call, self.address = _Call(function, words.data), address(words)
        self._function = _CALL_BACK(self._call)
        words[_FUNCTION] = ctypes.cast(self._function, ctypes.c_void_p).value or 0

    def check(self) -> None:
        """Raises what the function has raised since the last check."""
        error, self._call.error = self._call.error, None
        if error is not None:
            raise error


class _Call:
    """What ctypes calls: the function, with its result in the words.

    A signal that came during machine code is handled as this begins, before any `try`: what its handler raises goes to
    `sys.unraisablehook`, and the result that ctypes gives is undefined. So the end of the call is a word of its own.
    """

    def __init__(self, function: Callable[[int, int], int], words: memoryview) -> None:
        self._function, self._words = function, words
        self.error: BaseException | None = None

    def __call__(self, first: int, second: int) -> None:
        try:
            self._words[_RESULT] = self._function(first, second)
            self._words[_ENDED] = 1
        except BaseException as error:  # an exit and an interrupt, too
            self.error = error


class _Hook:
    """A `sys.unraisablehook` that keeps what a `_Call` raised as it began; another hook gets all else."""

    def __init__(self, other: Callable[[Any], object]) -> None:
        self._other = other

    def __call__(self, unraisable: Any) -> None:
        if isinstance(unraisable.object, _Call):
            unraisable.object.error = unraisable.exc_value
        else:
            self._other(unraisable)
