"""Counters of a server over a long run, summed over restarts of its processes."""

import http.client
import socket
import time
from typing import Any

from antiphon_bench.rig import ServerProcess, message

PLAIN = (
    "blocks", "missed_blocks", "late_blocks", "late", "osc_received", "osc_dropped", "osc_failed", "schedule_dropped",
    "commands_dropped", "reports_dropped", "tap_dropped", "osc_send_dropped", "nan_blocks",
)  # fmt: skip
_PINGS = 5


class CounterSums:
    """Sums of counters that restart at 0 with their process. failed: nodes that were failed at the last query."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._unanswered = 0
        self.failed: tuple[str, ...] = ()

    def take(self, server: ServerProcess) -> None:
        """Queries the server. A query without an answer (control may just have been killed) is counted."""
        try:
            status = server.status()
        except (OSError, ValueError, http.client.HTTPException):
            status = {}
        if "engine" in status:  # else control was away, which web answers with its reason
            self.add(status)
        else:
            self._unanswered += 1

    def add(self, status: dict[str, Any]) -> None:
        self.failed = tuple(node["name"] for node in status.get("nodes", ()) if node["state"] == "failed")
        for name in PLAIN:
            self._add(name, name, int(status.get(name, 0)))
        self._add("engine_restarts", "engine_restarts", int(status["engine"]["restarts"]))
        for worker in status["workers"]:
            key = f"{worker['model']} {worker['node']}"
            self._add("worker_misses", f"misses {key}", int(worker["misses"]))
            self._add("worker_restarts", f"restarts {worker['model']}", int(worker["restarts"]))
        if status["synth"]:
            self._add("synth_misses", "synth misses", int(status["synth"]["misses"]))
            self._add("worker_restarts", "synth restarts", int(status["synth"]["restarts"]))

    def totals(self) -> dict[str, int]:
        return {**self._sums, "status_unanswered": self._unanswered}

    def _add(self, total: str, key: str, value: int) -> None:
        before = self._last.get(key, 0)
        self._sums[total] = self._sums.get(total, 0) + (value - before if value >= before else value)
        self._last[key] = value


def offset(port: int) -> float | None:
    """Seconds by which the sample clock is ahead of CLOCK_MONOTONIC, by the quickest of some pings; None unanswered."""
    from pythonosc.osc_message import OscMessage

    best: tuple[float, float] | None = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        sock.connect(("127.0.0.1", port))
        for _ in range(_PINGS):
            before = time.monotonic()
            try:
                sock.send(message("/ping"))
                clock = float(OscMessage(sock.recv(4096)).params[-1])
            except (OSError, ValueError):
                continue
            took = time.monotonic() - before
            if best is None or took < best[0]:
                best = (took, clock - before - took / 2)
    return best[1] if best else None
