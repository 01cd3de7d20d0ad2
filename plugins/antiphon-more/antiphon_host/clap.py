"""Lists and runs CLAP plugins by their C interface."""

import ctypes as c
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from antiphon.api import ParamError, Samples
from antiphon_host.card import MAX_CHANNELS, MAX_CHOICES, ControlList, HostedControl, PluginCard, struct
from antiphon_host.midi import MidiMessage

_P, _U, _S = c.c_void_p, c.c_uint32, c.c_char_p
_STEPPED, _HIDDEN, _READONLY, _BYPASS = 1, 4, 8, 16
_CLAP_NOTES, _MIDI_NOTES = 1, 2
_NOTE_ON, _NOTE_OFF, _NOTE_CHOKE, _EXPRESSION, _PARAM, _MIDI = 0, 1, 2, 4, 5, 10
_ENDING = {120: _NOTE_CHOKE, 123: _NOTE_OFF}
"""Events that end all notes of a channel, by the controllers that do."""
_TUNING, _PRESSURE = 3, 6
_BEND_RANGE = 2.0
"""Semitones of a whole bend, as MIDI has it, for plugins that take no MIDI."""
_VERSION = (1, 1, 0)
_OFFERED = "clap.plugin-factory"
_Version = _U * 3
_Entry = struct(
    "_Entry", ("version", _Version), ("init", c.CFUNCTYPE(c.c_bool, _S)), ("deinit", c.CFUNCTYPE(None)),
    ("get_factory", c.CFUNCTYPE(_P, _S)),
)  # fmt: skip
_Descriptor = struct("_Descriptor", ("version", _Version), ("id", _S), ("name", _S), ("vendor", _S))
_Factory = struct(
    "_Factory", ("count", c.CFUNCTYPE(_U, _P)), ("descriptor", c.CFUNCTYPE(c.POINTER(_Descriptor), _P, _U)),
    ("create", c.CFUNCTYPE(_P, _P, _P, _S)),
)  # fmt: skip
_GET = c.CFUNCTYPE(_P, _P, _S)
_ASK = c.CFUNCTYPE(None, _P)
_Host = struct(
    "_Host", ("version", _Version), ("data", _P), ("name", _S), ("vendor", _S), ("url", _S), ("release", _S),
    ("get_extension", _GET), ("restart", _ASK), ("process", _ASK), ("callback", _ASK),
)  # fmt: skip
_Plugin = struct(
    "_Plugin", ("descriptor", _P), ("data", _P), ("init", c.CFUNCTYPE(c.c_bool, _P)), ("destroy", _ASK),
    ("activate", c.CFUNCTYPE(c.c_bool, _P, c.c_double, _U, _U)), ("deactivate", _ASK),
    ("start", c.CFUNCTYPE(c.c_bool, _P)), ("stop", _ASK), ("reset", _ASK), ("process", c.CFUNCTYPE(c.c_int32, _P, _P)),
    ("get_extension", _GET), ("on_main_thread", _ASK),
)  # fmt: skip
_Buffer = struct(
    "_Buffer", ("data32", _P), ("data64", _P), ("channels", _U), ("latency", _U), ("constant", c.c_uint64),
)  # fmt: skip
_Process = struct(
    "_Process", ("steady", c.c_int64), ("frames", _U), ("transport", _P), ("inputs", _P), ("outputs", _P),
    ("input_count", _U), ("output_count", _U), ("events_in", _P), ("events_out", _P),
)  # fmt: skip
_EventsIn = struct("_EventsIn", ("data", _P), ("size", c.CFUNCTYPE(_U, _P)), ("get", c.CFUNCTYPE(_P, _P, _U)))
_EventsOut = struct("_EventsOut", ("data", _P), ("push", c.CFUNCTYPE(c.c_bool, _P, _P)))
_HEAD = (("size", _U), ("time", _U), ("space", c.c_uint16), ("type", c.c_uint16), ("flags", _U))
_ParamEvent = struct(
    "_ParamEvent", *_HEAD, ("id", _U), ("cookie", _P), ("note", c.c_int32), ("port", c.c_int16),
    ("channel", c.c_int16), ("key", c.c_int16), ("value", c.c_double),
)  # fmt: skip
_NoteEvent = struct(
    "_NoteEvent", *_HEAD, ("note", c.c_int32), ("port", c.c_int16), ("channel", c.c_int16), ("key", c.c_int16),
    ("velocity", c.c_double),
)  # fmt: skip
_ExpressionEvent = struct(
    "_ExpressionEvent", *_HEAD, ("id", c.c_int32), ("note", c.c_int32), ("port", c.c_int16), ("channel", c.c_int16),
    ("key", c.c_int16), ("value", c.c_double),
)  # fmt: skip
_MidiEvent = struct("_MidiEvent", *_HEAD, ("port", c.c_uint16), ("data", c.c_uint8 * 3))
_ParamInfo = struct(
    "_ParamInfo", ("id", _U), ("flags", _U), ("cookie", _P), ("name", c.c_char * 256), ("module", c.c_char * 1024),
    ("low", c.c_double), ("high", c.c_double), ("default", c.c_double),
)  # fmt: skip
_Params = struct(
    "_Params", ("count", c.CFUNCTYPE(_U, _P)), ("info", c.CFUNCTYPE(c.c_bool, _P, _U, _P)),
    ("value", c.CFUNCTYPE(c.c_bool, _P, _U, c.POINTER(c.c_double))),
    ("to_text", c.CFUNCTYPE(c.c_bool, _P, _U, c.c_double, _S, _U)),
)  # fmt: skip
_PortInfo = struct(
    "_PortInfo", ("id", _U), ("name", c.c_char * 256), ("flags", _U), ("channels", _U), ("type", _S), ("pair", _U),
)  # fmt: skip
_NoteInfo = struct("_NoteInfo", ("id", _U), ("dialects", _U), ("preferred", _U), ("name", c.c_char * 256))
_Ports = struct(
    "_Ports", ("count", c.CFUNCTYPE(_U, _P, c.c_bool)), ("get", c.CFUNCTYPE(c.c_bool, _P, _U, c.c_bool, _P)),
)  # fmt: skip
_MOVE = c.CFUNCTYPE(c.c_int64, _P, _P, c.c_uint64)
_Flow = struct("_Flow", ("data", _P), ("move", _MOVE))
_State = struct("_State", ("save", c.CFUNCTYPE(c.c_bool, _P, _P)), ("load", c.CFUNCTYPE(c.c_bool, _P, _P)))
_Latency = struct("_Latency", ("get", c.CFUNCTYPE(_U, _P)))


class _Library:
    """An opened library and its factory."""

    def __init__(self, path: str) -> None:
        try:
            self._loaded = c.CDLL(path)
            entry = _Entry.in_dll(self._loaded, "clap_entry")
        except (OSError, ValueError) as error:
            raise ParamError(f"is in no CLAP library: {error}") from None
        factory = entry.get_factory(_OFFERED.encode()) if entry.init(path.encode("utf-8", "surrogateescape")) else None
        if not factory:
            raise ParamError("is in a library that offers no plugins")
        self._at, self._factory = factory, c.cast(factory, c.POINTER(_Factory)).contents

    def descriptors(self) -> list[Any]:
        found = (self._factory.descriptor(self._at, n) for n in range(min(4096, self._factory.count(self._at))))
        return [descriptor.contents for descriptor in found if descriptor]

    def create(self, host: Any, name: str) -> Any:
        made = self._factory.create(self._at, c.addressof(host), name.encode())
        plugin = c.cast(made, c.POINTER(_Plugin)).contents if made else None
        if plugin is None or not plugin.init(made):
            raise ParamError("cannot be made")
        plugin.host = host  # the plugin holds its address
        return plugin


@cache
def _library(path: str) -> _Library:
    return _Library(path)


_TOLD = c.CFUNCTYPE(c.c_bool, _P)
_OFFERS = {
    "latency": "0", "tail": "0", "log": "0", "thread-check": "ma", "state": "0", "params": "000",
    "audio-ports": "00", "note-ports": "n0", "timer-support": "00", "posix-fd-support": "000", "gui": "00000",
    "thread-pool": "0", "note-name": "0", "voice-info": "0", "audio-ports-config": "0",
}  # fmt: skip
"""Extensions of the host, since many plugins call them unasked: by function, what it answers.

`0`: nothing or no; `m`, `a`: whether it is the main or the audio thread; `n`: the dialects of notes.
"""


def _host() -> Any:
    """Returns what a plugin can call. `host.plays`: whether its thread is the audio thread now, else the main one."""
    host: Any
    asked: list[int] = []
    restarts: list[int] = []
    nothing, callback = _ASK(lambda _: None), _ASK(lambda _: asked.append(1))
    restart = _ASK(lambda _: restarts.append(1))
    # those with further arguments too, which the caller clears
    answers: dict[str, Any] = {
        "0": _TOLD(lambda _: False), "m": _TOLD(lambda _: not host.plays), "a": _TOLD(lambda _: host.plays),
        "n": c.CFUNCTYPE(_U, _P)(lambda _: _CLAP_NOTES | _MIDI_NOTES),
    }  # fmt: skip
    offers = {
        f"clap.{name}".encode(): (_P * len(row))(*(c.cast(answers[one], _P) for one in row))
        for name, row in _OFFERS.items()
    }
    find = _GET(lambda _, name: c.addressof(offers[name]) if name in offers else None)
    host = _Host(_Version(*_VERSION), None, b"Antiphon", b"", b"", b"1", find, restart, nothing, callback)
    host.kept, host.plays = (nothing, find, callback, restart, offers, answers), False
    host.asked, host.restarts = asked, restarts
    return host


def _extension(plugin: Any, name: str, kind: Any) -> Any:
    found = plugin.get_extension(c.addressof(plugin), name.encode())
    return c.cast(found, c.POINTER(kind)).contents if found else None


def names(path: str) -> list[str]:
    """The ids of the plugins in a library."""
    return [descriptor.id.decode("utf-8", "replace") for descriptor in _library(path).descriptors()]


def card(path: str, name: str) -> PluginCard:
    """Description of one plugin. Raises ParamError: it cannot be created."""
    library = _library(path)
    said = next(d for d in library.descriptors() if d.id.decode("utf-8", "replace") == name)
    plugin = library.create(_host(), name)
    at = c.addressof(plugin)
    controls = ControlList()
    params = _extension(plugin, "clap.params", _Params)
    for index in range(params.count(at) if params else 0):
        info = _ParamInfo()
        if params.info(at, index, c.addressof(info)) and not info.flags & (_HIDDEN | _READONLY | _BYPASS):
            label, whole = info.name.decode("utf-8", "replace"), bool(info.flags & _STEPPED)
            kind = "float" if not whole else "switch" if info.high - info.low == 1.0 else "int"
            unit, words = _read_texts(params, at, info)
            begun = c.c_double(info.default)  # with its own default it need not begin
            if params.value:
                params.value(at, info.id, c.byref(begun))
            controls.add(HostedControl(info.id, label, kind, info.low, info.high, begun.value, label, unit), words)
    ports = _extension(plugin, "clap.audio-ports", _Ports)
    counts = [_channels(ports, at, is_input) for is_input in (True, False)]
    notes = _extension(plugin, "clap.note-ports", _Ports)
    dialects = 0
    if notes and notes.count(at, True):
        note = _NoteInfo()
        dialects = note.dialects if notes.get(at, 0, True, c.addressof(note)) else 0
    ins, outs = counts
    problem = "" if outs and outs[0] else "gives no sound"
    if sum(ins) + sum(outs) > MAX_CHANNELS:
        problem = f"has {sum(ins) + sum(outs)} channels; at most {MAX_CHANNELS} are hosted"
    return PluginCard(
        f"clap:{name}", (said.name or b"").decode("utf-8", "replace"), (said.vendor or b"").decode("utf-8", "replace"),
        problem, ins[0] if ins else 0, outs[0] if outs else 0, ins[1] if len(ins) > 1 else 0,
        bool(dialects & (_CLAP_NOTES | _MIDI_NOTES)), 0, path, tuple(controls.found),
        {"ins": ins, "outs": outs, "midi": bool(dialects & _MIDI_NOTES)},
    )  # fmt: skip


def _read_texts(params: Any, at: int, info: Any) -> tuple[str, list[tuple[str, float]]]:
    """The unit of a parameter, by its texts of three values, or the names of its steps, where it says any."""

    def told(value: float) -> str:
        text = c.create_string_buffer(256)
        is_told = params.to_text and params.to_text(at, info.id, value, text, len(text))
        return text.value.decode("utf-8", "replace").strip() if is_told else ""

    units = set()
    for value in (info.low, info.high, info.default):
        read = re.fullmatch(r"([-+]?\d+(?:\.(\d+))?)\s*(.*)", told(value))
        # a text that counts otherwise than the parameter has another unit
        matches = read and abs(float(read[1]) - value) <= 0.501 * 10.0 ** -len(read[2] or "")
        units.add(read[3] if read and matches else None)
    if len(units) == 1 and None not in units:
        return units.pop() or "", []
    if not info.flags & _STEPPED or info.high - info.low >= MAX_CHOICES:
        return "", []
    words = [(told(float(value)), float(value)) for value in range(math.ceil(info.low), math.floor(info.high) + 1)]
    return "", words if all(word for word, _ in words) else []


def _channels(ports: Any, at: int, is_input: bool) -> list[int]:
    found = []
    for index in range(ports.count(at, is_input) if ports else 0):
        info = _PortInfo()
        found.append(int(info.channels) if ports.get(at, index, is_input, c.addressof(info)) else 0)
    return found


class ClapInstance:
    """One instance; see `HostedInstance`."""

    def __init__(self, card: PluginCard, rate: int, hop: int) -> None:
        """Creates and starts the plugin. Raises ParamError: it cannot be created."""
        self._plugin = _library(card.library).create(_host(), card.address.partition(":")[2])
        self._asked: list[int] = self._plugin.host.asked
        self._restarts: list[int] = self._plugin.host.restarts
        self._at = c.addressof(self._plugin)
        more = card.more
        self._midi = bool(more["midi"])
        self.x: Samples = np.zeros((card.ins + card.side, hop), np.float32)
        self.y: Samples = np.zeros((card.outs, hop), np.float32)
        self._hop = hop
        self._kept: list[Any] = []
        ins, outs = self._buffers(more["ins"], self.x), self._buffers(more["outs"], self.y)
        self._waiting: dict[int, float] = {}
        self._events: list[Any] = []
        size = _EventsIn._fields_[1][1](lambda _: len(self._events))
        get = _EventsIn._fields_[2][1](lambda _, n: c.addressof(self._events[n]) if n < len(self._events) else None)
        push = _EventsOut._fields_[1][1](lambda _, __: True)
        self._in, self._out = _EventsIn(None, size, get), _EventsOut(None, push)
        self._process = _Process(
            0, hop, None, c.addressof(ins), c.addressof(outs), len(more["ins"]), len(more["outs"]),
            c.addressof(self._in), c.addressof(self._out),
        )  # fmt: skip
        self._kept += [ins, outs, size, get, push]
        self._latency = _extension(self._plugin, "clap.latency", _Latency)
        self._rate = rate
        self._start()

    def _start(self) -> None:
        rate, hop = self._rate, self._hop
        active = self._plugin.activate(self._at, float(rate), hop, hop)
        self._plugin.host.plays = True
        started = active and self._plugin.start(self._at)
        self._plugin.host.plays = False
        if not started:
            raise ParamError(f"cannot be started at {rate} Hz in blocks of {hop} frames")

    def _stop(self) -> None:
        self._plugin.host.plays = True
        self._plugin.stop(self._at)
        self._plugin.host.plays = False
        self._plugin.deactivate(self._at)

    def _buffers(self, counts: Sequence[int], sound: Samples) -> Any:
        """Buffers of the ports: the first channels are those of `sound`, the others are silent or discarded."""
        found, row = (_Buffer * max(1, len(counts)))(), 0
        for n, count in enumerate(counts):
            rows = [sound[row + k] if row + k < len(sound) else np.zeros(self._hop, np.float32) for k in range(count)]
            row += count
            pointers = (_P * max(1, count))(*(one.ctypes.data for one in rows))
            found[n] = _Buffer(c.addressof(pointers), None, count, 0, 0)
            self._kept += [rows, pointers]
        return found

    def set(self, key: int | str, value: float) -> None:
        """Sets a parameter at the beginning of the next run."""
        self._waiting[int(key)] = value

    @property
    def latency(self) -> int:
        """Latency in frames as reported by the plugin."""
        return int(self._latency.get(self._at)) if self._latency else 0

    def run(self, messages: Sequence[MidiMessage]) -> None:
        """Computes a hop of `x` into `y`."""
        events: list[Any] = [
            _ParamEvent(c.sizeof(_ParamEvent), 0, 0, _PARAM, 0, key, None, -1, -1, -1, -1, value)
            for key, value in self._waiting.items()
        ]
        self._waiting.clear()
        for frame, data in messages:
            kind, low = data[0] & 0xF0, data[0] & 15
            if self._midi:
                events.append(_MidiEvent(c.sizeof(_MidiEvent), frame, 0, _MIDI, 0, 0, (c.c_uint8 * 3)(*data)))
            elif kind in (0x80, 0x90) or (kind == 0xB0 and data[1] in _ENDING):
                what, key = (_NOTE_ON if kind == 0x90 else _NOTE_OFF), data[1]
                if kind == 0xB0:
                    what, key = _ENDING[key], -1
                size = c.sizeof(_NoteEvent)
                events.append(_NoteEvent(size, frame, 0, what, 0, -1, 0, low, key, data[2] / 127))
            elif kind in (0xA0, 0xD0, 0xE0):
                key, what, value = data[1] if kind == 0xA0 else -1, _PRESSURE, data[-1] / 127
                if kind == 0xE0:
                    what, value = _TUNING, ((data[2] << 7 | data[1]) / 8192 - 1.0) * _BEND_RANGE
                size = c.sizeof(_ExpressionEvent)
                events.append(_ExpressionEvent(size, frame, 0, _EXPRESSION, 0, what, -1, 0, low, key, value))
        self._events = events
        self._play()
        if self._restarts and not self._process.steady:  # many say their latency so; what was begun is lost by it
            self._restarts.clear()
            self._stop()
            self._start()
            self._plugin.reset(self._at)
            self._play()
        self._process.steady += self._hop
        if self._asked:
            self._asked.clear()
            self._plugin.on_main_thread(self._at)
        if self._restarts:  # as where a value changes its latency, which is fixed while it is active
            self._restarts.clear()
            self._stop()
            self._start()

    def _play(self) -> None:
        self._plugin.host.plays = True
        self._plugin.process(self._at, c.addressof(self._process))
        self._plugin.host.plays = False

    def save(self) -> bytes:
        """Plugin state; empty where it has none."""
        state, parts = _extension(self._plugin, "clap.state", _State), []

        def write(_: int, data: int, size: int) -> int:
            parts.append(c.string_at(data, size))
            return size

        flow = _Flow(None, _MOVE(write))
        return b"".join(parts) if state and state.save(self._at, c.addressof(flow)) else b""

    def load(self, data: bytes) -> None:
        """Restores a state. Raises ParamError: the plugin rejects it."""
        state, left = _extension(self._plugin, "clap.state", _State), [data]

        def read(_: int, into: int, size: int) -> int:
            part, left[0] = left[0][:size], left[0][size:]
            c.memmove(into, part, len(part))
            return len(part)

        flow = _Flow(None, _MOVE(read))
        if not state or not state.load(self._at, c.addressof(flow)):
            raise ParamError("does not take the state")

    def close(self) -> None:
        """Destroys the instance."""
        self._stop()
        self._plugin.destroy(self._at)
