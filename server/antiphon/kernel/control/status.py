"""Control's counters."""

from typing import Any

from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.session.node_state import Numbers

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
