"""A process that loads and tests plugins by address, each in its own process.

"lv2:", "clap:" and "vst3:" are all of a kind.

It sends the description of each, or what befell the process that tried it. For "latency:" and JSON, an address, rate,
hop and values by key, it sends the latency with these alone, null where it cannot be had.
"""

import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import ForkedEnd, HelperChannel, limit_resources, run_forked
from antiphon_host import clap, lilv
from antiphon_host.card import HostedControl, PluginCard
from antiphon_host.catalogue import cached_card
from antiphon_host.folders import allowed, libraries
from antiphon_host.instance import HostedInstance, instance_of

SECONDS = 15.0
"""Timeout in seconds of a plugin's creation and four hops; a single query has a shorter one."""
MEMORY = 2 << 30
MAX_BYTES = 4 << 20
_HOP, _RATE = 256, 48000
SETTLING = 3
"""Runs after which a plugin reports the latency of new values."""
TRIAL_SECONDS = 3.0
"""Timeout in seconds of trying which controls a plugin's latency follows."""
MAX_APART = 64
"""Most controls that are tried in a process each, where one of them ends the plugin."""


def main(channel: HelperChannel, *addresses: str) -> None:
    """Sends descriptions of the plugins at these addresses."""
    if addresses and addresses[0].startswith("latency:"):
        asked = addresses[0].removeprefix("latency:")
        channel.send({"latency": run_forked(partial(_latency, asked), SECONDS, MAX_BYTES).answer})
        return
    for address, read in _found(addresses):
        channel.send(_tried(address, read))


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


def _claps() -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    """Each plugin of each library, whose names are read in a separate process."""
    for path in libraries("clap"):
        end = run_forked(partial(clap.names, str(path)), SECONDS, MAX_BYTES)
        if end.answer is None:
            yield f"clap:{path.stem}", partial(_failed, f"clap:{path.stem}", _how(end))
            continue
        for name in end.answer:
            yield f"clap:{name}", partial(clap.card, str(path), name)


def _vst3(text: str) -> PluginCard:
    from antiphon_host import vst3

    return vst3.card(str(allowed("vst3", text)))


def _failed(address: str, why: str) -> PluginCard:
    return PluginCard(address, problem=why)


def _tried(address: str, read: Callable[[], PluginCard]) -> dict[str, Any]:
    end = run_forked(partial(_test_plugin, address, read), SECONDS, MAX_BYTES)
    if end.answer is None:
        return _failed(address, _how(end)).to_json()
    card = PluginCard.of(end.answer)
    if card.problem or not card.controls:
        return card.to_json()
    late = _late(card, card.controls)
    if late is None:  # one of them ends the plugin
        late = [key for control in card.controls[:MAX_APART] for key in _late(card, [control]) or ()]
    controls = (replace(control, late=control.key in late) for control in card.controls)
    return replace(card, controls=tuple(controls)).to_json()


def _late(card: PluginCard, controls: Sequence[HostedControl]) -> list[int | str] | None:
    """Keys of the controls that a plugin's latency follows; None where the process that tried them has failed."""
    found: list[int | str] | None = run_forked(partial(_try_controls, card, controls), TRIAL_SECONDS, MAX_BYTES).answer
    return found


def _try_controls(card: PluginCard, controls: Sequence[HostedControl]) -> list[int | str]:
    """Child process: keys of these controls by whose values the latency changes, alone or where another has done so."""
    limit_resources(data=MEMORY)
    made, ends = _made(card, _RATE, _HOP, {}), time.monotonic() + 0.8 * TRIAL_SECONDS
    found = dict[int | str, float]()

    def latency(key: int | str, value: float) -> int:
        made.set(key, value)
        return _settled(made)

    def search(base: int) -> None:
        for control in [control for control in controls if control.key not in found]:
            for value in control.trials:
                if time.monotonic() > ends:
                    return
                if latency(control.key, value) != base:
                    found[control.key] = value
                    break
            if latency(control.key, control.first) != base:
                return  # it does not come back

    search(_settled(made))
    for control in [control for control in controls if control.key in found]:
        search(latency(control.key, found[control.key]))
        latency(control.key, control.first)
    return list(found)


def _latency(asked: str) -> int | None:
    """Child process: the latency of a plugin with values, after it was started and ran."""
    limit_resources(data=MEMORY)
    address, rate, hop, values = json.loads(asked)
    card = cached_card(address)
    if card is None:
        return None
    try:
        return _settled(_made(card, rate, hop, dict(values)))
    except Exception:  # a library of the plugin's may raise anything
        return None


def _made(card: PluginCard, rate: int, hop: int, values: Mapping[int | str, float]) -> HostedInstance:
    made = instance_of(card, rate, hop)
    for control in card.controls:
        made.set(control.key, values.get(control.key, control.first))
    return made


def _settled(made: HostedInstance) -> int:
    for _ in range(SETTLING):
        made.run([])
    return made.latency


def _how(end: ForkedEnd) -> str:
    if end.late:
        return f"did not answer within {end.late:g} s when it was tried"
    return f"crashed when it was tried ({end.how})"


def _test_plugin(address: str, read: Callable[[], PluginCard]) -> dict[str, Any]:
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
    return card.to_json()


def _played(card: PluginCard) -> PluginCard:
    made = _made(card, _RATE, _HOP, {})
    made.run([])
    return replace(card, latency=_settled(made))
