"""JACK process callback for MIDI, in machine code: events in and out through one array of 64-bit words.

No interpreter runs in it, so a busy control process delays no sound. (A callback in Python would wait for the
interpreter's lock inside JACK's cycle.) `MidiSlot` names the words; a record in the input ring is two words, `port <<
32 | size` and the time in ns of CLOCK_MONOTONIC, and then the bytes, padded to whole words; -1 in the first sends the
reader to the ring's beginning. An output message is a word: `port << 32 | size << 24` and up to three bytes. A
timestamped output message is two words in its own ring: the same, and its time.
"""

from __future__ import annotations

from enum import IntEnum

from antiphon.api.backends.intrinsics import as_u8p, call_c, load_acquire, store_release
from antiphon.api.backends.runtime import MONOTONIC
from antiphon.api.kernels import address_f32, i64, i64p, kernel, offset

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
def begun(s: i64p) -> i64:
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
    now = begun(s)
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
