"""Control's counters, and what it says of a machine that is too slow."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.engine.drivers.base import MAX_AHEAD, ahead_for
from antiphon.kernel.engine.link import EngineCounters, EngineStatus
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.runtime.settings import MAX_BLOCK
from antiphon.kernel.session.node_state import Numbers
from antiphon.kernel.workers.status import WorkerStatus

log = logging.getLogger("antiphon.control")
STALL_LOG_SECONDS = 60.0
"""Seconds between two log lines about stalls."""
BUSY_LOAD = 0.8
"""Mean load of a block above which the patch, not the machine's wake-up latency, is taken for the cause."""
LATE_SHARE = 0.05
"""Share of a worker's sound whose lack is heard, and said."""
CROWDED_LOAD = 2.5
"""Load average per core above which programs other than Antiphon are taken for a cause."""


def setting(engine: EngineStatus, late_ns: int) -> str:
    """Options of the serve command at which blocks `late_ns` late would have been in time; of JACK also its period."""
    options = _options(engine, late_ns)
    if engine.driver != "jack" or not options.startswith("--block"):
        return options
    return f"{options} (a JACK server of yours: with jackd -p {options.split()[1]})"


def _options(engine: EngineStatus, late_ns: int) -> str:
    blocks = [block for n in range(7) if (block := engine.block << n) <= MAX_BLOCK]
    if engine.load_mean > BUSY_LOAD and len(blocks) > 1:
        return f"--block {blocks[1]}"
    need = max(engine.ahead + 1, ahead_for(late_ns, engine.block, engine.rate))
    if need <= MAX_AHEAD and late_ns < (MAX_AHEAD - 1) * engine.block * 1e9 / engine.rate:
        return f"--ahead {need}"
    block = next((b for b in blocks[1:] if late_ns < (MAX_AHEAD - 1) * b * 1e9 / engine.rate), blocks[-1])
    longer = engine.ahead * engine.block // block + 1
    ahead = min(max(longer, ahead_for(late_ns, block, engine.rate)), MAX_AHEAD)
    return f"--block {block} --ahead {ahead}" if ahead >= longer else ""


def late_advice(setting: str) -> str:
    """Advice against sound that came late, with options of the serve command; none fixes other programs' load.

    `setting`: "" where the options already allow for as much as they can.
    """
    cores, load = os.cpu_count() or 1, os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    others = f"end other programs (load {load:.0f} on {cores} cores)"
    if not setting:
        return f"{others}: --block and --ahead are as large as they can be"
    begin = f"{others}, and" if load > CROWDED_LOAD * cores else "to end that,"
    return f"{begin} start the server with {setting}"


class MachineWatch:
    """Watches the engine's counters for changes."""

    def __init__(
        self, link: RemoteEngine, workers: Callable[[], list[WorkerStatus]], clock: Callable[[], float] = monotonic
    ) -> None:
        """Starts without a reading; `clock` gives seconds."""
        self._link, self._workers, self._clock = link, workers, clock
        self._hops: dict[tuple[str, int], int] = {}
        self._looked, self._late = clock(), ""
        self.answers = ""  # as `advice`, against answers of workers that came too late
        self._before: EngineCounters | None = None
        self._restarts = self._missed = 0
        self._logged = -STALL_LOG_SECONDS
        self.advice = ""  # what to type against the blocks missed so far, as one sentence; "" while none was missed

    def look(self) -> None:
        """Reports changes: a stall at most once a minute, missed blocks and hops once, at their second occurrence."""
        self._look_at_workers()
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
                        f"{late_advice(setting(engine, now.latest_ns))}"
                    ),
                )
                if not said:
                    log.warning(self.advice)

    def _look_at_workers(self) -> None:
        """Names a worker that has been too late with `LATE_SHARE` of its sound at two looks, one after the other."""
        now, before, last = self._clock(), self._hops, self._late
        there = self._workers()
        running = [w for w in there if w.state == "running"]
        if self.answers and not any(self.answers.startswith(f"{w.name} ") for w in there):
            self.answers = ""
        self._hops, self._late = {(w.name, w.node): w.misses for w in running}, ""
        least, self._looked = LATE_SHARE * (now - self._looked) * 1e9, now
        for w in running:
            missed = w.misses - before.get((w.name, w.node), w.misses)
            if missed * w.period_ns > least:
                self._late = w.name
                if last == w.name:
                    said, self.answers = (
                        self.answers,
                        f"{w.name} is too late with its sound, of which {w.misses * w.period_ns / 1e9:.1f} s are "
                        f"missing so far; {late_advice('a larger --block or --ahead')}",
                    )
                    if not said:
                        log.warning(self.answers)


KEPT_COUNTERS = ("osc_received", "osc_queue_dropped", "osc_failed", "late_here", "osc_ignored", "faults")
"""Counters carried over to the next control process. The kernel's own belong to the socket, which stays."""


def save_counts(counters: Numbers, counts: dict[str, int]) -> None:
    """Writes the counters of `KEPT_COUNTERS` into the state folder's mapped memory, in that order."""
    for place, name in enumerate(KEPT_COUNTERS):
        counters[place] = float(counts[name])


def saved_counts(counters: Numbers) -> dict[str, int]:
    """Counters written by `save_counts`; 0 for an invalid number."""
    counts = {name: counters[place] for place, name in enumerate(KEPT_COUNTERS)}
    return {name: int(number) if 0 <= number < 2**53 else 0 for name, number in counts.items()}


def named(record: object, *names: str) -> dict[str, Any]:
    """Attributes of a record by name."""
    return {name: getattr(record, name) for name in names}


def counts(app: OscServer, before: dict[str, int]) -> dict[str, int]:
    """All counters by name.

    Some that need a definition:

    - `osc_received`: packets, that is UDP datagrams and TCP frames.
    - `osc_failed`: messages refused, whether or not an answer was sent.
    - `osc_dropped`: datagrams that the kernel's or our queue had no room for.
    - `late`: commands that came after their sample.
    - `stalls`: times that the machine gave the engine no processor for 0.1 s or longer.
    - `faults`: unexpected exceptions in control.
    - `tcp_held`: connections from addresses without approval.
    - `tcp_displaced`: connections closed to make room for another.

    `app`: the parts of control; `before`: the `saved_counts` at the start of this process.
    """
    intake, engine = app.intake, app.link.counters()
    late_here = before["late_here"] + intake.late
    queue_dropped = before["osc_queue_dropped"] + app.udp.queue_dropped
    return {
        **named(engine, "blocks", "missed_blocks", "late_blocks"),
        "late": engine.late + late_here,
        "osc_received": before["osc_received"] + intake.received,
        "osc_dropped": app.udp.kernel_dropped() + queue_dropped,
        "osc_failed": before["osc_failed"] + app.replies.failed,
        "engine_restarts": app.link.status().restarts,
        **named(engine, "device_xruns", "schedule_dropped"),
        "commands_dropped": app.outbox.dropped,
        "commands_delayed": engine.commands_dropped,
        **named(engine, "reports_dropped", "tap_dropped", "journal_dropped"),
        **named(engine, "nan_blocks", "limited_blocks", "clipped_blocks", "supervisor_faults", "stalls"),
        "scheduled": len(app.session.schedule) + len(app.intake.deferred),
        "dated_bytes": app.intake.deferred.bytes,
        "dated_dropped": app.intake.deferred.dropped,
        "surfaces": len(app.surfaces),
        "surfaces_expired": app.surfaces.expired,
        "surface_changes": app.access.changes,
        "osc_ignored": before["osc_ignored"] + intake.ignored,
        "faults": before["faults"] + app.faults.count,
        "osc_held": app.access.held_messages,
        "osc_send_dropped": app.udp.send_dropped + app.tcp.dropped,
        "tcp_connections": len(app.tcp.connections),
        "tcp_held": len(app.tcp.held),
        "tcp_displaced": app.tcp.displaced,
        "tcp_timed_out": app.tcp.timed_out,
        "tcp_refused": app.tcp.refused,
        "feedback_sent": app.feedback.sent,
        "osc_queue_dropped": queue_dropped,
        "late_here": late_here,
    }
