"""The audio device's callback as machine code: copies blocks between the device and slots, then rings a bell.

It runs without the interpreter. Its state is one array of 64-bit words (`CallbackWord` names them); its address is the
callback's user data. Sound is float32 `[slot][channel][frame]`, and a slot's tag is the number of its block plus one.
For a missing output block, the last frame is faded out (`missed_fade_out`), the next one is faded in by the same curve,
and the miss is counted; a late block is not played, so the latency stays constant. The engine's block and rate need not
be the device's: a call may bring any number of frames, and with another rate the sound is interpolated in both
directions (`TAPS`).
"""

from __future__ import annotations

import os
from enum import IntEnum

import numpy as np

from antiphon.kernel.contract.block import Samples, missed_fade_out
from antiphon.kernel.runtime.platform import MONOTONIC, c_function, make_bell
from antiphon.native.compiling import kernel
from antiphon.native.intrinsics import address_f32, as_u8p, call_c, load_acquire, offset, store_release
from antiphon.native.kernel import f32, f32p, f64, i64, i64p
from antiphon.native.resample import sinc_table

DEPTH = 32
TAPS, PHASES = 48, 256
"""Input frames per interpolated frame at another rate, and tabulated positions between two frames."""
_BETA, _PASSED = 8.0, 0.92
"""Of the interpolation: beta of its Kaiser window, and its band edge as a share of the lower Nyquist rate."""


class CallbackWord(IntEnum):
    """Indices of the 64-bit words of the callback's state."""

    CALLS = 0
    BLOCK = 1
    CHANNELS_IN = 2
    CHANNELS_OUT = 3
    AHEAD = 4
    MISSED = 5
    AT = 6  # frame within the block that the next call goes on at
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
    BURST = 19  # most blocks that one call of the device holds
    PORTS_IN = 20
    PORTS_OUT = 52
    IN_TAGS = 84
    OUT_TAGS = 84 + 32
    TIMES = 84 + 64
    RATE = 180  # of the engine, Hz
    DEVICE_RATE = 181
    PHASE = 182  # of DEVICE_RATE: how far the device's present frame lies behind the engine's last one
    CALLED = 183  # CLOCK_MONOTONIC of the present call, ns
    PLACE = 184  # slot of the output that plays; -1: silence
    TABLES = 185  # of the interpolation, to the engine and to the device
    HISTORY = 186  # the last `TAPS` frames of the inputs, then of the outputs, each twice
    HELD_IN = 187  # place of the next frame in the history of the inputs
    HELD_OUT = 188
    STRIDE_IN = 189  # of the device's buffers, in frames
    STRIDE_OUT = 190
    FROM = 191  # the device's buffers of this call, an address a channel; 0 without
    TO = 223
    FRAME_CLOCK = 255  # address of `jack_last_frame_time` and of the client, or 0
    CLIENT = 256
    FRAME = 257  # number of the present cycle's first frame, of 32 bits
    FRAME_BEGUN = 258  # that number, less the frames of the calls before
    BEFORE = 259  # slot of the output block before the one that plays; -1: silence
    FALL = 260  # address and number of the gains of a fall to silence
    FALL_FRAMES = 261


WORDS = 262


@kernel
def stamp(s: i64p) -> None:
    """Stores the monotonic clock, in ns, as the time of this call, and tracks the longest gap between calls."""
    call_c(s[CallbackWord.CLOCK], MONOTONIC, offset(s, CallbackWord.NOW))
    now = s[CallbackWord.NOW] * 1000000000 + s[CallbackWord.NOW + 1]
    gap = now - s[CallbackWord.CALLED]
    if s[CallbackWord.CALLED] > 0 and gap > s[CallbackWord.LONGEST_GAP]:
        s[CallbackWord.LONGEST_GAP] = gap
    s[CallbackWord.CALLED] = now


@kernel
def publish(s: i64p, after: i64) -> None:
    """Publishes the input slot and the count of blocks, then wakes the engine by its bell.

    `after`: frames of the device's call that follow the block's last one.
    """
    # Warning: the order counts. The input's samples are written before its tag, the tag before the count of calls:
    # with release stores the engine never sees a count without its samples.
    call = s[CallbackWord.CALLS]
    slot = call % DEPTH
    s[CallbackWord.FRAME_BEGUN] = s[CallbackWord.FRAME] - call * s[CallbackWord.BLOCK]
    s[CallbackWord.TIMES + slot] = s[CallbackWord.CALLED] - after * 1000000000 // s[CallbackWord.DEVICE_RATE]
    store_release(s, CallbackWord.IN_TAGS + slot, call + 1)
    store_release(s, CallbackWord.CALLS, call + 1)
    call_c(s[CallbackWord.WRITE], s[CallbackWord.BELL], as_u8p(offset(s, CallbackWord.ONE)), 8)


@kernel
def ready(s: i64p, call: i64) -> i64:
    """Output slot of this block; -1 for a miss, counted from the first block due (`PRIMED`)."""
    # Goal: never wait. A slot of the output is used again after DEPTH blocks: only its tag says that the samples are
    # those of this block. A tag is one above the block's number, since 0 is a slot never written.
    wanted = i64(call - s[CallbackWord.AHEAD])
    if wanted < 0:
        return -1
    place = wanted % DEPTH
    if load_acquire(s, CallbackWord.OUT_TAGS + place) == wanted + 1:
        return place
    if s[CallbackWord.PRIMED] > 0 and wanted >= s[CallbackWord.PRIMED] - 1:
        s[CallbackWord.MISSED] = s[CallbackWord.MISSED] + 1
    return -1


@kernel
def begin_output(s: i64p) -> None:
    """Chooses the output slot of the block that begins, and stores that of the block before."""
    s[CallbackWord.BEFORE] = s[CallbackWord.PLACE]
    s[CallbackWord.PLACE] = ready(s, s[CallbackWord.CALLS])


@kernel
def faded_frame(s: i64p, channel: i64, at: i64) -> f32:
    """Frame `at` of a missing block, or of the block after one, faded."""
    out = address_f32(s[CallbackWord.OUT_DATA])
    fall = address_f32(s[CallbackWord.FALL])
    block = s[CallbackWord.BLOCK]
    outs = s[CallbackWord.CHANNELS_OUT]
    y = f32(0.0)
    if s[CallbackWord.PLACE] >= 0:
        y = out[(s[CallbackWord.PLACE] * outs + channel) * block + at]
        if at < s[CallbackWord.FALL_FRAMES]:
            y = y * (f32(1.0) - fall[at])
    elif s[CallbackWord.BEFORE] >= 0 and at < s[CallbackWord.FALL_FRAMES]:
        # the slot holds its block still: one DEPTH blocks later is not computed before the next call
        y = out[(s[CallbackWord.BEFORE] * outs + channel) * block + block - 1] * fall[at]
    return y


@kernel
def turn(s: i64p, frames: i64, after: i64) -> None:
    """Advances by `frames` frames of the engine, within its block; `after` as for `publish`."""
    s[CallbackWord.AT] = s[CallbackWord.AT] + frames
    if s[CallbackWord.AT] == s[CallbackWord.BLOCK]:
        publish(s, after)
        s[CallbackWord.AT] = 0


@kernel
def copy_frames(s: i64p, frames: i64) -> None:
    """Copies a call's frames at the engine's rate, piece by piece of its blocks."""
    block = s[CallbackWord.BLOCK]
    into = address_f32(s[CallbackWord.IN_DATA])
    out = address_f32(s[CallbackWord.OUT_DATA])
    done = 0
    while done < frames:
        if s[CallbackWord.AT] == 0:
            begin_output(s)
        at = s[CallbackWord.AT]
        count = min(block - at, frames - done)
        slot = s[CallbackWord.CALLS] % DEPTH
        for c in range(s[CallbackWord.CHANNELS_IN]):
            if s[CallbackWord.FROM + c] != 0:
                source = address_f32(s[CallbackWord.FROM + c])
                row = offset(into, (slot * s[CallbackWord.CHANNELS_IN] + c) * block + at)
                for n in range(count):
                    row[n] = source[(done + n) * s[CallbackWord.STRIDE_IN]]
        place = s[CallbackWord.PLACE]
        for c in range(s[CallbackWord.CHANNELS_OUT]):
            if s[CallbackWord.TO + c] != 0:
                dest = address_f32(s[CallbackWord.TO + c])
                if place >= 0 and s[CallbackWord.BEFORE] >= 0:
                    played = offset(out, (place * s[CallbackWord.CHANNELS_OUT] + c) * block + at)
                    for n in range(count):
                        dest[(done + n) * s[CallbackWord.STRIDE_OUT]] = played[n]
                else:
                    for n in range(count):
                        dest[(done + n) * s[CallbackWord.STRIDE_OUT]] = faded_frame(s, c, at + n)
        done = done + count
        turn(s, count, frames - done)


@kernel
def between(history: f32p, table: f32p, place: f64) -> f32:
    """Interpolates between the two frames in the middle of `TAPS`; `place`: position between them, 0 to 1."""
    at = i64(place * PHASES)
    share = place * PHASES - f64(at)
    low = offset(table, at * TAPS)
    high = offset(table, (at + 1) * TAPS)
    left = f64(0.0)
    right = f64(0.0)
    for n in range(TAPS):
        left = left + f64(history[n]) * f64(low[n])
        right = right + f64(history[n]) * f64(high[n])
    return f32(left + share * (right - left))


@kernel
def hold(history: f32p, at: i64, x: f32) -> None:
    """Appends a frame to a history, which stores each frame twice, so that its last `TAPS` are contiguous."""
    history[at] = x
    history[at + TAPS] = x


@kernel
def convert_frames(s: i64p, frames: i64) -> None:
    """Converts a call's frames between the device's rate and the engine's."""
    block = s[CallbackWord.BLOCK]
    ins = s[CallbackWord.CHANNELS_IN]
    outs = s[CallbackWord.CHANNELS_OUT]
    rate = s[CallbackWord.RATE]
    device = s[CallbackWord.DEVICE_RATE]
    into = address_f32(s[CallbackWord.IN_DATA])
    out = address_f32(s[CallbackWord.OUT_DATA])
    table = address_f32(s[CallbackWord.TABLES])
    history = address_f32(s[CallbackWord.HISTORY])
    for n in range(frames):
        s[CallbackWord.PHASE] = s[CallbackWord.PHASE] + rate
        while s[CallbackWord.PHASE] >= device:
            s[CallbackWord.PHASE] = s[CallbackWord.PHASE] - device
            if s[CallbackWord.AT] == 0:
                begin_output(s)
            slot = s[CallbackWord.CALLS] % DEPTH
            place = s[CallbackWord.PLACE]
            for c in range(ins):
                held = offset(history, c * 2 * TAPS + s[CallbackWord.HELD_IN])
                into[(slot * ins + c) * block + s[CallbackWord.AT]] = between(
                    held, table, 1.0 - f64(s[CallbackWord.PHASE]) / f64(rate)
                )
            for c in range(outs):
                played = f32(0.0)
                if place >= 0 and s[CallbackWord.BEFORE] >= 0:
                    played = out[(place * outs + c) * block + s[CallbackWord.AT]]
                else:
                    played = faded_frame(s, c, s[CallbackWord.AT])
                hold(offset(history, (ins + c) * 2 * TAPS), s[CallbackWord.HELD_OUT], played)
            s[CallbackWord.HELD_OUT] = (s[CallbackWord.HELD_OUT] + 1) % TAPS
            turn(s, 1, frames - 1 - n)
        for c in range(ins):
            x = f32(0.0)
            if s[CallbackWord.FROM + c] != 0:
                source = address_f32(s[CallbackWord.FROM + c])
                x = source[n * s[CallbackWord.STRIDE_IN]]
            hold(offset(history, c * 2 * TAPS), s[CallbackWord.HELD_IN], x)
        s[CallbackWord.HELD_IN] = (s[CallbackWord.HELD_IN] + 1) % TAPS
        for c in range(outs):
            if s[CallbackWord.TO + c] != 0:
                held = offset(history, (ins + c) * 2 * TAPS + s[CallbackWord.HELD_OUT])
                dest = address_f32(s[CallbackWord.TO + c])
                y = between(held, offset(table, (PHASES + 2) * TAPS), f64(s[CallbackWord.PHASE]) / f64(device))
                dest[n * s[CallbackWord.STRIDE_OUT]] = y


@kernel
def exchange_frames(s: i64p, frames: i64) -> None:
    """Takes the input of a call, and plays finished output of `AHEAD` blocks before."""
    if s[CallbackWord.RATE] == s[CallbackWord.DEVICE_RATE]:
        copy_frames(s, frames)
    else:
        convert_frames(s, frames)


@kernel
def jack_process(frames: i64, s: i64p) -> i64:
    """JackProcessCallback. Only the low 32 bits of `frames` are defined: it is a 32-bit argument in a register."""
    # Warning: this runs on JACK's thread, in every process state. No Python, no allocation, no call that may block.
    count = frames & 4294967295
    stamp(s)
    if s[CallbackWord.FRAME_CLOCK] != 0:
        s[CallbackWord.FRAME] = call_c(s[CallbackWord.FRAME_CLOCK], s[CallbackWord.CLIENT])
    for c in range(s[CallbackWord.CHANNELS_IN]):
        s[CallbackWord.FROM + c] = call_c(s[CallbackWord.PORT_BUFFER], s[CallbackWord.PORTS_IN + c], count)
    for c in range(s[CallbackWord.CHANNELS_OUT]):
        if s[CallbackWord.PORTS_OUT + c] != 0:  # a port that is not registered yet plays nothing
            s[CallbackWord.TO + c] = call_c(s[CallbackWord.PORT_BUFFER], s[CallbackWord.PORTS_OUT + c], count)
    exchange_frames(s, count)
    return 0


@kernel
def portaudio_process(x: i64, y: i64, frames: i64, times: i64, flags: i64, s: i64p) -> i64:
    """PaStreamCallback with interleaved float32 buffers; `x` is 0 without an input, `y` is 0 without an output."""
    stamp(s)
    if flags & 15:
        s[CallbackWord.XRUNS] = s[CallbackWord.XRUNS] + 1
    s[CallbackWord.STRIDE_IN] = s[CallbackWord.CHANNELS_IN]
    s[CallbackWord.STRIDE_OUT] = s[CallbackWord.CHANNELS_OUT]
    for c in range(s[CallbackWord.CHANNELS_IN]):
        s[CallbackWord.FROM + c] = x + 4 * c if x != 0 else 0
    for c in range(s[CallbackWord.CHANNELS_OUT]):
        s[CallbackWord.TO + c] = y + 4 * c if y != 0 else 0
    exchange_frames(s, frames & 4294967295)
    return 0


@kernel
def give(s: i64p, block: i64, x: f32p, stride: i64, rows: i64p, count: i64) -> None:
    """Publishes the output of a block: `rows` of x, `stride` frames apart, to the device's first `count` channels."""
    frames = s[CallbackWord.BLOCK]
    place = block % DEPTH
    into = address_f32(s[CallbackWord.OUT_DATA])
    channels = max(1, s[CallbackWord.CHANNELS_OUT])
    for c in range(count):
        for n in range(frames):
            into[(place * channels + c) * frames + n] = x[rows[c] * stride + n]
    # Warning: the samples before their tag, by which the callback knows that they are there
    store_release(s, CallbackWord.OUT_TAGS + place, block + 1)


class CallbackState:
    """State of one device stream, shared between the callback and the engine.

    `inputs`: float32 `[DEPTH, channels, block]`, at least one channel. `outputs`: float32 `[DEPTH, channels, block]`,
    at least one channel.
    """

    def __init__(
        self, block: int, channels_in: int, channels_out: int, ahead: int,
        rates: tuple[int, int] = (48000, 48000), burst: int = 1,
    ) -> None:  # fmt: skip
        """Initial state, for blocks of `block` frames.

        `ahead`: blocks from input to output, 1 to `DEPTH` - 3. `rates`: of the engine and of the device, Hz. `burst`:
        most blocks that one call of the device holds.
        """
        if not 1 <= ahead < DEPTH - 2:
            raise ValueError(f"ahead must be 1 to {DEPTH - 3} blocks, not {ahead}")
        self.words = np.zeros(WORDS, np.int64)  # the callback's state, int64 `[WORDS]`
        self.inputs: Samples = np.zeros((DEPTH, max(1, channels_in), block), np.float32)
        self.outputs: Samples = np.zeros((DEPTH, max(1, channels_out), block), np.float32)
        self.rows = np.arange(max(1, channels_out))  # of the output, int64
        self.rows_at = self.rows.ctypes.data
        self.bell = make_bell(waits=True, inherited=False)  # rung by the callback after each call
        bands = [_PASSED * min(rates) / rate for rate in (rates[1], rates[0])] if rates[0] != rates[1] else []
        places = np.arange(PHASES + 2) / PHASES
        self._tables: Samples = np.array([sinc_table(places, TAPS // 2, band, _BETA) for band in bands], np.float32)
        self._fall = missed_fade_out(block, rates[0])
        self._history: Samples = np.zeros((channels_in + channels_out, 2 * TAPS), np.float32)
        values = {
            CallbackWord.RATE: rates[0],
            CallbackWord.DEVICE_RATE: rates[1],
            CallbackWord.BURST: burst,
            CallbackWord.STRIDE_IN: 1,
            CallbackWord.STRIDE_OUT: 1,
            CallbackWord.TABLES: self._tables.ctypes.data,
            CallbackWord.HISTORY: self._history.ctypes.data,
            CallbackWord.FALL: self._fall.ctypes.data,
            CallbackWord.FALL_FRAMES: self._fall.size,
            CallbackWord.PLACE: -1,
            CallbackWord.BLOCK: block,
            CallbackWord.CHANNELS_IN: channels_in,
            CallbackWord.CHANNELS_OUT: channels_out,
            CallbackWord.AHEAD: ahead,
            CallbackWord.BELL: self.bell,
            CallbackWord.WRITE: c_function("write"),
            CallbackWord.CLOCK: c_function("clock_gettime"),
            CallbackWord.IN_DATA: self.inputs.ctypes.data,
            CallbackWord.OUT_DATA: self.outputs.ctypes.data,
            CallbackWord.ONE: 1,
        }
        for place, value in values.items():
            self.words[place] = int(value or 0)
        self.address = self.words.ctypes.data  # address of `words`, the callback's user data
        # reading an item of a memoryview costs a tenth of reading a numpy scalar
        self.view = memoryview(self.words)  # type: ignore[arg-type]

    @property
    def calls(self) -> int:
        """Number of blocks that the callback has begun to play so far."""
        return self.view[CallbackWord.CALLS]

    def time_of(self, call: int) -> int:
        """CLOCK_MONOTONIC of one of the last `DEPTH` blocks, ns."""
        return self.view[CallbackWord.TIMES + call % DEPTH]

    def close(self) -> None:
        os.close(self.bell)
