"""`python -m antiphon_host.describe ADDRESS…`, or `--all`: loads and tries plugins, each in a process of its own.

It writes a line of JSON for each, the description or what befell the process that tried it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import ForkedEnd, limit_resources, run_forked
from antiphon_host import clap, lilv
from antiphon_host.card import PluginCard
from antiphon_host.folders import allowed, libraries
from antiphon_host.instance import instance_of

SECONDS = 6.0
"""Time that a plugin may take to be made and to play four hops."""
MEMORY = 2 << 30
MOST_BYTES = 4 << 20
_HOP, _RATE = 256, 48000


def main(*addresses: str) -> None:
    """Describes the plugins of these addresses, or all with `--all`."""
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # a plugin that prints does not write into the answer
    os.dup2(null, 2)
    world: list[lilv.World] = []
    found = _all(world) if addresses == ("--all",) else _named(addresses, world)
    for address, read in found:
        out.write(json.dumps(_tried(address, read)) + "\n")
        out.flush()


def _named(addresses: tuple[str, ...], world: list[lilv.World]) -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    for address in addresses:
        kind, _, rest = address.partition(":")
        if kind == "lv2":
            yield address, lambda rest=rest: _lv2(world).card(rest)  # type: ignore[misc]
        elif kind == "clap":
            yield from ((a, r) for a, r in _claps() if a == address)
        elif kind == "vst3":
            yield address, partial(_vst3, rest)


def _all(world: list[lilv.World]) -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    try:
        uris = _lv2(world).uris()
    except AntiphonError:
        uris = []
    for uri in uris:
        yield f"lv2:{uri}", partial(world[0].card, uri)
    yield from _claps()
    for path in libraries("vst3") if importlib.util.find_spec("pedalboard") is not None else ():
        yield f"vst3:{path}", partial(_vst3, str(path))


def _lv2(world: list[lilv.World]) -> lilv.World:
    if not world:
        world.append(lilv.World())
    return world[0]


def _claps() -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    """Each plugin of each library, whose names are read in a process of its own."""
    for path in libraries("clap"):
        end = run_forked(lambda path=path: json.dumps(clap.names(str(path))).encode(), SECONDS, MOST_BYTES)  # type: ignore[misc]
        try:
            names = json.loads(end.data)
        except ValueError:
            yield f"clap:{path.stem}", partial(_failed, f"clap:{path.stem}", _how(end))
            continue
        for name in names:
            yield f"clap:{name}", partial(clap.card, str(path), name)


def _vst3(text: str) -> PluginCard:
    from antiphon_host import vst3

    return vst3.card(str(allowed("vst3", text)))


def _failed(address: str, why: str) -> PluginCard:
    return PluginCard(address, problem=why)


def _tried(address: str, read: Callable[[], PluginCard]) -> dict[str, Any]:
    end = run_forked(partial(_try, read), SECONDS, MOST_BYTES)
    try:
        answer: dict[str, Any] = json.loads(end.data)
    except ValueError:
        return _failed(address, _how(end)).to_json()
    return answer if "refused" not in answer else _failed(address, str(answer["refused"])).to_json()


def _how(end: ForkedEnd) -> str:
    if end.late:
        return f"did not answer within {SECONDS:g} s when it was tried"
    how = signal.Signals(-end.status).name if end.status < 0 else f"exit status {end.status}"
    return f"crashed when it was tried ({how})"


def _try(read: Callable[[], PluginCard]) -> bytes:
    """In the child: reads a plugin, makes it, and plays four hops of silence."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, SECONDS + 1.0)
    limit_resources(data=MEMORY)
    try:
        card = read()
        if card.problem:
            return json.dumps(card.to_json()).encode()
        made = instance_of(card, _RATE, _HOP)
        for control in card.controls:
            made.set(control.key, control.number(control.param().encode(control.param().default)))
        for _ in range(4):
            made.run([])
        answer = card.to_json()
        answer["latency"] = made.latency
        return json.dumps(answer).encode()
    except AntiphonError as error:
        return json.dumps({"refused": str(error)}).encode()
    except ModuleNotFoundError as error:
        return json.dumps({"refused": f"needs {error.name}, which is not installed"}).encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
