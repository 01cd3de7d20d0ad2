"""JACK client beside scsynth: two ports to it, a stereo pair back for each node, a ring of returned sound."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from antiphon.api import EngineError, Samples
from antiphon.api.backends.intrinsics import call_c, compile_all, store_release
from antiphon.api.kernels import address_f32, i64, i64p, kernel

# ---- JACK process callback beside scsynth, in machine code: sends a sample counter, receives sound tagged with it

DEPTH = 64
"""Size of the ring in blocks."""
MAX_SHIFTED = 2
"""Maximum shift of stored sound after its frame, in blocks."""
SHIFTED_CYCLES = 256
"""Cycles after which the shift is reset."""
MAX_PORTS = 40


class BridgeSlot(IntEnum):
    """Indices of the callback's state words."""

    CALLS = 0
    BLOCK = 1
    COUNTER = 2  # first frame of the next cycle
    BUFFER = 3  # address of jack_port_get_buffer
    PORTS = 4  # inputs: two of the counter, then the sound's
    DATA = 5  # address of float32 [DEPTH][PORTS][BLOCK]
    CAME = 7  # frame after the newest that has come back
    OUT = 8  # and 9: ports
    LAST = 10  # first frame of the last block that came back, by its own number
    SHIFT = 11  # frames after their own at which blocks are stored
    SHIFTED = 12  # cycles since SHIFT is above 0
    IN = 16
    TAGS = 64  # DEPTH words: first frame of the block there, plus 1


WORDS = 64 + DEPTH


@kernel
def block_shift(s: i64p, first: i64, count: i64) -> i64:
    """Shift in frames of a returned block against its own number, which keeps sounding notes continuous.

    While a client joins JACK, scsynth may get one block of the counter twice, and skip one later: meanwhile its sound
    is a block late by its number. An identical repeated block was not computed anew by scsynth.
    """
    block = s[BridgeSlot.BLOCK]
    blocks = (first - s[BridgeSlot.LAST]) // block
    shift = s[BridgeSlot.SHIFT]
    if blocks == 0:
        place = (first + shift) // block % DEPTH
        kept = address_f32(s[BridgeSlot.DATA])
        same = 1
        for c in range(2, s[BridgeSlot.PORTS]):
            port = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN + c], count))
            at = (place * s[BridgeSlot.PORTS] + c) * block
            for n in range(block):
                if port[n] != kept[at + n]:
                    same = 0
        if same == 0:
            shift = shift + block
    elif blocks > 1:
        shift = shift - (blocks - 1) * block
    s[BridgeSlot.SHIFTED] = s[BridgeSlot.SHIFTED] + 1
    if shift <= 0 or blocks < 0 or shift > MAX_SHIFTED * block or s[BridgeSlot.SHIFTED] > SHIFTED_CYCLES:
        shift = 0
        s[BridgeSlot.SHIFTED] = 0
    s[BridgeSlot.LAST] = first
    s[BridgeSlot.SHIFT] = shift
    return i64(shift)


@kernel
def bridge_process(frames: i64, s: i64p) -> i64:
    """JackProcessCallback: `frames` arrives as 32 bits in a 64-bit register."""
    count = frames & 4294967295
    block = s[BridgeSlot.BLOCK]
    now = s[BridgeSlot.COUNTER]
    high = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.OUT], count))
    low = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.OUT + 1], count))
    for n in range(count):
        high[n] = (now + n) >> 24
        low[n] = (now + n) & 16777215
    s[BridgeSlot.COUNTER] = now + count
    if count == block:
        h = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN], count))
        w = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN + 1], count))
        first = (i64(h[0]) << 24) + i64(w[0])
        last = (i64(h[block - 1]) << 24) + i64(w[block - 1])
        # a block in which the counter was not whole has another distance between its ends
        if first > 0 and first % block == 0 and last == first + block - 1 and first <= now:
            first = first + block_shift(s, first, count)
            place = first // block % DEPTH
            s[BridgeSlot.TAGS + place] = 0
            into = address_f32(s[BridgeSlot.DATA])
            for c in range(2, s[BridgeSlot.PORTS]):
                port = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN + c], count))
                at = (place * s[BridgeSlot.PORTS] + c) * block
                for n in range(block):
                    into[at + n] = port[n]
            store_release(s, BridgeSlot.TAGS + place, first + 1)
            store_release(s, BridgeSlot.CAME, first + block)
    store_release(s, BridgeSlot.CALLS, s[BridgeSlot.CALLS] + 1)
    return 0


NAME = "antiphon-scsynth-wires-"
ECHO = 2
"""Number of ports of the counter in each direction."""


@dataclass(frozen=True, slots=True)
class ForeignClient:
    """Another program's JACK client, which may be a scsynth."""

    name: str
    outputs: int
    free_inputs: int  # those before the first that another Antiphon uses
    free_outputs: int


class Wires:
    """JACK client of one worker. rate, block: JACK's. `slots`: stereo pairs.  Raises EngineError: no JACK or port.

    `patience`: maximum seconds to wait for a server.
    """

    def __init__(self, name: str, slots: int, patience: float = 0.0) -> None:
        try:
            import jack
        except OSError as error:
            raise EngineError("the JACK library is missing; install it with: sudo apt-get install jackd2") from error
        ports = ECHO + 2 * slots
        if ports > MAX_PORTS:
            raise EngineError(f"scsynth plays at most {(MAX_PORTS - ECHO) // 2} nodes, not {slots}")
        jack.set_error_function(lambda _text: None)
        jack.set_info_function(lambda _text: None)
        self._jack = jack
        self._client = _opened(jack, name, patience)
        self.rate, self.block = self._client.samplerate, self._client.blocksize
        self.on_down: Callable[[], None] = lambda: None
        self.down = False
        self._words = np.zeros(WORDS, np.int64)
        self._view = memoryview(self._words)  # type: ignore[arg-type]
        self._ring: Samples = np.zeros((DEPTH, ports, self.block), np.float32)
        self._outs = [self._client.outports.register(f"clock_{n + 1}") for n in range(ECHO)]
        self._ins = [self._client.inports.register(f"in_{n + 1}") for n in range(ports)]
        self._begin()

    def _begin(self) -> None:
        words, ffi, lib, client = self._words, self._jack._ffi, self._jack._lib, self._client
        words[BridgeSlot.BUFFER] = int(ffi.cast("uintptr_t", lib.jack_port_get_buffer))
        words[BridgeSlot.BLOCK], words[BridgeSlot.PORTS] = self.block, len(self._ins)
        # 0 is what a wire without a writer holds
        words[BridgeSlot.COUNTER] = self.block * DEPTH
        words[BridgeSlot.DATA] = self._ring.ctypes.data
        for first, ports in ((BridgeSlot.OUT, self._outs), (BridgeSlot.IN, self._ins)):
            for n, port in enumerate(ports):
                words[first + n] = int(ffi.cast("uintptr_t", port._ptr))
        compile_all()
        callback = ffi.cast("JackProcessCallback", bridge_process.address)
        if lib.jack_set_process_callback(client._ptr, callback, ffi.cast("void*", words.ctypes.data)):
            raise EngineError("JACK refused the process callback")
        client.set_shutdown_callback(self._on_shutdown)
        client.activate()

    def _on_shutdown(self, _status: object, _reason: object) -> None:
        self.down = True
        self.on_down()

    @property
    def counter(self) -> int:
        """First frame of JACK's next cycle."""
        return self._view[BridgeSlot.COUNTER]

    @property
    def returned_frames(self) -> int:
        """End of the returned sound, in frames."""
        return self._view[BridgeSlot.CAME]

    def join(self, client: str, first_in: int = 0, first_out: int = 0) -> None:
        """Connects scsynth's client: the counter to its inputs, its outputs to ours. Raises EngineError: JACK refuses.

        `first_in`, `first_out`: numbers of our first ports; other programs use the earlier ones. Ours must have no
        other connection.
        """
        connect = self._client.connect
        try:
            for n, port in enumerate(self._outs):
                self._disconnect_all(f"{client}:in_{first_in + n + 1}")
                connect(port, f"{client}:in_{first_in + n + 1}")
            for n, port in enumerate(self._ins):
                self._disconnect_all(f"{client}:out_{first_out + n + 1}")
                connect(f"{client}:out_{first_out + n + 1}", port)
        except self._jack.JackError as error:
            raise EngineError(f"JACK does not wire {client}: {error}") from error

    def _disconnect_all(self, port: str) -> None:
        for other in self._client.get_all_connections(port):
            into, out = (other.name, port) if other.is_output else (port, other.name)
            self._client.disconnect(into, out)

    def leave(self, client: str) -> None:
        """Disconnects that client."""
        for port in (*self._outs, *self._ins):
            for other in port.connections:
                if other.name.startswith(f"{client}:"):
                    with contextlib.suppress(self._jack.JackError):
                        port.disconnect(other)

    def clients(self) -> list[ForeignClient]:
        """JACK's other clients with scsynth's port names; sclang's first."""
        ports: dict[str, tuple[dict[int, bool], dict[int, bool]]] = {}
        for port in self._client.get_ports(is_audio=True):
            client, _, name = port.name.rpartition(":")
            kind, _, number = name.partition("_")
            if kind in ("in", "out") and number.isdigit() and client != self._client.name:
                others = self._client.get_all_connections(port)
                taken = any(other.name.startswith(NAME) for other in others)
                ports.setdefault(client, ({}, {}))[kind == "out"][int(number)] = taken
        result = [ForeignClient(name, len(outs), _free(ins), _free(outs)) for name, (ins, outs) in ports.items()]
        return sorted(result, key=lambda outside: not outside.name.startswith("SuperCollider"))

    def read(self, frame: int, slot: int, into: Samples) -> bool:
        """Copies the slot's sound from `frame` into `[2, frames]`; returns False if part of it has not returned yet."""
        block, view, done, frames = self.block, self._view, 0, into.shape[1]
        port = ECHO + 2 * slot
        while done < frames:
            first = (frame + done) // block * block
            place = first // block % DEPTH
            if first <= 0 or view[BridgeSlot.TAGS + place] != first + 1:
                return False
            start = frame + done - first
            count = min(frames - done, block - start)
            into[:, done : done + count] = self._ring[place, port : port + 2, start : start + count]
            if view[BridgeSlot.TAGS + place] != first + 1:
                return False
            done += count
        return True

    def close(self) -> None:
        if not self.down:
            self.down = True
            with contextlib.suppress(Exception):
                self._client.deactivate(ignore_errors=True)
                self._client.close(ignore_errors=True)


def _free(taken: dict[int, bool]) -> int:
    """Number of ports, counted from 1, below those of another Antiphon."""
    return min([number for number, held in taken.items() if held], default=len(taken) + 1) - 1


def _opened(jack: Any, name: str, patience: float) -> Any:
    deadline = time.monotonic() + patience
    while True:
        try:
            return jack.Client(name, no_start_server=True)
        except jack.JackError as error:
            if time.monotonic() >= deadline:
                raise EngineError(
                    "no JACK server answers, and scsynth plays through JACK; start one (jackd -d alsa), or use "
                    "--audio headless, which starts its own"
                ) from error
        time.sleep(0.05)
