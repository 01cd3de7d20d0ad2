"""Control's counters: of `/api/status`, `/status`, the page's list and the sums of `antiphon bench soak`."""

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.engine.link import EngineCounters
from antiphon.kernel.session.node_state import Numbers


@dataclass(frozen=True, slots=True)
class Counter:
    """The declaration of a counter.

    `read`: of the parts of control; None for the engine's counter of that name. `adds`: another counter that is a part
    of it. `kept`: whether the next control process goes on from it; the kernel's own belong to the socket, which stays.
    `level`: whether it is what there is now, and no sum. `osc`: whether it is in `/status.reply`. `label`: its name in
    the page's list, where it stands once it is above 0; "" leaves it out.
    """

    read: Callable[[OscServer], int] | None = None
    label: str = ""
    adds: str = ""
    kept: bool = False
    level: bool = False
    osc: bool = False


COUNTERS = {
    "blocks": Counter(osc=True),
    "missed_blocks": Counter(osc=True),
    "late_blocks": Counter(osc=True),
    # commands that came after their sample
    "late": Counter(osc=True, adds="late_here"),
    # packets, that is UDP datagrams and TCP frames
    "osc_received": Counter(lambda app: app.intake.received, osc=True, kept=True),
    # datagrams that the kernel's or our queue had no room for
    "osc_dropped": Counter(lambda app: app.udp.kernel_dropped(), osc=True, adds="osc_queue_dropped"),
    # messages refused, whether or not an answer was sent
    "osc_failed": Counter(lambda app: app.replies.failed, osc=True, kept=True),
    "engine_restarts": Counter(lambda app: app.link.status().restarts, osc=True, label="sound restarts"),
    "device_xruns": Counter(osc=True, label="dropouts of the sound card"),
    "schedule_dropped": Counter(osc=True),
    "commands_dropped": Counter(lambda app: app.outbox.dropped, osc=True),
    "commands_delayed": Counter(lambda app: app.link.counters().commands_dropped),
    **dict.fromkeys(("reports_dropped", "tap_dropped", "journal_dropped", "nan_blocks", "limited_blocks"), Counter()),
    **dict.fromkeys(("clipped_blocks", "supervisor_faults"), Counter()),
    # blocks in which the interpreter took part, and those with each reason
    **{name: Counter() for name in EngineCounters.__slots__ if name.startswith("interpreted")},
    # each without a processor for .1 s or longer
    "stalls": Counter(label="times that the machine stood still"),
    "scheduled": Counter(lambda app: len(app.session.schedule) + len(app.intake.deferred), osc=True, level=True),
    "dated_bytes": Counter(lambda app: app.intake.deferred.bytes, level=True),
    "dated_dropped": Counter(lambda app: app.intake.deferred.dropped),
    "surfaces": Counter(lambda app: len(app.surfaces), osc=True, level=True),
    "surfaces_expired": Counter(lambda app: app.surfaces.expired),
    "surface_changes": Counter(lambda app: app.access.changes),
    "osc_ignored": Counter(lambda app: app.intake.ignored, kept=True),
    # unexpected exceptions in control
    "faults": Counter(lambda app: app.faults.count, kept=True),
    "osc_held": Counter(lambda app: app.access.held_messages),
    "osc_send_dropped": Counter(lambda app: app.udp.send_dropped + app.tcp.dropped),
    "tcp_connections": Counter(lambda app: len(app.tcp.connections), level=True),
    # connections from addresses without approval
    "tcp_held": Counter(lambda app: len(app.tcp.held_connections), level=True),
    # connections closed to make room for another
    "tcp_displaced": Counter(lambda app: app.tcp.displaced),
    "tcp_timed_out": Counter(lambda app: app.tcp.timed_out),
    "tcp_refused": Counter(lambda app: app.tcp.refused),
    "feedback_sent": Counter(lambda app: app.feedback.sent),
    "osc_queue_dropped": Counter(lambda app: app.udp.queue_dropped, kept=True),
    "late_here": Counter(lambda app: app.intake.late, kept=True),
}
"""All counters by name. Those of `/status.reply` and those that are kept stand in their order: new ones at the end."""
IN_STATUS = tuple(name for name, counter in COUNTERS.items() if counter.osc)
"""Counters after scsynth's nine fields in `/status.reply`, each an `i` that wraps to 0 after 2147483647."""
KEPT = tuple(name for name, counter in COUNTERS.items() if counter.kept)
LABELS = {name: counter.label for name, counter in COUNTERS.items() if not counter.level}
"""Labels of the counters that are sums, by name."""


def save_counts(counters: Numbers, counts: dict[str, int]) -> None:
    """Writes the counters of `KEPT` into the state folder's mapped memory, in that order."""
    for place, name in enumerate(KEPT):
        counters[place] = float(counts[name])


def read_counts(counters: Numbers) -> dict[str, int]:
    """Counters written by `save_counts`; 0 for an invalid number."""
    counts = {name: counters[place] for place, name in enumerate(KEPT)}
    return {name: int(number) if 0 <= number < 2**53 else 0 for name, number in counts.items()}


def counts(app: OscServer, before: dict[str, int]) -> dict[str, int]:
    """All counters by name. `app`: the parts of control; `before`: the `read_counts` at the start of this process."""
    engine: EngineCounters = app.link.counters()
    found = {
        name: before.get(name, 0) + (counter.read(app) if counter.read else getattr(engine, name))
        for name, counter in COUNTERS.items()
    }
    return {name: count + found.get(COUNTERS[name].adds, 0) for name, count in found.items()}
