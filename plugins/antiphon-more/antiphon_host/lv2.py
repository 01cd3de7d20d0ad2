"""Runs an LV2 plugin: opens its library without lilv, from its card's port description."""

import base64
import ctypes as c
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from antiphon.api import ParamError, Samples
from antiphon_host.card import RATE, PluginCard, struct
from antiphon_host.midi import MidiMessage

EXT = "http://lv2plug.in/ns/ext/"
ATOM = f"{EXT}atom#"
_MIN_BUFFER = 16384
_P = c.c_void_p


_Descriptor = struct(
    "_Descriptor", ("uri", c.c_char_p), ("instantiate", c.CFUNCTYPE(_P, _P, c.c_double, c.c_char_p, _P)),
    ("connect_port", c.CFUNCTYPE(None, _P, c.c_uint32, _P)), ("activate", c.CFUNCTYPE(None, _P)),
    ("run", c.CFUNCTYPE(None, _P, c.c_uint32)), ("deactivate", c.CFUNCTYPE(None, _P)),
    ("cleanup", c.CFUNCTYPE(None, _P)), ("extension_data", c.CFUNCTYPE(_P, c.c_char_p)),
)  # fmt: skip
_Feature = struct("_Feature", ("uri", c.c_char_p), ("data", _P))
_Two = struct("_Two", ("handle", _P), ("function", _P))
"""C structure of a handle and a function: map, unmap and schedule."""
_Option = struct(
    "_Option", ("context", c.c_uint32), ("subject", c.c_uint32), ("key", c.c_uint32), ("size", c.c_uint32),
    ("type", c.c_uint32), ("value", _P),
)  # fmt: skip
_MAP = c.CFUNCTYPE(c.c_uint32, _P, c.c_char_p)
_UNMAP = c.CFUNCTYPE(_P, _P, c.c_uint32)
_WORK = c.CFUNCTYPE(c.c_int, _P, c.c_uint32, _P)


_WorkerInterface = struct(
    "_WorkerInterface", ("work", c.CFUNCTYPE(c.c_int, _P, _P, _P, c.c_uint32, _P)),
    ("work_response", c.CFUNCTYPE(c.c_int, _P, c.c_uint32, _P)), ("end_run", c.CFUNCTYPE(c.c_int, _P)),
)  # fmt: skip
_STORE = c.CFUNCTYPE(c.c_int, _P, c.c_uint32, _P, c.c_size_t, c.c_uint32, c.c_uint32)
_FETCH = c.CFUNCTYPE(_P, _P, c.c_uint32, c.POINTER(c.c_size_t), c.POINTER(c.c_uint32), c.POINTER(c.c_uint32))
_POD, _UNKNOWN, _BAD_FLAGS = 1, 1, 3


_StateInterface = struct(
    "_StateInterface", ("save", c.CFUNCTYPE(c.c_int, _P, _STORE, _P, c.c_uint32, _P)),
    ("restore", c.CFUNCTYPE(c.c_int, _P, _FETCH, _P, c.c_uint32, _P)),
)  # fmt: skip
_numbers: dict[bytes, int] = {}
_names: list[Any] = []
"""Process-wide table of URIs by number, as a library may share numbers between instances."""


class HostFeatures:
    """Host features offered to an instance. Keeps the objects referenced by C alive."""

    def __init__(self, rate: float, hop: int) -> None:
        self._map, self._unmap = _MAP(lambda _, uri: self.number(uri)), _UNMAP(self._name)
        self._schedule = _WORK(self._schedule_work)
        self.scheduled: list[bytes] = []
        kept: list[Any] = [c.c_int32(hop), c.c_int32(_MIN_BUFFER), c.c_float(rate)]
        self._numbers_kept = kept
        size, sequence, speed = kept
        options = (_Option * 6)()
        for n, (key, kind, value) in enumerate(
            (
                (f"{EXT}buf-size#minBlockLength", f"{ATOM}Int", size),
                (f"{EXT}buf-size#maxBlockLength", f"{ATOM}Int", size),
                (f"{EXT}buf-size#nominalBlockLength", f"{ATOM}Int", size),
                (f"{EXT}buf-size#sequenceSize", f"{ATOM}Int", sequence),
                (f"{EXT}parameters#sampleRate", f"{ATOM}Float", speed),
            )
        ):
            address = c.cast(c.byref(value), _P).value
            options[n] = _Option(0, 0, self.number(key.encode()), 4, self.number(kind.encode()), address)
        pairs = [
            _Two(None, c.cast(function, _P)) for function in (self._map, self._unmap, self._schedule)
        ]  # fmt: skip
        data: dict[str, Any] = {
            "urid#map": pairs[0], "urid#unmap": pairs[1], "worker#schedule": pairs[2], "options#options": options,
            "buf-size#boundedBlockLength": None, "buf-size#fixedBlockLength": None,
        }  # fmt: skip
        self._kept = [
            _Feature(f"{EXT}{name}".encode(), None if item is None else c.cast(c.byref(item), _P))
            for name, item in data.items()
        ]
        self._data = data
        self.array = (c.POINTER(_Feature) * (len(self._kept) + 1))(*(c.pointer(f) for f in self._kept))

    def number(self, uri: bytes) -> int:
        """Number of a URI, from 1."""
        if uri not in _numbers:
            _names.append(c.create_string_buffer(uri))
            _numbers[uri] = len(_names)
        return _numbers[uri]

    def uri(self, number: int) -> str | None:
        """URI of a number; None for an unknown one."""
        return bytes(_names[number - 1].value).decode() if 1 <= number <= len(_names) else None

    def _name(self, _: Any, number: int) -> int | None:
        return c.addressof(_names[number - 1]) if 1 <= number <= len(_names) else None

    def _schedule_work(self, _: Any, size: int, data: int) -> int:
        self.scheduled.append(c.string_at(data, size) if size else b"")
        return 0


class Lv2Instance:
    """An LV2 instance with input `x`, float32 `[ins + side, hop]`, and output `y`, `[outs, hop]`."""

    def __init__(self, card: PluginCard, rate: float, hop: int) -> None:
        """Loads and activates the plugin. Raises ParamError: its library lacks it."""
        self._features = HostFeatures(rate, hop)
        more, uri = card.more, card.address.partition(":")[2].encode()
        try:
            loaded = c.CDLL(card.library)
            descriptor = loaded.lv2_descriptor
        except (OSError, AttributeError) as error:
            raise ParamError(f"cannot be loaded: {error}") from None
        descriptor.restype = c.POINTER(_Descriptor)
        found = next((d for d in _descriptors(descriptor) if d.contents.uri == uri), None)
        if found is None:
            raise ParamError(f"is not in its library {card.library}")
        self._descriptor = found.contents
        self._handle = self._descriptor.instantiate(
            c.cast(found, _P), rate, more["bundle"].encode("utf-8", "surrogateescape"), c.cast(self._features.array, _P)
        )
        if not self._handle:
            raise ParamError(f"cannot be made at {rate:g} Hz")
        self.x: Samples = np.zeros((card.ins + card.side, hop), np.float32)
        self.y: Samples = np.zeros((card.outs, hop), np.float32)
        self._hop = hop
        self._scratch: Samples = np.zeros((2, hop), np.float32)
        self._values = np.zeros(max(1, len(more["ports"])), np.float32)
        self._rate = rate
        self._rated = {int(index): (low, high, default) for index, low, high, default in more["rated"]}
        self._latency_at = int(more["latency"])
        self._sequence = self._features.number(f"{ATOM}Sequence".encode())
        self._chunk = self._features.number(f"{ATOM}Chunk".encode())
        self._midi = self._features.number(f"{EXT}midi#MidiEvent".encode())
        self._atoms: list[tuple[Any, bool, int]] = []
        self._note_buffer: Any = None
        self._connect(more)
        self._worker = self._interface("worker", _WorkerInterface)
        self._state = self._interface("state", _StateInterface)
        self._answers: list[bytes] = []
        self._respond = _WORK(self._store_worker_answer)
        if self._descriptor.activate:
            self._descriptor.activate(self._handle)

    def _interface(self, name: str, kind: Any) -> Any:
        data = self._descriptor.extension_data
        found = data(f"{EXT}{name}#interface".encode()) if data else None
        return c.cast(found, c.POINTER(kind)).contents if found else None

    def _connect(self, more: Any) -> None:
        rows = {index: self.x[n] for n, index in enumerate([*more["ins"], *more["side"]])}
        rows |= {index: self.y[n] for n, index in enumerate(more["outs"])}
        for index, kind, is_input, value, size in more["ports"]:
            self.set(index, value)
            if kind == "control":
                at: int | None = self._values[index:].ctypes.data
            elif kind in ("audio", "cv"):
                at = rows.get(index, self._scratch[0 if is_input else 1]).ctypes.data
            elif kind == "atom":
                capacity = max(_MIN_BUFFER, size)
                buffer = (c.c_uint64 * (capacity // 8 + 2))()
                self._atoms.append((buffer, is_input, capacity))
                if index == more["midi"]:
                    self._note_buffer = buffer
                at = c.addressof(buffer)
            else:
                at = None
            self._descriptor.connect_port(self._handle, index, at)

    def set(self, key: int | str, value: float) -> None:
        """Sets a control. Of one that follows the sample rate, the default at 48 kHz is that of each rate."""
        if (rated := self._rated.get(int(key))) and self._rate != RATE:
            low, high, default = (share * self._rate for share in rated)
            is_default = math.isclose(value, rated[2] * RATE, rel_tol=1e-6)
            value = default if is_default else min(max(value, low), high)
        self._values[int(key)] = value

    @property
    def latency(self) -> int:
        """Latency in frames as reported after a run."""
        return max(0, round(float(self._values[self._latency_at]))) if self._latency_at >= 0 else 0

    def run(self, messages: Sequence[MidiMessage]) -> None:
        """Computes a hop of `x` into `y`."""
        for buffer, is_input, capacity in self._atoms:
            head = c.cast(buffer, c.POINTER(c.c_uint32))
            head[0], head[1] = (8, self._sequence) if is_input else (capacity - 8, self._chunk)
            head[2] = head[3] = 0
        if messages and self._note_buffer is not None:
            self._write(messages)
        self._descriptor.run(self._handle, self._hop)
        if self._worker is not None:
            self._work()

    def _write(self, messages: Sequence[MidiMessage]) -> None:
        start, at = c.addressof(self._note_buffer), 16
        for frame, data in messages:
            if at + 24 > _MIN_BUFFER:
                break
            c.c_int64.from_address(start + at).value = frame
            c.c_uint32.from_address(start + at + 8).value = len(data)
            c.c_uint32.from_address(start + at + 12).value = self._midi
            c.memmove(start + at + 16, data, len(data))
            at += 24
        c.c_uint32.from_address(start).value = at - 8

    def _work(self) -> None:
        """Executes the plugin's scheduled work, between two hops."""
        assert self._worker is not None
        scheduled, self._features.scheduled = self._features.scheduled, []
        for data in scheduled:
            self._worker.work(self._handle, c.cast(self._respond, _P), None, len(data), c.cast(c.c_char_p(data), _P))
        answers, self._answers = self._answers, []
        for data in answers:
            if self._worker.work_response:
                self._worker.work_response(self._handle, len(data), c.cast(c.c_char_p(data), _P))
        if self._worker.end_run:
            self._worker.end_run(self._handle)

    def _store_worker_answer(self, _: Any, size: int, data: int) -> int:
        self._answers.append(c.string_at(data, size) if size else b"")
        return 0

    def save(self) -> bytes:
        """Properties as JSON; empty if there are none."""
        found: dict[str, tuple[str, str]] = {}
        named = self._features.uri

        def store(_: Any, key: int, value: int, size: int, kind: int, flags: int) -> int:
            uri, type_uri = named(key), named(kind)
            if uri is None or type_uri is None:
                return _UNKNOWN
            if not flags & _POD:
                return _BAD_FLAGS
            found[uri] = type_uri, base64.b64encode(c.string_at(value, size)).decode()
            return 0

        if self._state is not None:
            self._state.save(self._handle, _STORE(store), None, _POD, c.cast(self._features.array, _P))
        return json.dumps(found).encode() if found else b""

    def load(self, data: bytes) -> None:
        """Restores properties."""
        number, kept = self._features.number, {}
        for uri, (kind, text) in json.loads(data).items():
            value = base64.b64decode(text)
            kept[number(uri.encode())] = c.create_string_buffer(value, len(value)), len(value), number(kind.encode())

        def fetch(_: Any, key: int, size: Any, kind: Any, flags: Any) -> int | None:
            if key not in kept:
                return None
            value, size[0], kind[0] = kept[key]
            if flags:
                flags[0] = _POD
            return c.addressof(value)

        if self._state is not None:
            self._state.restore(self._handle, _FETCH(fetch), None, _POD, c.cast(self._features.array, _P))

    def close(self) -> None:
        """Destroys the instance."""
        if self._descriptor.deactivate:
            self._descriptor.deactivate(self._handle)
        if self._descriptor.cleanup:
            self._descriptor.cleanup(self._handle)


def _descriptors(function: Any) -> Iterator[Any]:
    for index in range(4096):
        found = function(c.c_uint32(index))
        if not found:
            return
        yield found
