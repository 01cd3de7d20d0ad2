"""Machine-code wait for a block and its delivery; exceptional states are left to the driver, nothing consumed."""

from __future__ import annotations

from antiphon.kernel.engine.callback import DEPTH, Slot
from antiphon.kernel.engine.drivers.base import PaceWord
from antiphon.kernel.engine.drivers.device import LOOK_MS, deliver_block
from antiphon.kernel.engine.drivers.headless import SECOND, due_ns, is_played
from antiphon.kernel.engine.loop_words import LoopWord
from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.intrinsics import address_f32, address_i64, as_u8p, call_c, load_acquire, offset
from antiphon.kernel.native.kernel import f32, i64, i64p
from antiphon.kernel.runtime.platform import MONOTONIC, PROCESS_TIME

_READABLE = 1 << 32
"""POLLIN in the events of a struct pollfd that is read as one word; the result stands 16 bits higher."""
_RESULT = 48
_INT = 4294967295


@kernel
def clock_ns(s: i64p, clock: i64) -> i64:
    """A clock of the machine in ns; `clock`: its id."""
    call_c(s[LoopWord.CLOCK], clock, offset(s, LoopWord.NOW))
    return i64(s[LoopWord.NOW] * SECOND + s[LoopWord.NOW + 1])


@kernel
def now_ns(s: i64p) -> i64:
    """CLOCK_MONOTONIC, ns."""
    return clock_ns(s, MONOTONIC)


@kernel
def computed_ns(s: i64p) -> i64:
    """The processor time of the process, ns."""
    return clock_ns(s, PROCESS_TIME)


@kernel
def signal_came(s: i64p) -> i64:
    """1 when a signal has come, else 0; does not wait."""
    s[LoopWord.POLLED] = s[LoopWord.SIGNALS] + _READABLE
    call_c(s[LoopWord.POLL], offset(s, LoopWord.POLLED), 1, 0)
    return 1 if s[LoopWord.POLLED] >> _RESULT != 0 else 0


@kernel
def wait_software(s: i64p) -> i64:
    """Waits for the next block of a software clock; its number, or -1 if the driver has to decide."""
    pace = address_i64(s[LoopWord.PACE])
    block = pace[PaceWord.NEXT]
    due = due_ns(pace, block)
    now = now_ns(s)
    if now < due:
        s[LoopWord.NOW] = (due - now) // SECOND
        s[LoopWord.NOW + 1] = (due - now) % SECOND
        if call_c(s[LoopWord.SLEEP], offset(s, LoopWord.NOW), 0) & _INT != 0:
            return -1  # a signal
    elif now > due_ns(pace, block + pace[PaceWord.BUFFER]):
        return -1
    return i64(block)


@kernel
def wait_device(s: i64p) -> i64:
    """Waits for the next block of a device; its number, or -1 if the driver has to decide."""
    pace = address_i64(s[LoopWord.PACE])
    device = address_i64(s[LoopWord.DEVICE])
    call = pace[PaceWord.NEXT]
    while load_acquire(device, Slot.CALLS) <= call:
        s[LoopWord.POLLED] = s[LoopWord.DEVICE_BELL] + _READABLE
        s[LoopWord.POLLED + 1] = s[LoopWord.SIGNALS] + _READABLE
        call_c(s[LoopWord.POLL], offset(s, LoopWord.POLLED), 2, LOOK_MS)
        if s[LoopWord.POLLED + 1] >> _RESULT != 0:
            s[LoopWord.WOKEN] = 1
            return -1
        if s[LoopWord.POLLED] >> _RESULT == 0:
            pace[PaceWord.SILENT_MS] = pace[PaceWord.SILENT_MS] + LOOK_MS
            return -1
        call_c(s[LoopWord.READ], s[LoopWord.DEVICE_BELL], as_u8p(offset(s, LoopWord.SINK)), 8)
    if load_acquire(device, Slot.CALLS) - device[Slot.AHEAD] > call:
        return -1
    return i64(pace[PaceWord.FIRST] + call)


@kernel
def block_time(s: i64p, block: i64) -> i64:
    """CLOCK_MONOTONIC at which the driver asked for a block, ns."""
    pace = address_i64(s[LoopWord.PACE])
    if s[LoopWord.DEVICE] == 0:
        return due_ns(pace, block)
    device = address_i64(s[LoopWord.DEVICE])
    return i64(device[Slot.TIMES + (block - pace[PaceWord.FIRST]) % DEPTH])


@kernel
def copy_device(s: i64p, block: i64) -> None:
    """Copies the device's input; a mono one goes to all channels."""
    pace = address_i64(s[LoopWord.PACE])
    device = address_i64(s[LoopWord.DEVICE])
    frames = s[LoopWord.BLOCK]
    count = max(1, device[Slot.CHANNELS_IN])
    first = (block - pace[PaceWord.FIRST]) % DEPTH * count
    source = address_f32(device[Slot.IN_DATA])
    x = address_f32(s[LoopWord.X])
    for c in range(s[LoopWord.CHANNELS]):
        row = first + (c if c < count else count - 1)
        for n in range(frames):
            x[c * frames + n] = source[row * frames + n]


@kernel
def copy_file(s: i64p, block: i64) -> None:
    """Copies a block of the looped file, played since the first plan."""
    header = address_i64(s[LoopWord.HEADER])
    frames = s[LoopWord.BLOCK]
    length = s[LoopWord.FILE_FRAMES]
    x = address_f32(s[LoopWord.X])
    begin = (block * frames - header[HeaderWord.BEGUN] + 1) % length
    for c in range(s[LoopWord.CHANNELS]):
        source = address_f32(s[LoopWord.FILE] + 4 * c * s[LoopWord.FILE_ROW])
        at = begin
        for n in range(frames):
            x[c * frames + n] = source[at]
            at = at + 1
            if at >= length:
                at = 0


@kernel
def consume(s: i64p) -> None:
    """Counts the driver's block as begun."""
    pace = address_i64(s[LoopWord.PACE])
    pace[PaceWord.NEXT] = pace[PaceWord.NEXT] + 1
    pace[PaceWord.SILENT_MS] = 0


@kernel
def take_input(s: i64p, block: i64) -> None:
    """Copies the input of a block: the looped file once a plan plays, or the device; without either it is silence."""
    begun = address_i64(s[LoopWord.HEADER])[HeaderWord.BEGUN] != 0
    if s[LoopWord.FILE] != 0 and begun:
        copy_file(s, block)
    elif s[LoopWord.FILE] == 0 and s[LoopWord.DEVICE] != 0:
        copy_device(s, block)
    else:
        x = address_f32(s[LoopWord.X])
        for n in range(s[LoopWord.CHANNELS] * s[LoopWord.BLOCK]):
            x[n] = f32(0.0)


@kernel
def deliver(s: i64p, block: i64) -> i64:
    """Delivers a block: 1 if it is in time to be played, else 0."""
    pace = address_i64(s[LoopWord.PACE])
    if s[LoopWord.DEVICE] == 0:
        return is_played(pace, block, now_ns(s))
    device = address_i64(s[LoopWord.DEVICE])
    rows = address_i64(s[LoopWord.ROWS_OUT])
    return deliver_block(
        pace, device, block, address_f32(s[LoopWord.OUT]), s[LoopWord.BLOCK], rows, s[LoopWord.COUNT_OUT]
    )
