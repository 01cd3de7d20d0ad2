"""Kernel calls with constant arguments, packed once and run as one call."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.intrinsics import call_c
from antiphon.kernel.native.kernel import address, i64, i64p
from antiphon.kernel.native.step import Step


@kernel
def run_calls(calls: i64p, count: i64) -> None:
    """Runs packed calls in order. calls: the address of a function and of its arguments, each."""
    for n in range(count):
        call_c(calls[2 * n], calls[2 * n + 1])


class PackedCalls:
    """The calls of steps, in order. Built off the block path."""

    def __init__(self, steps: Iterable[Step]) -> None:
        """Packs the calls, and keeps their arrays."""
        self._calls = [call for step in steps for call in step.calls]
        self.count = len(self._calls)
        words = np.zeros(max(1, sum(item.size for item, _ in self._calls)), np.int64)
        table = np.zeros((max(1, self.count), 2), np.int64)
        at = 0
        for row, (item, args) in zip(table, self._calls, strict=False):
            item.pack(args, words.data, at)
            row[:] = item.packed, address(words) + 8 * at
            at += item.size
        self._words, self._table = words, table
        self.table = address(table)  # address of the table that `run_calls` reads
        self._run = run_calls.bind(table, self.count)

    def run(self) -> None:
        """Runs the calls."""
        if self.count:
            self._run()
