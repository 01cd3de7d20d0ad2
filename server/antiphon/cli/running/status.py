"""`antiphon status`: prints the state of the running server as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.exceptions import Exit

from antiphon.cli import ports
from antiphon.cli.command import Json
from antiphon.cli.errors import complain
from antiphon.cli.progress import align_rows, style_text
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import escape_unprintable

Row = tuple[str, str]


def status(http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None, as_json: Json = False) -> None:
    """Show the state of the running server: its sound, gaps, messages, nodes and trouble. Exit 1 if none runs."""
    from antiphon.client import finding
    from antiphon.client.http import get_answer

    try:
        answer = get_answer("/api/status", paths.config(), finding.http_port(http_port, osc_port))
    except EngineError as error:
        complain(str(error))
        raise Exit(1) from None
    if as_json:
        click.echo(json.dumps(answer))
        return
    for title, rows in sections(answer):
        click.echo(style_text(title, "bad" if title == "trouble" and rows != NO_TROUBLE else "head"))
        for line in align_rows(rows):
            click.echo(escape_unprintable(f"  {line}"))


_PROCESSES = ("control", "engine", "synth", "web")
"""Parts of an answer whose trouble has its own section; all other parts are those of transports."""
NO_TROUBLE: list[Row] = [("none", "")]


def sections(answer: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """Yields (title, rows) for each section of an answer of `GET /api/status`; a row is (name, text)."""
    yield "sound", _sound(answer)
    yield "misses", _missed_counter_rows(answer)
    yield "OSC", _osc(answer)
    yield "workers", [(w["node"] or w["model"], _worker(w)) for w in answer["workers"]] or [("none", "")]
    yield "synth", [_synth(answer["synth"])]
    yield "nodes", [(n["name"], _node(n)) for n in answer["nodes"]]
    yield "trouble", _trouble(answer) or NO_TROUBLE


def _sound(answer: Mapping[str, Any]) -> list[Row]:
    engine, latency, at = answer["engine"], answer["latency"], answer["set"]
    frames = sum(latency.values())
    parts = ", ".join(f"{name} {count}" for name, count in latency.items() if count)
    rows = [
        ("engine", f"{engine['state']}, {engine['driver']} at {engine['rate']} Hz, {engine['block']} frames"),
        # a server of an earlier version does not say whether it is loading
        ("patch", f"{'loading ' if answer.get('loading') else ''}{answer['patch'] or 'none'}"),
    ]
    if answer.get("hint"):
        rows.append(("first", answer["hint"]))
    if at:
        place = f"{at['name']}, patch {at['place']} of {len(at['patches'])}"
        # a server of an earlier version does not say it
        outside = at.get("outside", False)
        rows.append(("set", f"left at {place}: /set/go {at['place']} goes back to it" if outside else place))
        pedals = at.get("pedals", {}).items()
        does = [f"{key} {step}{f', in place of {own}' if own else ''}" for key, (step, own) in pedals]
        rows += [("pedals", "; ".join(does))] if does else []
    rows += [
        ("tempo", f"{answer['tempo']:g} bpm, beat {answer['beat']:.1f}, {_lead(answer)}"),
        ("load", f"{engine['load_mean']:.1%} of a block on average, {engine['load_peak']:.1%} at most"),
        ("latency", f"{1000 * frames / max(1, engine['rate']):.1f} ms ({parts or 'none'}; in frames)"),
    ]
    return rows


def _lead(answer: Mapping[str, Any]) -> str:
    """Describes whether the clock runs, and which node leads it."""
    node = answer.get("leads")
    if not answer["playing"] and node:
        return f"waits for you ({node}): play, or /transport/play starts it"
    if not answer["playing"]:
        # a server of an earlier version does not say it
        again = ", /transport/wait has it wait for you" if answer.get("awaits") else ""
        return f"stopped: /transport/play starts it{again}"
    return f"playing, {node} leads" if node else "playing"


def _missed_counter_rows(answer: Mapping[str, Any]) -> list[Row]:
    return [
        ("blocks", f"{answer['blocks']} played, {answer['missed_blocks']} missed, {answer['late_blocks']} late"),
        ("device", f"{answer['device_xruns']} dropouts"),
        ("commands", f"{answer['late']} too late, {answer['commands_dropped'] + answer['schedule_dropped']} dropped"),
        ("engine", f"{answer['engine']['restarts']} restarts"),
        ("machine", f"stood still {answer.get('stalls', 0)} times"),
    ]


def _osc(answer: Mapping[str, Any]) -> list[Row]:
    dirt = answer.get("dirt") or {}
    heard = [("dirt", f"port {dirt['port']}, {dirt['received']} received")] if dirt.get("port") else []
    return [
        ("port", str(answer["osc_port"])),
        ("packets", f"{answer['osc_received']} received, {answer['osc_dropped']} dropped"),
        ("messages", f"{answer['osc_failed']} refused, {answer['osc_held']} held until approval"),
        ("surfaces", f"{answer['surfaces']}, {answer['tcp_connections']} by TCP"),
        *heard,
    ]


def _node(node: Mapping[str, Any]) -> str:
    waits = f", silent until it gets a {node['waits']}" if node.get("waits") else ""
    return _append_reason(f"{node['type']}, {node['state']}{waits}", node["reason"])


def _worker(worker: Mapping[str, Any]) -> str:
    text = (
        f"{worker['model']} on {worker['device']}, {worker['state']}, load {worker['load']:.1%}, "
        f"{worker['hops']} hops, {worker['misses']} missed, {worker['restarts']} restarts"
    )
    return _append_reason(text, worker["reason"])


def _synth(synth: Mapping[str, Any] | None) -> Row:
    if synth is None:
        return "none", ""
    text = f"{synth['state']}, {synth['misses']} hops missed, {synth['restarts']} restarts"
    return synth["backend"], _append_reason(text, synth["reason"])


def _trouble(answer: Mapping[str, Any]) -> list[Row]:
    rows = [(what, str(answer[what])) for what in ("trouble", "warning") if answer[what]]
    for name, part in answer.items():
        if name not in _PROCESSES and isinstance(part, Mapping):
            rows += [(name, str(part[what])) for what in ("trouble", "reason") if part.get(what)]
    clock = (answer.get("midi") or {}).get("clock")
    if clock and clock.get("summary"):
        rows.append(("clock", str(clock["summary"])))
    rows += [(f"plugin {failed['name']}", failed["reason"]) for failed in answer["plugins_failed"]]
    return rows


def _append_reason(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
