"""`python -m antiphon_host.describe ADDRESS…`: loads and tests plugins, each in its own process.

"lv2:", "clap:" and "vst3:" are all of a kind.

It writes a line of JSON for each, the description or what befell the process that tried it.
"""

import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import ForkedEnd, limit_resources, run_forked
from antiphon_host import clap, lilv
from antiphon_host.card import PluginCard
from antiphon_host.folders import allowed, libraries
from antiphon_host.instance import instance_of

SECONDS = 15.0
"""Timeout in seconds of a plugin's creation and four hops; a single query has a shorter one."""
MEMORY = 2 << 30
MAX_BYTES = 4 << 20
_HOP, _RATE = 256, 48000


def main(*addresses: str) -> None:
    """Prints descriptions of the plugins at these addresses."""
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # a plugin that prints does not write into the answer
    os.dup2(null, 2)
    for address, read in _found(addresses):
        out.write(json.dumps(_tried(address, read)) + "\n")
        out.flush()


def _found(addresses: tuple[str, ...]) -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    for address in addresses:
        kind, _, rest = address.partition(":")
        if kind == "lv2":
            for uri in (rest,) if rest else _uris():
                yield f"lv2:{uri}", partial(_lv2_card, uri)
        elif kind == "clap":
            yield from ((name, read) for name, read in _claps() if not rest or name == address)
        elif rest or importlib.util.find_spec("pedalboard") is not None:
            for path in (rest,) if rest else libraries("vst3"):
                yield f"vst3:{path}", partial(_vst3, str(path))


def _uris() -> list[str]:
    try:
        return _world().uris()
    except AntiphonError:  # lilv is not installed
        return []


@cache
def _world() -> lilv.World:
    return lilv.World()


def _lv2_card(uri: str) -> PluginCard:
    return _world().card(uri)


def _clap_names(path: str) -> bytes:
    return json.dumps(clap.names(path)).encode()


def _claps() -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    """Each plugin of each library, whose names are read in a separate process."""
    for path in libraries("clap"):
        end = run_forked(partial(_clap_names, str(path)), SECONDS, MAX_BYTES)
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
    end = run_forked(partial(_test_plugin, address, read), SECONDS, MAX_BYTES)
    try:
        answer: dict[str, Any] = json.loads(end.data)
    except ValueError:
        return _failed(address, _how(end)).to_json()
    return answer


def _how(end: ForkedEnd) -> str:
    if end.late:
        return f"did not answer within {end.late:g} s when it was tried"
    how = signal.Signals(-end.status).name if end.status < 0 else f"exit status {end.status}"
    return f"crashed when it was tried ({how})"


def _test_plugin(address: str, read: Callable[[], PluginCard]) -> bytes:
    """Child process: describes a plugin, creates it, and plays four hops of silence."""
    limit_resources(data=MEMORY)
    card = PluginCard(address)
    try:
        card = read()
        if not card.problem:
            card = _played(card)
    except AntiphonError as error:
        card = replace(card, problem=str(error))
    except ModuleNotFoundError as error:
        card = replace(card, problem=f"needs {error.name}, which is not installed")
    except Exception as error:  # a library of the plugin's may raise anything
        card = replace(card, problem=f"could not be described ({type(error).__name__}: {error})"[:300])
    return json.dumps(card.to_json()).encode()


def _played(card: PluginCard) -> PluginCard:
    made = instance_of(card, _RATE, _HOP)
    for control in card.controls:
        made.set(control.key, control.first)
    for _ in range(4):
        made.run([])
    return replace(card, latency=made.latency)


if __name__ == "__main__":
    main(*sys.argv[1:])
