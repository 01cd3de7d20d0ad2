"""The audio device's callback as machine code: copies blocks between the device and slots, then rings a bell.

It runs without the interpreter. Its state is one array of 64-bit words (`Slot` names them), whose address is the
callback's user data; sound is float32 `[slot][channel][frame]`, and a slot's tag is the number of its block plus one.
For a missing output block, silence is played and the miss is counted; a late block is not played, so the latency stays
constant.
"""

from __future__ import annotations

import os
from enum import IntEnum

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.intrinsics import address_f32, as_u8p, call_c, load_acquire, offset, store_release
from antiphon.kernel.native.kernel import i64, i64p
from antiphon.kernel.runtime.platform import MONOTONIC, c_function, make_bell, wait_bell

DEPTH = 32


class Slot(IntEnum):
    """Indices of the 64-bit words of the callback's state."""

    CALLS = 0
    BLOCK = 1
    CHANNELS_IN = 2
    CHANNELS_OUT = 3
    AHEAD = 4
    MISSED = 5
    WRONG_SIZE = 6
    BELL = 7
    WRITE = 8
    CLOCK = 9
    IN_DATA = 10
    OUT_DATA = 11
    PORT_BUFFER = 12
    LONGEST_GAP = 13
    XRUNS = 14
    ONE = 15
    NOW = 16  # and 17: struct timespec
    PRIMED = 18
    PORTS_IN = 20
    PORTS_OUT = 52
    IN_TAGS = 84
    OUT_TAGS = 84 + 32
    TIMES = 84 + 64


WORDS = 84 + 96


@kernel
def stamp(s: i64p, slot: i64) -> None:
    """Stores the monotonic clock, in ns, as the slot's time, and tracks the longest gap between calls."""
    call_c(s[Slot.CLOCK], MONOTONIC, offset(s, Slot.NOW))
    now = s[Slot.NOW] * 1000000000 + s[Slot.NOW + 1]
    before = (slot + DEPTH - 1) % DEPTH
    if s[Slot.CALLS] > 0:
        gap = now - s[Slot.TIMES + before]
        if gap > s[Slot.LONGEST_GAP]:
            s[Slot.LONGEST_GAP] = gap
    s[Slot.TIMES + slot] = now


@kernel
def publish(s: i64p, slot: i64, call: i64) -> None:
    """Publishes the input slot and the count of calls, then wakes the engine by its bell."""
    # Warning: the order counts. The input's samples are written before its tag, the tag before the count of calls:
    # with release stores the engine never sees a count without its samples.
    store_release(s, Slot.IN_TAGS + slot, call + 1)
    store_release(s, Slot.CALLS, call + 1)
    call_c(s[Slot.WRITE], s[Slot.BELL], as_u8p(offset(s, Slot.ONE)), 8)


@kernel
def ready(s: i64p, call: i64, wrong: i64) -> i64:
    """Output slot of this call's block; -1 for a miss, counted from the first block due (`PRIMED`)."""
    # Goal: never wait. A slot of the output is used again after DEPTH blocks: only its tag says that the samples are
    # those of this block. A tag is one above the block's number, since 0 is a slot never written.
    wanted = i64(call - s[Slot.AHEAD])
    if wanted < 0 or wrong != 0:
        return -1
    place = wanted % DEPTH
    if load_acquire(s, Slot.OUT_TAGS + place) == wanted + 1:
        return place
    if s[Slot.PRIMED] > 0 and wanted >= s[Slot.PRIMED] - 1:
        s[Slot.MISSED] = s[Slot.MISSED] + 1
    return -1


@kernel
def jack_process(frames: i64, s: i64p) -> i64:
    """JackProcessCallback. Only the low 32 bits of `frames` are defined: it is a 32-bit argument in a register."""
    # Plan: stamp the time, copy the input into its slot, copy the finished output of `AHEAD` blocks before, publish.
    # Warning: this runs on JACK's thread, in every process state. No Python, no allocation, no call that may block.
    count = frames & 4294967295
    call = s[Slot.CALLS]
    slot = call % DEPTH
    stamp(s, slot)
    block = s[Slot.BLOCK]
    wrong = 0
    if count != block:
        s[Slot.WRONG_SIZE] = s[Slot.WRONG_SIZE] + 1
        wrong = 1
    into = address_f32(s[Slot.IN_DATA])
    for c in range(s[Slot.CHANNELS_IN]):
        if wrong == 0:
            port = address_f32(call_c(s[Slot.PORT_BUFFER], s[Slot.PORTS_IN + c], count))
            for n in range(block):
                into[(slot * s[Slot.CHANNELS_IN] + c) * block + n] = port[n]
    place = ready(s, call, wrong)
    out = address_f32(s[Slot.OUT_DATA])
    for c in range(s[Slot.CHANNELS_OUT]):
        port = address_f32(call_c(s[Slot.PORT_BUFFER], s[Slot.PORTS_OUT + c], count))
        if place >= 0:
            for n in range(block):
                port[n] = out[(place * s[Slot.CHANNELS_OUT] + c) * block + n]
        else:
            for n in range(count):
                port[n] = 0.0
    publish(s, slot, call)
    return 0


@kernel
def portaudio_process(x: i64, y: i64, frames: i64, times: i64, flags: i64, s: i64p) -> i64:
    """PaStreamCallback with interleaved float32 buffers; `x` is 0 without an input, `y` is 0 without an output."""
    call = s[Slot.CALLS]
    slot = call % DEPTH
    stamp(s, slot)
    block = s[Slot.BLOCK]
    wrong = 0
    if frames != block:
        s[Slot.WRONG_SIZE] = s[Slot.WRONG_SIZE] + 1
        wrong = 1
    if flags & 15:
        s[Slot.XRUNS] = s[Slot.XRUNS] + 1
    into = address_f32(s[Slot.IN_DATA])
    if x != 0 and wrong == 0:
        source = address_f32(x)
        for c in range(s[Slot.CHANNELS_IN]):
            for n in range(block):
                into[(slot * s[Slot.CHANNELS_IN] + c) * block + n] = source[n * s[Slot.CHANNELS_IN] + c]
    place = ready(s, call, wrong)
    if y != 0:
        dest = address_f32(y)
        out = address_f32(s[Slot.OUT_DATA])
        for c in range(s[Slot.CHANNELS_OUT]):
            if place >= 0:
                for n in range(block):
                    dest[n * s[Slot.CHANNELS_OUT] + c] = out[(place * s[Slot.CHANNELS_OUT] + c) * block + n]
            else:
                for n in range(frames):
                    dest[n * s[Slot.CHANNELS_OUT] + c] = 0.0
    publish(s, slot, call)
    return 0


class CallbackState:
    """State of one device stream, shared between the callback and the engine.

    `inputs`: float32 `[DEPTH, channels, block]`, at least one channel. `outputs`: float32 `[DEPTH, channels, block]`,
    at least one channel.
    """

    def __init__(self, block: int, channels_in: int, channels_out: int, ahead: int) -> None:
        """Initial state; `ahead`: blocks from input to output, 1 to `DEPTH` - 3."""
        if not 1 <= ahead < DEPTH - 2:
            raise ValueError(f"ahead must be 1 to {DEPTH - 3} blocks, not {ahead}")
        self.words = np.zeros(WORDS, np.int64)  # the callback's state, int64 `[WORDS]`
        self.inputs: Samples = np.zeros((DEPTH, max(1, channels_in), block), np.float32)
        self.outputs: Samples = np.zeros((DEPTH, max(1, channels_out), block), np.float32)
        self.bell = make_bell(waits=True, inherited=False)  # rung by the callback after each call
        values = {
            Slot.BLOCK: block,
            Slot.CHANNELS_IN: channels_in,
            Slot.CHANNELS_OUT: channels_out,
            Slot.AHEAD: ahead,
            Slot.BELL: self.bell,
            Slot.WRITE: c_function("write"),
            Slot.CLOCK: c_function("clock_gettime"),
            Slot.IN_DATA: self.inputs.ctypes.data,
            Slot.OUT_DATA: self.outputs.ctypes.data,
            Slot.ONE: 1,
        }
        for place, value in values.items():
            self.words[place] = int(value or 0)
        self.address = self.words.ctypes.data  # address of `words`, the callback's user data
        # reading an item of a memoryview costs a tenth of reading a numpy scalar
        self.view = memoryview(self.words)  # type: ignore[arg-type]

    @property
    def calls(self) -> int:
        """Number of callbacks so far."""
        return self.view[Slot.CALLS]

    def time_of(self, call: int) -> int:
        """CLOCK_MONOTONIC of one of the last `DEPTH` callbacks, ns."""
        return self.view[Slot.TIMES + call % DEPTH]

    def give(self, block: int, samples: Samples) -> None:
        """Publishes the output of block number `block`: the device's channels of float32 `[channels, block]`."""
        place = block % DEPTH
        self.outputs[place] = samples[: self.outputs.shape[1]]
        self.view[Slot.OUT_TAGS + place] = block + 1

    def wait(self) -> None:
        """Blocks until the callback has been called."""
        wait_bell(self.bell)

    def close(self) -> None:
        os.close(self.bell)
