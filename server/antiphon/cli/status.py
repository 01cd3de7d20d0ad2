"""`antiphon status`: how the running server does, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from antiphon.cli.approve import DEFAULT_PORT, Port
from antiphon.wire.text import printable

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of words.")]
Row = tuple[str, str]


def status(http_port: Port = DEFAULT_PORT, as_json: Json = False) -> None:
    """Say how the running server does: sound, misses, OSC, workers, synth, nodes, trouble. Exit 1 where none runs."""
    from antiphon.cli.approve import look
    from antiphon.cli.errors import complain
    from antiphon.cli.style import styled
    from antiphon.errors import EngineError
    from antiphon.runtime import paths

    try:
        told = look("/api/status", paths.config(), http_port)
    except EngineError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(told))
        return
    for title, rows in sections(told):
        typer.echo(styled(title, "bad" if title == "trouble" and rows != NO_TROUBLE else "head"))
        for line in aligned(rows):
            typer.echo(printable(f"  {line}"))


NO_TROUBLE: list[Row] = [("none", "")]


def sections(told: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """(title, rows) of what `GET /api/status` answers."""
    yield "sound", _sound(told)
    yield "misses", _misses(told)
    yield "OSC", _osc(told)
    yield "workers", [(w["node"] or w["model"], _worker(w)) for w in told["workers"]] or [("none", "")]
    yield "synth", [_synth(told["synth"])]
    yield "nodes", [(n["name"], _reasoned(f"{n['type']}, {n['state']}", n["reason"])) for n in told["nodes"]]
    yield "trouble", _trouble(told) or NO_TROUBLE


def aligned(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each row, the second column under itself."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, said in rows:
        yield f"{name:<{width}}  {said}".rstrip()


def _sound(told: Mapping[str, Any]) -> list[Row]:
    engine, latency, at = told["engine"], told["latency"], told["set"]
    frames = sum(latency.values())
    parts = ", ".join(f"{name} {count}" for name, count in latency.items() if count)
    rows = [
        ("engine", f"{engine['state']}, {engine['driver']} at {engine['rate']} Hz, {engine['block']} frames"),
        ("patch", told["patch"] or "none"),
    ]
    if at:
        rows.append(("set", f"{at['name']}, patch {at['place']} of {len(at['patches'])}"))
    rows += [
        ("tempo", f"{told['tempo']:g} bpm, beat {told['beat']:.1f}, {'playing' if told['playing'] else 'stopped'}"),
        ("load", f"{engine['load_mean']:.1%} of a block on average, {engine['load_peak']:.1%} at most"),
        ("latency", f"{1000 * frames / max(1, engine['rate']):.1f} ms ({parts or 'none'}; in frames)"),
    ]
    return rows


def _misses(told: Mapping[str, Any]) -> list[Row]:
    return [
        ("blocks", f"{told['blocks']} played, {told['missed_blocks']} missed, {told['late_blocks']} late"),
        ("device", f"{told['device_xruns']} dropouts"),
        ("commands", f"{told['late']} too late, {told['commands_dropped'] + told['schedule_dropped']} dropped"),
        ("engine", f"{told['engine']['restarts']} restarts"),
    ]


def _osc(told: Mapping[str, Any]) -> list[Row]:
    return [
        ("port", str(told["osc_port"])),
        ("packets", f"{told['osc_received']} received, {told['osc_dropped']} dropped"),
        ("messages", f"{told['osc_failed']} refused, {told['osc_held']} held until approval"),
        ("surfaces", f"{told['surfaces']}, {told['tcp_connections']} by TCP"),
    ]


def _worker(worker: Mapping[str, Any]) -> str:
    said = (
        f"{worker['model']} on {worker['device']}, {worker['state']}, load {worker['load']:.1%}, "
        f"{worker['misses']} of {worker['hops']} hops missed, {worker['restarts']} restarts"
    )
    return _reasoned(said, worker["reason"])


def _synth(synth: Mapping[str, Any] | None) -> Row:
    if synth is None:
        return "none", ""
    said = f"{synth['state']}, {synth['misses']} hops missed, {synth['restarts']} restarts"
    return synth["backend"], _reasoned(said, synth["reason"])


def _trouble(told: Mapping[str, Any]) -> list[Row]:
    rows = [(what, str(told[what])) for what in ("trouble", "warning") if told[what]]
    midi = told.get("midi") or {}
    rows += [("midi", str(midi[what])) for what in ("trouble", "reason") if midi.get(what)]
    rows += [(f"plugin {failed['name']}", failed["reason"]) for failed in told["plugins_failed"]]
    return rows


def _reasoned(said: str, reason: str) -> str:
    return f"{said}: {reason}" if reason else said
