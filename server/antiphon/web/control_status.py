"""Control's figures of `GET /api/status`."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from antiphon.joining import set_lists
from antiphon.joining.set_lists import Sets
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.osc.counters import LABELS
from antiphon.kernel.control.osc.handlers.time import clock_leader_name
from antiphon.kernel.engine.drivers.base import MAX_AHEAD, ahead_for
from antiphon.kernel.engine.link import EngineCounters, EngineStatus
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.settings import MAX_BLOCK
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.workers.status import WorkerStatus
from antiphon.recording.note import RecordingNote, read_note

# ---- What the log and `/api/status` say of a machine that is too slow, with the options of `serve` that help

log = logging.getLogger("antiphon.control")
LOOK_SECONDS = 0.5
STALL_LOG_SECONDS = 60.0
"""Seconds between two log lines about stalls."""
BUSY_LOAD = 0.8
"""Mean load of a block above which the patch, not the wake-up latency, is assumed to be the cause."""
LATE_SHARE = 0.05
"""Fraction of missing sound of a worker that is audible, and reported."""
CROWDED_LOAD = 2.5
"""Load average per core above which other programs are assumed to be a cause."""


def setting(engine: EngineStatus, late_ns: int) -> str:
    """Options of `serve` with which blocks `late_ns` late would have been in time; for JACK also the period."""
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
    """Advice against late sound, with options of the serve command; no option fixes other programs' load.

    `setting`: options to advise; "" if they are already at their limits.
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

    async def serve(self, faults: ControlFaults) -> None:
        """Looks every `LOOK_SECONDS` until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            faults.attempt("the machine", self.look)

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
                first = not self.advice
                self.advice = (
                    f"{self._missed} blocks were missed, the latest was {now.latest_ns / 1e6:.1f} ms late; "
                    f"{late_advice(setting(engine, now.latest_ns))}"
                )
                if first:
                    log.warning(self.advice)

    def _look_at_workers(self) -> None:
        """Reports a worker whose sound was late by `LATE_SHARE` at two consecutive checks."""
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
                    first = not self.answers
                    self.answers = (
                        f"{w.name} is too late with its sound, of which {w.misses * w.period_ns / 1e9:.1f} s are "
                        f"missing so far; {late_advice('a larger --block or --ahead')}"
                    )
                    if first:
                        log.warning(self.answers)


# ---- Control's figures of `GET /api/status`

MACHINE = "machine"
"""Name of the `MachineWatch` among control's companions."""
SYNTH = "synth/"
"""Prefix of the names of synth workers."""


def status(app: ControlApp) -> dict[str, Any]:
    """The answer to `GET /api/status`; latencies are in frames."""
    counters = app.counts()
    engine, session = app.link.status(), app.session
    beat, bpm, playing = app.link.tempo_now()
    names = {node.id: node.name for node in session.state.nodes.values()}
    loads, workers = app.link.node_loads(), app.workers()
    return {
        **counters,
        "counters": LABELS,
        "control": {"pid": os.getpid(), "state": "running"},
        "engine": {
            **attributes_of(engine, "pid", "state", "restarts", "driver", "rate", "block", "channels", "ahead"),
            **attributes_of(engine, "device_rate", "device_block"),
            "device": app.device.name,
            "input": app.device.input,
            "wake_late_ms": round(engine.wake_late_ns / 1e6, 2),
            **attributes_of(engine, "load_mean", "load_peak"),
        },
        "workers": [
            {
                "node": names.get(w.node, ""),
                **attributes_of(w, "pid", "state", "restarts", "misses"),
                "model": w.name,
                **attributes_of(w, "device", "reason"),
                "load": round(w.hop_ns[0] / w.period_ns, 4),
                "hops": w.hops,
            }
            for w in workers
            if not w.name.startswith(SYNTH)
        ],
        "synth": synth([w for w in workers if w.name.startswith(SYNTH)]),
        **_transports(app, {*counters, "control", "engine", "workers"}),
        "latency": {"driver": engine.latency_driver, "ring": engine.latency_ring, "graph": engine.latency_graph},
        "nodes": [
            {
                "name": n.name,
                "type": n.info.type,
                **attributes_of(n, "state", "reason"),
                "load": round(loads.get(n.id, 0.0), 5),
                "waits": _wait_reason(app, n),
            }
            for n in session.state.nodes.values()
        ],
        "patch": session.state.shown.name,
        "loading": session.state.coming,
        "hint": "" if app.session.state.shown.patch is None else app.session.state.shown.patch.hint,
        "set": _set(app),
        "tempo": bpm,
        "beat": beat,
        "playing": playing,
        "leads": clock_leader_name(app),
        "awaits": names.get(app.plans.awaited, ""),
        "headphones": not app.plans.loudspeakers,
        "bar": session.state.bar,
        **_recording_starts(app),
        "osc_port": app.udp.port,
        "osc_receive_buffer": app.udp.receive_buffer,
        "trouble": "; ".join(filter(None, _list_troubles(app))),
        "warning": app.plans.warning,
        "load_weighed": app.plans.weight,
        "plugins_failed": [{"name": f.name, "reason": f.reason} for f in app.catalog.failures],
    }


def attributes_of(record: object, *names: str) -> dict[str, Any]:
    """Attributes of a record by name."""
    return {name: getattr(record, name) for name in names}


def _set(app: ControlApp) -> dict[str, Any] | None:
    """The set list and the place in it; None without one."""
    sets: Sets | None = app.joined.get(set_lists.NAME)
    midi = {} if app.session.state.shown.patch is None else app.session.state.shown.patch.midi
    return None if sets is None else sets.status(app.session.state.shown.path, midi)


def _wait_reason(app: ControlApp, node: Node) -> str:
    """Reason for which a node waits, from its read-only choice `waits`; "" if it plays, or has none."""
    for param in node.cells:
        if param.name == "waits" and param.kind == "choice" and param.readonly:
            value = str(app.executor.value(node.name, param.name))
            return "" if value == param.default else value
    return ""


def _recording_starts(app: ControlApp) -> dict[str, dict[str, Any] | None]:
    """Names and start times (seconds of the epoch) of the output's recording and of the tracks; None for none."""
    output, tracks = app.link.recording, app.link.keeping_tracks
    note = read_note(app.folder.folder) if output or tracks else RecordingNote()
    return {
        "recording": {"name": Path(note.record).name, "since": note.since} if output and note.record else None,
        "recording_tracks": {"name": Path(note.tracks).name, "since": note.tracks_since} if tracks else None,
    }


def _list_troubles(app: ControlApp) -> Iterator[str]:
    """Troubles of the sound and the state, with nodes that are silent or pass their dry input."""
    if lost := app.device.lost_device:
        yield f"the sound device {lost} is gone: the software clock plays in its place until it is back"
    yield from (app.saver.trouble, app.faults.last)
    machine: MachineWatch | None = app.joined.get(MACHINE)
    if machine is not None:
        yield from (machine.advice, machine.answers)
    if app.plans.problem and not app.session.state.nodes:
        yield f"the patch cannot be played: {app.plans.problem}"
    for node in app.session.state.nodes.values():
        if node.state == "failed":
            yield f"{node.name} is failed: {node.reason}; /node/{node.name}/reset tries it again"


def _transports(app: ControlApp, taken: set[str]) -> dict[str, dict[str, Any] | None]:
    """Figures of each transport by name, without names in `taken`; None for an unused one."""
    given = app.transports.statuses
    names = [*(info.name for info in app.catalog.transports), *given]
    return {name: given[name]() if name in given else None for name in names if name not in taken}


def synth(workers: list[WorkerStatus]) -> dict[str, Any] | None:
    """The figures of the synth's workers, None without one; `misses` counts the late hops of all its nodes."""
    if not workers:
        return None
    first = workers[0]
    own = attributes_of(first, "pid", "state", "restarts")
    misses = sum(w.misses for w in workers)
    own = {"backend": first.name.removeprefix(SYNTH), **own, "misses": misses, "reason": first.reason}
    return describe_worker(first, own)


def describe_worker(worker: WorkerStatus, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the fields of the plugin's `describe` function to a status, or replaces them. Imports the plugin."""
    if not worker.describe:
        return dict(fields)
    try:
        return {**fields, **import_object(worker.describe)(fields, worker.own, worker.settings)}
    except Exception as error:
        unread = f"its status cannot be read: {type(error).__name__}: {error}"
        return {**fields, "reason": fields.get("reason") or unread}
