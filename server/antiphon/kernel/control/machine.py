"""Machine health report: stalls, and missed blocks with the setting that prevents them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from time import monotonic

from antiphon.kernel.engine.drivers.base import MAX_AHEAD, ahead_for
from antiphon.kernel.engine.link import EngineCounters, EngineStatus
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.runtime.settings import MAX_BLOCK

log = logging.getLogger("antiphon.control")
STALL_LOG_SECONDS = 60.0
"""Seconds between two log lines about stalls."""
BUSY_LOAD = 0.8
"""Mean load of a block above which the patch, not the machine's wake-up latency, is taken for the cause."""
CROWDED_LOAD = 2.5
"""Load average per core above which programs other than Antiphon are taken for a cause."""


def setting(engine: EngineStatus, late_ns: int) -> str:
    """Options of the serve command at which blocks `late_ns` late would have been in time."""
    blocks = [block for n in range(7) if (block := engine.block << n) <= MAX_BLOCK]
    if engine.load_mean > BUSY_LOAD and len(blocks) > 1:
        return f"--block {blocks[1]}"
    need = max(engine.ahead + 1, ahead_for(late_ns, engine.block, engine.rate))
    if need <= MAX_AHEAD and late_ns < (MAX_AHEAD - 1) * engine.block * 1e9 / engine.rate:
        return f"--ahead {need}"
    block = next((b for b in blocks[1:] if late_ns < (MAX_AHEAD - 1) * b * 1e9 / engine.rate), blocks[-1])
    return f"--block {block} --ahead {ahead_for(late_ns, block, engine.rate)}"


def late_block_advice(engine: EngineStatus, late_ns: int) -> str:
    """Advice against blocks that were `late_ns` late; no option alone fixes other programs' load."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    others = (
        f"end other programs (load {load:.0f} on {cores} cores), and" if load > CROWDED_LOAD * cores else "to end that,"
    )
    return f"{others} start the server with {setting(engine, late_ns)}"


class MachineWatch:
    """Watches the engine's counters for changes."""

    def __init__(self, link: RemoteEngine, clock: Callable[[], float] = monotonic) -> None:
        """Starts without a reading; `clock` gives seconds."""
        self._link, self._clock = link, clock
        self._before: EngineCounters | None = None
        self._restarts = self._missed = 0
        self._logged = -STALL_LOG_SECONDS
        self.advice = ""  # what to type against the blocks missed so far, as one sentence; "" while none was missed

    def look(self) -> None:
        """Reports changes: a stall at most once a minute, missed blocks once, at their second occurrence."""
        now, engine, before = self._link.counters(), self._link.status(), self._before
        self._before, restarted = now, engine.restarts != self._restarts
        self._restarts = engine.restarts
        if before is None or restarted:
            return
        if now.stalls != before.stalls:
            if self._clock() - self._logged >= STALL_LOG_SECONDS:
                self._logged = self._clock()
                log.warning(
                    "the machine stood still for %.1f s, which is no fault of a node: it was suspended, or is too busy "
                    "(stalls so far: %d)",
                    now.stalled_ns / 1e9,
                    now.stalls,
                )
        elif (missed := now.missed_blocks - before.missed_blocks) > 0:
            self._missed += missed
            if self._missed > missed:
                said, self.advice = (
                    self.advice,
                    (
                        f"{self._missed} blocks were missed, the latest was {now.latest_ns / 1e6:.1f} ms late; "
                        f"{late_block_advice(engine, now.latest_ns)}"
                    ),
                )
                if not said:
                    log.warning(self.advice)
