"""Control's figures of `GET /api/status`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.counters import LABELS
from antiphon.kernel.control.osc.handlers.time import leader_of
from antiphon.kernel.engine.recording.journal import RecordingNote, noted
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.workers.status import WorkerStatus
from antiphon.web.machine_watch import MachineWatch

MACHINE = "machine"
"""Name of the `MachineWatch` among what has joined control."""
SYNTH = "synth/"
"""Prefix of the names of synth workers."""


def status(app: ControlApp) -> dict[str, Any]:
    """The answer to `GET /api/status`; latencies are in frames. Two of the counters are moved elsewhere in it."""
    counters = app.counts()
    engine, session = app.link.status(), app.session
    beat, bpm, playing = app.link.tempo_now()
    del counters["late_here"], counters["engine_restarts"]
    names = {node.id: node.name for node in session.state.nodes.values()}
    loads, workers = app.link.node_loads(), app.workers()
    return {
        **counters,
        "counters": LABELS,
        "control": {"pid": os.getpid(), "state": "running"},
        "engine": {
            **named(engine, "pid", "state", "restarts", "driver", "rate", "block", "channels", "ahead"),
            **named(engine, "device_rate", "device_block"),
            "device": app.device.name,
            "input": app.device.input,
            "wake_late_ms": round(engine.wake_late_ns / 1e6, 2),
            **named(engine, "load_mean", "load_peak"),
        },
        "workers": [
            {
                "node": names.get(w.node, ""),
                **named(w, "pid", "state", "restarts", "misses"),
                "model": w.name,
                **named(w, "device", "reason"),
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
                **named(n, "state", "reason"),
                "load": round(loads.get(n.id, 0.0), 5),
                "waits": _waited_for(app, n),
            }
            for n in session.state.nodes.values()
        ],
        "patch": session.state.name,
        "loading": session.state.coming,
        "hint": "" if app.plans.patch is None else app.plans.patch.hint,
        "set": app.position.status(session.state.path, {} if app.plans.patch is None else app.plans.patch.midi),
        "tempo": bpm,
        "beat": beat,
        "playing": playing,
        "leads": leader_of(app),
        "awaits": names.get(app.plans.awaited, ""),
        "headphones": not app.plans.loudspeakers,
        "bar": session.state.bar,
        **_recorded(app),
        "osc_port": app.udp.port,
        "osc_receive_buffer": app.udp.receive_buffer,
        "trouble": "; ".join(filter(None, _troubles(app))),
        "warning": app.plans.warning,
        "load_weighed": app.plans.weight,
        "plugins_failed": [{"name": f.name, "reason": f.reason} for f in app.catalog.failures],
    }


def named(record: object, *names: str) -> dict[str, Any]:
    """Attributes of a record by name."""
    return {name: getattr(record, name) for name in names}


def _waited_for(app: ControlApp, node: Node) -> str:
    """Cause for which a node waits, by its readonly choice `waits`; "" where it plays, or has none."""
    for param in node.cells:
        if param.name == "waits" and param.kind == "choice" and param.readonly:
            value = str(app.executor.value(node.name, param.name))
            return "" if value == param.default else value
    return ""


def _recorded(app: ControlApp) -> dict[str, dict[str, Any] | None]:
    """Names of the output's recording and of the tracks, and when each began in seconds of the epoch; None for none."""
    output, tracks = app.link.recording, app.link.keeping_tracks
    note = noted(app.folder.folder) if output or tracks else RecordingNote()
    return {
        "recording": {"name": Path(note.record).name, "since": note.since} if output and note.record else None,
        "recording_tracks": {"name": Path(note.tracks).name, "since": note.tracks_since} if tracks else None,
    }


def _troubles(app: ControlApp) -> Iterator[str]:
    """Troubles of the sound and the state, with nodes that are silent or pass their dry input."""
    if lost := app.device.lost:
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
    """Each transport's figures by its name, without names in `taken`; None for an unused one."""
    given = app.transports.statuses
    names = [*(info.name for info in app.catalog.transports), *given]
    return {name: given[name]() if name in given else None for name in names if name not in taken}


def synth(workers: list[WorkerStatus]) -> dict[str, Any] | None:
    """The figures of the synth's workers, None without one; `misses` counts the late hops of all its nodes."""
    if not workers:
        return None
    first = workers[0]
    return described(
        first,
        {
            "backend": first.name.removeprefix(SYNTH),
            **named(first, "pid", "state", "restarts"),
            "misses": sum(w.misses for w in workers),
            "reason": first.reason,
        },
    )


def described(worker: WorkerStatus, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the fields of the plugin's `describe` function to a status, or replaces them. Imports the plugin."""
    if not worker.describe:
        return dict(fields)
    try:
        return {**fields, **import_object(worker.describe)(fields, worker.own, worker.settings)}
    except Exception as error:
        return {
            **fields,
            "reason": fields.get("reason") or f"its status cannot be read: {type(error).__name__}: {error}",
        }
