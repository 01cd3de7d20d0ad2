"""Reads and writes JACK MIDI by a native callback.

python-rtmidi's own JACK input was tried and rejected: it calls Python inside JACK's cycle, and an unterminated SysEx
makes it hold back all later messages, notes included, without limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from antiphon.api import EngineError
from antiphon.api.backends.intrinsics import call_c, compile_all, load_acquire, store_release
from antiphon.api.kernels import address_f32, i64, i64p, kernel, offset
from antiphon.kernel.runtime.platform import MONOTONIC, c_function
from antiphon.native.intrinsics import as_u8p

# ---- JACK process callback for MIDI, in machine code: events in and out through one array of 64-bit words
# No interpreter runs in it, so a busy control process delays no sound. (A callback in Python would wait for the
# interpreter's lock inside JACK's cycle.) `MidiSlot` names the words; a record in the input ring is two words, `port
# << 32 | size` and the time in ns of CLOCK_MONOTONIC, and then the bytes, padded to whole words; -1 in the first
# sends the reader to the ring's beginning. An output message is a word: `port << 32 | size << 24` and up to three
# bytes. A timestamped output message is two words in its own ring: the same, and its time.

INPUTS, OUTPUTS = 64, 16
RING, OUT_RING, DATED_RING = 1 << 15, 4096, 2048
"""Ring sizes in words."""


class MidiSlot(IntEnum):
    """Indices of the callback's state words."""

    CALLS = 0
    RATE = 1
    BELL = 2
    ONE = 3
    WRITE_FD = 4  # from here to EVENT_PUT: addresses of C functions
    CLOCK = 5
    BUFFER = 6
    COUNT = 7
    EVENT = 8
    CLEAR = 9
    EVENT_PUT = 10
    WRITE = 12
    READ = 13
    DROPPED = 14
    OUT_WRITE = 15
    OUT_READ = 16
    TIME = 17  # to 19: addresses of C functions and of JACK's client
    CYCLE_TIMES = 18
    CLIENT = 19
    GOT = 20  # to 22: jack_midi_event_t: time, size, address
    NOW = 24  # and 25: struct timespec
    CYCLE = 26  # to 29: of JACK's cycle, frame, µs of its beginning, of the next, period
    DATED_WRITE = 30
    DATED_READ = 31
    INS = 32
    OUTS = 32 + 64
    OUT_BUFFERS = 32 + 64 + 16


OUT_AT = 128
DATED_AT = OUT_AT + OUT_RING
RING_AT = DATED_AT + DATED_RING
WORDS = RING_AT + RING


@kernel
def keep(s: i64p, port: i64, now: i64) -> i64:
    """Writes the event in `GOT` into the ring; returns 1, or 0 if it does not fit, which is counted."""
    size = s[MidiSlot.GOT + 1]
    need = 2 + (size + 7) // 8
    write = s[MidiSlot.WRITE]
    at = write % RING
    skip = 0
    if at + need > RING:
        skip = RING - at
    if write + skip + need - load_acquire(s, MidiSlot.READ) > RING:
        s[MidiSlot.DROPPED] = s[MidiSlot.DROPPED] + 1
        return 0
    if skip > 0:
        s[RING_AT + at] = -1
        at = 0
    s[RING_AT + at] = port << 32 | size
    s[RING_AT + at + 1] = now + (s[MidiSlot.GOT] & 4294967295) * 1000000000 // s[MidiSlot.RATE]
    source = as_u8p(address_f32(s[MidiSlot.GOT + 2]))
    dest = as_u8p(offset(s, RING_AT + at + 2))
    for n in range(size):
        dest[n] = source[n]
    store_release(s, MidiSlot.WRITE, write + skip + need)
    return 1


@kernel
def give(s: i64p, frames: i64) -> None:
    """Writes queued messages into the ports' buffers; messages that do not fit wait for the next cycle."""
    for p in range(OUTPUTS):
        port = load_acquire(s, MidiSlot.OUTS + p)
        s[MidiSlot.OUT_BUFFERS + p] = 0
        if port != 0:
            buffer = call_c(s[MidiSlot.BUFFER], port, frames)
            call_c(s[MidiSlot.CLEAR], buffer)
            s[MidiSlot.OUT_BUFFERS + p] = buffer
    read = s[MidiSlot.OUT_READ]
    write = load_acquire(s, MidiSlot.OUT_WRITE)
    while read < write:
        place = OUT_AT + read % OUT_RING
        word = s[place]
        buffer = s[MidiSlot.OUT_BUFFERS + (word >> 32)]
        if buffer != 0:
            full = call_c(s[MidiSlot.EVENT_PUT], buffer, 0, as_u8p(offset(s, place)), word >> 24 & 255)
            if full & 4294967295 != 0:
                break
        read = read + 1
    store_release(s, MidiSlot.OUT_READ, read)


@kernel
def give_dated(s: i64p, frames: i64, now: i64) -> None:
    """Writes timestamped messages due before the cycle's end at their frames; after `give`, which clears buffers."""
    read = s[MidiSlot.DATED_READ]
    write = load_acquire(s, MidiSlot.DATED_WRITE)
    least = 0
    while read < write:
        place = DATED_AT + read % DATED_RING
        ahead = s[place + 1] - now
        frame = least
        if ahead > 0:
            frame = (ahead * s[MidiSlot.RATE] + 500000000) // 1000000000
        if frame >= frames:
            break
        if frame < least:
            frame = least
        least = frame
        buffer = s[MidiSlot.OUT_BUFFERS + (s[place] >> 32)]
        if buffer != 0:
            full = call_c(s[MidiSlot.EVENT_PUT], buffer, frame, as_u8p(offset(s, place)), s[place] >> 24 & 255)
            if full & 4294967295 != 0:
                break
        read = read + 2
    store_release(s, MidiSlot.DATED_READ, read)


@kernel
def cycle_start(s: i64p) -> i64:
    """Start time of the cycle, in ns of CLOCK_MONOTONIC, by JACK's own DLL, independent of this call's delay."""
    call_c(s[MidiSlot.CLOCK], MONOTONIC, offset(s, MidiSlot.NOW))
    now = s[MidiSlot.NOW] * 1000000000 + s[MidiSlot.NOW + 1]
    call_c(
        s[MidiSlot.CYCLE_TIMES],
        s[MidiSlot.CLIENT],
        offset(s, MidiSlot.CYCLE),
        offset(s, MidiSlot.CYCLE + 1),
        offset(s, MidiSlot.CYCLE + 2),
        offset(s, MidiSlot.CYCLE + 3),
    )
    ago = call_c(s[MidiSlot.TIME]) - s[MidiSlot.CYCLE + 1]
    if ago < 0 or ago > 1000000:
        ago = 0
    return i64(now - ago * 1000)


@kernel
def midi_process(frames: i64, s: i64p) -> i64:
    """JackProcessCallback: `frames` arrives as 32 bits in a 64-bit register."""
    count = frames & 4294967295
    now = cycle_start(s)
    came = 0
    for p in range(INPUTS):
        port = load_acquire(s, MidiSlot.INS + p)
        if port != 0:
            buffer = call_c(s[MidiSlot.BUFFER], port, count)
            events = call_c(s[MidiSlot.COUNT], buffer) & 4294967295
            for e in range(events):
                failed = call_c(s[MidiSlot.EVENT], offset(s, MidiSlot.GOT), buffer, e) & 4294967295
                if failed == 0:
                    came = came + keep(s, p, now)
    give(s, count)
    give_dated(s, count, now)
    store_release(s, MidiSlot.CALLS, s[MidiSlot.CALLS] + 1)
    if came > 0:
        call_c(s[MidiSlot.WRITE_FD], s[MidiSlot.BELL], as_u8p(offset(s, MidiSlot.ONE)), 8)
    return 0


_C = {
    MidiSlot.BUFFER: "jack_port_get_buffer",
    MidiSlot.COUNT: "jack_midi_get_event_count",
    MidiSlot.EVENT: "jack_midi_event_get",
    MidiSlot.CLEAR: "jack_midi_clear_buffer",
    MidiSlot.EVENT_PUT: "jack_midi_event_write",
    MidiSlot.TIME: "jack_get_time",
    MidiSlot.CYCLE_TIMES: "jack_get_cycle_times",
}
CYCLES = 2
"""Number of cycles after which the callback no longer uses a removed port."""
TIMEOUT_SECONDS = 0.2


class JackMidi:
    """JACK client with its own port for each external port.

    `bell`: wakes the event loop when messages arrive. `virtual`: name of a public input, "" for none. Only the event
    loop's thread may call `take` and `send`, and only one other thread the rest.
    """

    name = "JACK"
    dated = True

    def __init__(self, client: str, bell: int, virtual: str = "") -> None:
        try:
            import jack
        except OSError as error:
            raise EngineError("the JACK library is missing; install it with: sudo apt-get install jackd2") from error
        # libjack's message about a missing server would repeat once a second
        jack.set_error_function(lambda _text: None)
        jack.set_info_function(lambda _text: None)
        try:
            self._client = jack.Client(client, no_start_server=True)
        except jack.JackError as error:
            raise EngineError("no JACK server answers; start one: jackd -d alsa") from error
        self._jack = jack
        self._down = False
        self._memory = (ctypes.c_int64 * WORDS)()
        self._bytes = memoryview(self._memory).cast("B")
        self._words = self._bytes.cast("q")
        self._cycle = self._client.blocksize / self._client.samplerate
        self._ins: dict[str, tuple[int, Any]] = {}
        self._outs: dict[str, tuple[int, Any]] = {}
        self._names: dict[int, str] = {}
        self._virtual = virtual
        self.out_dropped = 0
        self._begin(bell)

    def _begin(self, bell: int) -> None:
        library = ctypes.CDLL(ctypes.util.find_library("jack") or "libjack.so.0")
        functions = {place: getattr(library, name) for place, name in _C.items()}
        for place, function in functions.items():
            self._words[place] = int(ctypes.cast(function, ctypes.c_void_p).value or 0)
        self._words[MidiSlot.WRITE_FD], self._words[MidiSlot.CLOCK] = c_function("write"), c_function("clock_gettime")
        self._words[MidiSlot.BELL], self._words[MidiSlot.ONE] = bell, 1
        self._words[MidiSlot.RATE] = self._client.samplerate
        compile_all()
        ffi, lib, client = self._jack._ffi, self._jack._lib, self._client
        self._words[MidiSlot.CLIENT] = int(ffi.cast("uintptr_t", client._ptr))
        callback = ffi.cast("JackProcessCallback", midi_process.address)
        state = ffi.cast("void*", ctypes.addressof(self._memory))
        if lib.jack_set_process_callback(client._ptr, callback, state):
            raise EngineError("JACK refused the process callback")
        client.set_shutdown_callback(self._on_shutdown)
        client.activate()
        if self._virtual:
            self._listen(self._virtual, self._virtual)

    def _on_shutdown(self, _status: object, _reason: object) -> None:
        self._down = True

    @property
    def drop_count(self) -> int:
        """Number of messages dropped because a buffer was full."""
        return self._words[MidiSlot.DROPPED] + self.out_dropped

    # ---- ports, once a second

    def inputs(self) -> list[str]:
        """External ports that send MIDI. Raises OSError: the JACK server has ended.

        Ports connected to the virtual input by the user are left out: their messages would arrive twice.
        """
        connections = set()
        if self._virtual and not self._down:
            connections = {p.name for p in self._client.get_all_connections(self._ins[self._virtual][1])}
        return [name for name in self._listed(is_output=True) if name not in connections]

    def outputs(self) -> list[str]:
        return self._listed(is_input=True)

    def _listed(self, **side: bool) -> list[str]:
        if self._down:
            raise OSError("JACK has gone")
        own = f"{self._client.name}:"
        return [p.name for p in self._client.get_ports(is_midi=True, **side) if not p.name.startswith(own)]

    def open_input(self, name: str) -> None:
        """Opens an input port. Raises OSError: it fails."""
        self._listen(name, f"in from {name}".replace(":", " "))
        self.hold(name)

    def _listen(self, name: str, own: str) -> None:
        slot = _free(self._ins, INPUTS)
        with self._os_errors():
            port = self._client.midi_inports.register(_short(own, slot))
        self._ins[name], self._names[slot] = (slot, port), name
        self._words[MidiSlot.INS + slot] = self._jack_port_pointer(port)

    def open_output(self, name: str) -> None:
        slot = _free(self._outs, OUTPUTS)
        with self._os_errors():
            port = self._client.midi_outports.register(_short(f"out to {name}".replace(":", " "), slot))
        self._outs[name] = (slot, port)
        self._words[MidiSlot.OUTS + slot] = self._jack_port_pointer(port)
        self.hold(name)

    def hold(self, name: str) -> bool:
        """Reconnects an open port whose other end was gone; returns True if it had to."""
        connected = False
        for ports, there_first in ((self._ins, True), (self._outs, False)):
            if name in ports:
                own = ports[name][1]
                if own.is_connected_to(name):
                    continue
                with self._os_errors():
                    self._client.connect(*((name, own) if there_first else (own, name)))
                connected = True
        return connected

    def close_input(self, name: str) -> None:
        slot, port = self._ins.pop(name)
        self._end(MidiSlot.INS + slot, port)

    def close_output(self, name: str) -> None:
        slot, port = self._outs.pop(name)
        self._end(MidiSlot.OUTS + slot, port)

    def _end(self, place: int, port: Any) -> None:
        self._words[place] = 0
        if self._down:
            return
        calls, until = self._words[MidiSlot.CALLS], time.monotonic() + TIMEOUT_SECONDS
        while self._words[MidiSlot.CALLS] < calls + CYCLES and time.monotonic() < until:
            time.sleep(self._cycle)
        with contextlib.suppress(self._jack.JackError):
            port.unregister()

    def close(self) -> None:
        """Closes the client with all its ports, after its queued messages have been sent."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while not self._down and self._words[MidiSlot.OUT_READ] < self._words[MidiSlot.OUT_WRITE]:
            if time.monotonic() > until:
                break
            time.sleep(self._cycle)
        self._client.deactivate(ignore_errors=True)
        self._client.close(ignore_errors=True)
        self._down = True

    def _jack_port_pointer(self, port: Any) -> int:
        return int(self._jack._ffi.cast("uintptr_t", port._ptr))

    @contextlib.contextmanager
    def _os_errors(self) -> Iterator[None]:
        """Converts JACK's refusals to OSError."""
        if self._down:
            raise OSError("JACK has gone")
        try:
            yield
        except self._jack.JackError as error:
            raise OSError(str(error)) from error

    # ---- bytes

    def take(self, most: int) -> Iterator[tuple[str, int, bytes]]:
        """Removes and yields at most `most` received events: (port, ns of CLOCK_MONOTONIC, bytes)."""
        words, data = self._words, self._bytes
        read = words[MidiSlot.READ]
        while most and read < words[MidiSlot.WRITE]:
            at = read % RING
            head = words[RING_AT + at]
            if head < 0:
                words[MidiSlot.READ] = read = read + RING - at
                continue
            slot, size = head >> 32, head & 0xFFFFFFFF
            start = 8 * (RING_AT + at + 2)
            message = bytes(data[start : start + size])
            came = words[RING_AT + at + 1]
            words[MidiSlot.READ] = read = read + 2 + (size + 7) // 8
            most -= 1
            yield self._names.get(slot, ""), came, message

    def send(self, name: str, message: bytes, ns: int = 0) -> None:
        """Queues a message of at most three bytes, at `ns` or at once; counted as dropped if the queue is full."""
        words = self._words
        if name not in self._outs or self._down:
            self.out_dropped += 1
            return
        word = self._outs[name][0] << 32 | len(message) << 24 | int.from_bytes(message, "little")
        at, size, write_slot, read_slot = OUT_AT, OUT_RING, MidiSlot.OUT_WRITE, MidiSlot.OUT_READ
        if ns:
            at, size, write_slot, read_slot = DATED_AT, DATED_RING, MidiSlot.DATED_WRITE, MidiSlot.DATED_READ
        write = words[write_slot]
        if write - words[read_slot] >= size:
            self.out_dropped += 1
            return
        words[at + write % size] = word
        if ns:
            words[at + write % size + 1] = ns
        words[write_slot] = write + (2 if ns else 1)


def _free(taken: dict[str, tuple[int, Any]], most: int) -> int:
    used = {slot for slot, _ in taken.values()}
    for slot in range(most):
        if slot not in used:
            return slot
    raise OSError(f"at most {most} ports can be open")


def _short(name: str, slot: int) -> str:
    """Port name cut to JACK's length limit; the slot number keeps it unique."""
    return name if len(name) <= 60 else f"{name[:56]} {slot}"
