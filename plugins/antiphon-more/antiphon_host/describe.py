"""Process that loads and tests plugins by address, each in a child process.

The addresses "lv2:", "clap:" and "vst3:" stand for all plugins of a kind.

It sends the description of each, or how the child process failed. For "latency:" and JSON with an address, rate, hop
and values by key, it sends only the latency with these, null if unknown.
"""

import ctypes as c
import importlib.util
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, ParamError
from antiphon.api.backends.runtime import ForkedEnd, HelperChannel, limit_resources, run_forked
from antiphon_host import clap
from antiphon_host.card import MAX_CHANNELS, MAX_CHOICES, RATE, ControlList, HostedControl, PluginCard
from antiphon_host.catalogue import cached_card, check_path, libraries
from antiphon_host.instance import HostedInstance, instance_of

# ---- LV2 metadata by liblilv: no plugin code runs here

LV2 = "http://lv2plug.in/ns/lv2core#"
EXT = "http://lv2plug.in/ns/ext/"
UNITS = "http://lv2plug.in/ns/extensions/units#"
FEATURES = frozenset(
    {
        f"{EXT}urid#map", f"{EXT}urid#unmap", f"{EXT}options#options", f"{EXT}buf-size#boundedBlockLength",
        f"{EXT}buf-size#fixedBlockLength", f"{EXT}worker#schedule", f"{LV2}isLive", f"{LV2}inPlaceBroken",
        f"{LV2}hardRTCapable",
    }
)  # fmt: skip
"""Required LV2 features that this host supports."""
_KINDS = {"AudioPort": "audio", "ControlPort": "control", "CVPort": "cv"}
_NOTHING = -1.0


@cache
def library() -> c.CDLL:
    """liblilv's handle. Raises ParamError: it is not installed."""
    for name in ("liblilv-0.so.0", "liblilv-0.0.dylib", "lilv-0.dll"):
        try:
            return c.CDLL(name)
        except OSError:
            continue
    raise ParamError("needs lilv; on Debian `apt install liblilv-0-0` installs it")


def _call_lilv(name: str, *args: Any, gives: Any = c.c_void_p) -> Any:
    function = getattr(library(), f"lilv_{name}")
    function.restype = gives
    return function(*(c.c_void_p(a) if isinstance(a, int) else a for a in args))


def _text(node: int | None, how: str = "string") -> str:
    if not node:
        return ""
    raw = _call_lilv(f"node_as_{how}", node, gives=c.c_char_p)
    return raw.decode("utf-8", "replace") if raw else ""


def _items(kind: str, some: int | None) -> Iterator[int]:
    at = _call_lilv(f"{kind}_begin", some) if some else None
    while some and not _call_lilv(f"{kind}_is_end", some, at, gives=c.c_bool):
        yield _call_lilv(f"{kind}_get", some, at)
        at = _call_lilv(f"{kind}_next", some, at)


class Lv2World:
    """Lists the plugins installed in the folders of `LV2_PATH`, else in lilv's own."""

    def __init__(self) -> None:
        self._world = _call_lilv("world_new")
        _call_lilv("world_load_all", self._world, gives=None)
        self._all = _call_lilv("world_get_all_plugins", self._world)

    def uri(self, text: str) -> int:
        """lilv node of a URI."""
        return int(_call_lilv("new_uri", self._world, c.c_char_p(text.encode())))

    def get(self, subject: int, predicate: str) -> int | None:
        """lilv node that a subject has for a predicate."""
        found: int | None = _call_lilv("world_get", self._world, subject, self.uri(predicate), None)
        return found

    def uris(self, bundle: str = "") -> list[str]:
        """URIs of all plugins, or of those in the bundles of that name."""
        return sorted(
            _text(_call_lilv("plugin_get_uri", plugin), "uri")
            for plugin in _items("plugins", self._all)
            if not bundle or _text(_call_lilv("plugin_get_bundle_uri", plugin), "uri").endswith(f"/{bundle}.lv2/")
        )

    def card(self, uri: str) -> PluginCard:
        """Description of one plugin. Raises ParamError: no plugin has this URI."""
        plugin = _call_lilv("plugins_get_by_uri", self._all, self.uri(uri))
        if not plugin:
            raise ParamError("is no LV2 plugin of this machine; `antiphon plugins --scan` lists those")
        return _PortReader(self, plugin, uri).card()


class _PortReader:
    """Builds the description of a plugin's ports."""

    def __init__(self, world: Lv2World, plugin: int, uri: str) -> None:
        self._world, self._plugin, self._uri = world, plugin, uri
        self._controls = ControlList()
        self.ins: list[int] = []
        self.outs: list[int] = []
        self.side: list[int] = []
        self.ports: list[list[Any]] = []
        self.rated: list[list[float]] = []  # index of a port in Hz, then at 48 kHz its range and default
        self.midi, self.latency = -1, -1
        self.problem = ""

    def card(self) -> PluginCard:
        plugin = self._plugin
        features = [_text(f, "uri") for f in _items("nodes", _call_lilv("plugin_get_required_features", plugin))]
        if strange := sorted(set(features) - FEATURES):
            self.problem = f"needs {strange[0]}, which is not offered"
        count = _call_lilv("plugin_get_num_ports", plugin, gives=c.c_uint32)
        ports = [_call_lilv("plugin_get_port_by_index", plugin, c.c_uint32(index)) for index in range(count)]
        # one port alone is the host's bypass: of several the first that plays by default
        designated = [p for p in ports if _text(self._get(p, f"{LV2}designation"), "uri") == f"{LV2}enabled"]
        self._enabled = next((p for p in designated if self._range(p)[0] == 1.0), designated[0] if designated else 0)
        for index, port in enumerate(ports):
            self._port(index, port)
        if not self.outs:
            self.problem = self.problem or "gives no sound"
        for what, channels in (("in", self.ins), ("out", self.outs), ("side", self.side)):
            if len(channels) > MAX_CHANNELS:
                self.problem = f"has {len(channels)} channels {what}; at most {MAX_CHANNELS} are hosted"
        maker = _call_lilv("plugin_get_author_name", plugin)
        paths = [self._path(_call_lilv(f"plugin_get_{what}_uri", plugin)) for what in ("library", "bundle")]
        return PluginCard(
            f"lv2:{self._uri}", _text(_call_lilv("plugin_get_name", plugin)), _text(maker), self.problem,
            len(self.ins), len(self.outs), len(self.side), self.midi >= 0, 0, paths[0],
            tuple(self._controls.found),
            {"bundle": paths[1], "ports": self.ports, "ins": self.ins, "outs": self.outs, "side": self.side,
             "midi": self.midi, "latency": self.latency, "rated": self.rated},
        )  # fmt: skip

    def _path(self, node: int) -> str:
        raw = _call_lilv("file_uri_parse", c.c_char_p(_text(node, "uri").encode()), None, gives=c.c_char_p)
        return raw.decode("utf-8", "surrogateescape") if raw else ""

    def _is(self, port: int, uri: str) -> bool:
        return bool(_call_lilv("port_is_a", self._plugin, port, self._world.uri(uri), gives=c.c_bool))

    def _has(self, port: int, uri: str) -> bool:
        return bool(_call_lilv("port_has_property", self._plugin, port, self._world.uri(uri), gives=c.c_bool))

    def _get(self, port: int, uri: str) -> int | None:
        found: int | None = _call_lilv("port_get", self._plugin, port, self._world.uri(uri))
        return found

    def _port(self, index: int, port: int) -> None:
        """Classifies a port, and records its connection: index, kind, direction, first value, size."""
        is_input = self._is(port, f"{LV2}InputPort")
        kind = next((kind for name, kind in _KINDS.items() if self._is(port, f"{LV2}{name}")), "")
        if not kind and self._is(port, f"{EXT}atom#AtomPort"):
            kind = "atom"
        optional = self._has(port, f"{LV2}connectionOptional")
        role = _text(self._get(port, f"{LV2}designation"), "uri")
        value, size = 0.0, 0
        if kind == "audio":
            side = is_input and (self._has(port, f"{LV2}isSideChain") or self._in_side_group(port))
            (self.side if side else self.ins if is_input else self.outs).append(index)
        elif kind == "control":
            if role == f"{LV2}latency" or self._has(port, f"{LV2}reportsLatency"):
                self.latency = index if not is_input and self.latency < 0 else self.latency
            value = self._control(index, port, role) if is_input else 0.0
        elif kind == "atom":
            minimum = self._get(port, f"{EXT}resize-port#minimumSize")
            size = _call_lilv("node_as_int", minimum, gives=c.c_int) if minimum else 0
            midi = _call_lilv(
                "port_supports_event", self._plugin, port, self._world.uri(f"{EXT}midi#MidiEvent"), gives=c.c_bool
            )
            if is_input and midi and (self.midi < 0 or role == f"{LV2}control"):
                self.midi = index
        elif not optional and kind != "cv":
            self.problem = self.problem or f"has a port {self._symbol(port)!r} of a kind that is not hosted"
        self.ports.append([index, kind, is_input, value, min(size, 1 << 20)])

    def _in_side_group(self, port: int) -> bool:
        group = self._get(port, f"{EXT}port-groups#group")
        return "side" in _text(group, "uri").lower() if group else False

    def _symbol(self, port: int) -> str:
        return _text(_call_lilv("port_get_symbol", self._plugin, port))

    def _control(self, index: int, port: int, role: str) -> float:
        """Adds a control input; returns its first value."""
        default, low, high = self._range(port)
        if port == self._enabled or role == f"{LV2}freeWheeling":
            return float(port == self._enabled)  # the host bypasses, and plays in time
        if self._has(port, f"{LV2}sampleRate"):
            in_hz = default > high  # already, and so at every rate
            self.rated.append([index, low, high, math.nan if in_hz else default])
            low, high, default = low * RATE, high * RATE, default if in_hz else default * RATE
        points = sorted(
            {
                _call_lilv("node_as_float", _call_lilv("scale_point_get_value", p), gives=c.c_float):
                _text(_call_lilv("scale_point_get_label", p))
                for p in _items("scale_points", _call_lilv("port_get_scale_points", self._plugin, port))
            }.items()
        )  # fmt: skip
        label = _text(_call_lilv("port_get_name", self._plugin, port))
        switch, whole = self._has(port, f"{LV2}toggled"), self._has(port, f"{LV2}integer")
        named = [(word, value) for value, word in points]
        complete = whole and low < high < low + MAX_CHOICES and {*range(int(low), int(high) + 1)} <= {*dict(points)}
        if named and (switch or not (complete or self._has(port, f"{LV2}enumeration"))):
            label += f" ({', '.join(f'{value:g}: {word}' for word, value in named)})"  # values between them count too
            named = []
        kind, log = "switch" if switch else "int" if whole else "float", self._has(port, f"{EXT}port-props#logarithmic")
        told = HostedControl(index, self._symbol(port), kind, low, high, default, label, self._unit(port), log)
        self._controls.add(told, named)
        first = default if not math.isnan(default) else low if not math.isnan(low) else 0.0
        return first if math.isfinite(first) else 0.0

    def _range(self, port: int) -> list[float]:
        """Default, minimum and maximum as the port declares them; NaN for each that it does not."""
        nodes = [c.c_void_p() for _ in range(3)]
        _call_lilv("port_get_range", self._plugin, port, *(c.byref(node) for node in nodes), gives=None)
        return [_call_lilv("node_as_float", n.value, gives=c.c_float) if n.value else math.nan for n in nodes]

    def _unit(self, port: int) -> str:
        """Unit by its URI, or the symbol that it gives itself."""
        unit = self._get(port, f"{UNITS}unit")
        name = _text(unit, "uri")
        if not unit or name.removeprefix(UNITS) in _UNITS:
            return _UNITS.get(name.removeprefix(UNITS), "")
        return _text(self._world.get(unit, f"{UNITS}symbol"))


_UNITS = {
    "db": "dB", "hz": "Hz", "khz": "kHz", "mhz": "MHz", "s": "s", "ms": "ms", "pc": "%", "bpm": "bpm", "cent": "cents",
    "semitone12TET": "semitones", "degree": "degrees", "oct": "octaves", "m": "m", "midiNote": "note", "coef": "",
    "beat": "beats", "bar": "bars", "frame": "frames",
}  # fmt: skip


SECONDS = 15.0
"""Timeout in seconds for creating a plugin and running four hops; a single query has a shorter one."""
MEMORY = 2 << 30
MAX_BYTES = 4 << 20
_HOP, _RATE = 256, 48000
SETTLING = 3
"""Runs after which a plugin reports the latency of new values."""
TRIAL_SECONDS = 3.0
"""Timeout in seconds for finding the controls that change a plugin's latency."""
MAX_APART = 64
"""Maximum controls tested in separate processes, when one of them crashes the plugin."""


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
            yield from ((name, read) for name, read in _installed_clap_plugins() if not rest or name == address)
        elif rest or importlib.util.find_spec("pedalboard") is not None:
            for path in (rest,) if rest else libraries("vst3"):
                yield f"vst3:{path}", partial(_read_vst3_card, str(path))


def _uris(bundle: str = "") -> list[str]:
    try:
        return _world().uris(bundle)
    except AntiphonError:  # lilv is not installed
        return []


@cache
def _world() -> Lv2World:
    return Lv2World()


def _lv2_card(uri: str) -> PluginCard:
    return _world().card(uri)


def _installed_clap_plugins() -> Iterator[tuple[str, Callable[[], PluginCard]]]:
    """Yields each plugin of each library; a library's names are read in a separate process."""
    for path in libraries("clap"):
        end = run_forked(partial(clap.names, str(path)), SECONDS, MAX_BYTES)
        if end.answer is None:
            yield f"clap:{path.stem}", partial(_failed, f"clap:{path.stem}", _describe_child_end(end))
            continue
        for name in end.answer:
            yield f"clap:{name}", partial(clap.card, str(path), name)


def _read_vst3_card(text: str) -> PluginCard:
    from antiphon_host import vst3

    return vst3.card(str(check_path("vst3", text)))


def _other_formats(address: str) -> str:
    """What plays in place of a VST3 plugin that failed: its LV2 or CLAP, known by the name of its file."""
    kind, _, path = address.partition(":")
    if kind != "vst3":
        return ""
    stem, found = Path(path).stem, [f"lv2:{uri}" for uri in _uris(Path(path).stem)]
    for library in libraries("clap"):
        if library.stem == stem:
            found += [
                f"clap:{name}"
                for name in run_forked(partial(clap.names, str(library)), SECONDS, MAX_BYTES).answer or ()
            ]
    return f"; {' or '.join(found)} is the same plugin" if found else ""


def _failed(address: str, why: str) -> PluginCard:
    return PluginCard(address, problem=why)


def _tried(address: str, read: Callable[[], PluginCard]) -> dict[str, Any]:
    end = run_forked(partial(_test_plugin, address, read), SECONDS, MAX_BYTES)
    if end.answer is None:
        return _failed(address, _describe_child_end(end) + _other_formats(address)).to_json()
    card = PluginCard.of(end.answer)
    if card.problem or not card.controls:
        return card.to_json()
    late = _late(card, card.controls)
    if late is None:  # one of them ends the plugin
        late = [key for control in card.controls[:MAX_APART] for key in _late(card, [control]) or ()]
    controls = (replace(control, late=control.key in late) for control in card.controls)
    return replace(card, controls=tuple(controls)).to_json()


def _late(card: PluginCard, controls: Sequence[HostedControl]) -> list[int | str] | None:
    """Keys of the controls that change a plugin's latency; None if the process that tested them failed."""
    found: list[int | str] | None = run_forked(
        partial(_find_latency_controls, card, controls), TRIAL_SECONDS, MAX_BYTES
    ).answer
    return found


def _find_latency_controls(card: PluginCard, controls: Sequence[HostedControl]) -> list[int | str]:
    """Child process: finds the controls that change the latency, alone or after another has done so."""
    limit_resources(data=MEMORY)
    made, ends = _made(card, _RATE, _HOP, {}), time.monotonic() + 0.8 * TRIAL_SECONDS
    found = dict[int | str, float]()

    def latency(key: int | str, value: float) -> int:
        made.set(key, value)
        return _settled(made)

    def search(base: int) -> None:
        for control in [control for control in controls if control.key not in found]:
            for value in control.trial_values:
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
    """Child process: the latency of a plugin with values, after starting and running it."""
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


def _describe_child_end(end: ForkedEnd) -> str:
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
            made = _made(card, _RATE, _HOP, {})
            made.run([])
            card = replace(card, latency=_settled(made))
    except AntiphonError as error:
        card = replace(card, problem=str(error))
    except ModuleNotFoundError as error:
        card = replace(card, problem=f"needs {error.name}, which is not installed")
    except Exception as error:  # a library of the plugin's may raise anything
        card = replace(card, problem=f"could not be described ({type(error).__name__}: {error})"[:300])
    return card.to_json()
