"""Machine code around a block: the wait for it, its delivery, and its publishing in the words that control reads.

Exceptional states are left to the driver, nothing consumed. Published are clocks, counters, meters and reports.
"""

from __future__ import annotations

import math

from antiphon.kernel.engine.callback import DEPTH, CallbackWord
from antiphon.kernel.engine.drivers.base import PaceWord
from antiphon.kernel.engine.drivers.device import LOOK_MS, deliver_block
from antiphon.kernel.engine.drivers.headless import SECOND, due_ns, is_played
from antiphon.kernel.engine.loop_words import REPORTED_SIZE, LoopWord
from antiphon.kernel.engine.remote import PLACES
from antiphon.kernel.engine.shared import METERS, REPORTS, HeaderWord
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.graph.native_rows import PlanWord, measure_rows
from antiphon.kernel.runtime.platform import MONOTONIC, PROCESS_TIME
from antiphon.native.compiling import kernel
from antiphon.native.dsp import peak
from antiphon.native.intrinsics import (
    address_f32,
    address_f64,
    address_i64,
    as_u8p,
    bits_f64,
    call_c,
    f64_bits,
    load_acquire,
    offset,
    store_release,
)
from antiphon.native.kernel import f32, f32p, f64, f64p, i64, i64p

_READABLE = 1 << 32
"""POLLIN in the events of a struct pollfd that is read as one word; the result is 16 bits higher."""
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
    """CPU time of the process, ns."""
    return clock_ns(s, PROCESS_TIME)


@kernel
def signal_came(s: i64p) -> i64:
    """1 if a signal has arrived, else 0; does not wait."""
    s[LoopWord.POLLED] = s[LoopWord.SIGNALS] + _READABLE
    call_c(s[LoopWord.POLL], offset(s, LoopWord.POLLED), 1, 0)
    return 1 if s[LoopWord.POLLED] >> _RESULT != 0 else 0


@kernel
def wait_software(s: i64p) -> i64:
    """Waits for the next block of a software clock. Returns its number, or -1 if the driver has to decide."""
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
    """Waits for the next block of a device. Returns its number, or -1 if the driver has to decide."""
    pace = address_i64(s[LoopWord.PACE])
    device = address_i64(s[LoopWord.DEVICE])
    call = pace[PaceWord.NEXT]
    while load_acquire(device, CallbackWord.CALLS) <= call:
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
        if pace[PaceWord.GONE] != 0:
            return -1
    if pace[PaceWord.GONE] != 0 or load_acquire(device, CallbackWord.CALLS) - device[CallbackWord.AHEAD] > call:
        return -1
    return i64(pace[PaceWord.FIRST] + call)


@kernel
def block_time(s: i64p, block: i64) -> i64:
    """CLOCK_MONOTONIC at which the driver asked for a block, ns."""
    pace = address_i64(s[LoopWord.PACE])
    if s[LoopWord.DEVICE] == 0:
        return due_ns(pace, block)
    device = address_i64(s[LoopWord.DEVICE])
    return i64(device[CallbackWord.TIMES + (block - pace[PaceWord.FIRST]) % DEPTH])


@kernel
def copy_device(s: i64p, block: i64) -> None:
    """Copies the device's input; a mono input goes to all channels."""
    pace = address_i64(s[LoopWord.PACE])
    device = address_i64(s[LoopWord.DEVICE])
    frames = s[LoopWord.BLOCK]
    count = max(1, device[CallbackWord.CHANNELS_IN])
    first = (block - pace[PaceWord.FIRST]) % DEPTH * count
    source = address_f32(device[CallbackWord.IN_DATA])
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


_BEAT, _REPORTED = PLACES["beat"], PLACES["reported"]
_NO_NODE = 1
"""Node 0 and cell 0, packed as in `EngineLoop`."""
_REPORT_WORDS = 8
DLL_HZ = 0.5
"""Bandwidth of the delay-locked loop; a smaller one smooths more and follows more slowly."""
MAX_PERIODS = 20.0
"""Device time error, in blocks, above which the delay-locked loop is reset."""
MEAN_SHARE, PEAK_FALL = 0.02, 0.999
"""Smoothing weight of the newest block in the mean load, and decay factor per block of the peak load."""
_FLOAT32 = 4


@kernel
def beat_at(s: i64p, f: f64p, sample: i64) -> f64:
    """The beat at a sample, in the order of operations of `TempoLine`."""
    minutes = f64(sample - s[LoopWord.LINE_SAMPLE]) / (f64(s[LoopWord.RATE]) * 60.0)
    return f64(f[LoopWord.LINE_BEAT] + (minutes - f[LoopWord.LINE_AFTER]) * f[LoopWord.LINE_BPM])


# Warning: sequence words, tags and counts are written by `store_release` alone. The compiler removes a plain store that
# another one overwrites, and a reader would take half-written words for whole ones.


@kernel
def follow_device(s: i64p, f: f64p, sample: i64, at: i64) -> None:
    """DLL filter of block times (Adriaensen, 2005), `at` in ns; reset by gaps and errors over `MAX_PERIODS` blocks."""
    error = f64(at) - f[LoopWord.DLL_EXPECTED]
    anew = 1 if f[LoopWord.DLL_EXPECTED] < 0.0 else 0
    anew = 1 if s[LoopWord.DLL_SAMPLE] + s[LoopWord.BLOCK] != sample else anew
    anew = 1 if abs(error) > MAX_PERIODS * f[LoopWord.DLL_PERIOD] else anew
    s[LoopWord.DLL_SAMPLE] = sample
    if anew != 0:
        f[LoopWord.DLL_TIME] = f64(at)
        f[LoopWord.DLL_EXPECTED] = f64(at) + f[LoopWord.DLL_PERIOD]
    else:
        f[LoopWord.DLL_TIME] = f[LoopWord.DLL_EXPECTED]
        f[LoopWord.DLL_EXPECTED] = f[LoopWord.DLL_EXPECTED] + (f[LoopWord.DLL_B] * error + f[LoopWord.DLL_PERIOD])
        f[LoopWord.DLL_PERIOD] = f[LoopWord.DLL_PERIOD] + f[LoopWord.DLL_C] * error


@kernel
def publish_clock(s: i64p, f: f64p, sample: i64, block: i64) -> None:
    """Publishes the clock of a block; a device's is smoothed by the delay-locked loop."""
    header = address_i64(s[LoopWord.HEADER])
    at = block_time(s, block)
    step = 1e9 / f64(s[LoopWord.RATE])
    if s[LoopWord.DEVICE] != 0:
        follow_device(s, f, sample, at)
        device = address_i64(s[LoopWord.DEVICE])
        pace = address_i64(s[LoopWord.PACE])
        header[HeaderWord.FRAME_BEGUN] = device[CallbackWord.FRAME_BEGUN] - pace[PaceWord.FIRST] * s[LoopWord.BLOCK]
        at = i64(math.floor(f[LoopWord.DLL_TIME] + 0.5))
        step = f[LoopWord.DLL_PERIOD] / f64(s[LoopWord.BLOCK])
    # odd also after an engine that was killed while it wrote
    store_release(header, HeaderWord.CLOCK_SEQUENCE, header[HeaderWord.CLOCK_SEQUENCE] | 1)
    header[HeaderWord.CLOCK_SAMPLE] = sample
    header[HeaderWord.CLOCK_NS] = at
    header[HeaderWord.CLOCK_NS_PER_SAMPLE] = bits_f64(step)
    store_release(header, HeaderWord.CLOCK_SEQUENCE, header[HeaderWord.CLOCK_SEQUENCE] + 1)


@kernel
def push_report(s: i64p, kind: i64, where: i64, number: f64, token: i64) -> None:
    """Appends a record to the ring of reports, like `RecordRing.push`; counts it if the ring is full."""
    header = address_i64(s[LoopWord.HEADER])
    at = header[HeaderWord.REPORTS_WRITE]
    if at - header[HeaderWord.REPORTS_READ] >= REPORTS:
        header[HeaderWord.REPORTS_DROPPED] = header[HeaderWord.REPORTS_DROPPED] + 1
    else:
        record = offset(address_i64(s[LoopWord.REPORTS]), at % REPORTS * _REPORT_WORDS)
        record[0] = kind
        record[1] = where
        record[2] = bits_f64(number)
        for n in range(3, _REPORT_WORDS):
            record[n] = 0
        record[6] = token
        store_release(header, HeaderWord.REPORTS_WRITE, at + 1)
    s[LoopWord.WAKE] = 1


@kernel
def level_row(x: f32p, channels: i64, frames: i64, meters: f32p, number: i64) -> None:
    """Writes the meter of the output or the input: number, peak, RMS."""
    meters[0] = f32(number)
    top = peak(x, frames, channels, frames)
    meters[1] = top if top > f32(0.0) else f32(0.0)
    energy = f64(0.0)
    for n in range(channels * frames):
        v = f64(x[n])
        energy = energy + v * v
    meters[2] = f32(math.sqrt(energy / f64(frames * channels)))


@kernel
def publish_meters(s: i64p) -> None:
    """Measures the meters of output, input and nodes."""
    header = address_i64(s[LoopWord.HEADER])
    meters = address_f32(s[LoopWord.METERS])
    frames = s[LoopWord.BLOCK]
    level_row(address_f32(s[LoopWord.OUT]), s[LoopWord.CHANNELS], frames, meters, OUT_NUMBER)
    level_row(address_f32(s[LoopWord.X]), s[LoopWord.CHANNELS], frames, offset(meters, 4), IN_NUMBER)
    nodes = 0
    if s[LoopWord.PLAN] != 0:
        plan = address_i64(s[LoopWord.PLAN])
        nodes = min(plan[PlanWord.ROWS], METERS - 3)
        measure_rows(plan, nodes, offset(meters, 8))
    meters[8 + 4 * nodes] = f32(0.0)
    counts = address_i64(s[LoopWord.COUNTS])
    header[HeaderWord.NAN_BLOCKS] = counts[0]
    header[HeaderWord.LIMITED_BLOCKS] = counts[1]
    header[HeaderWord.CLIPPED_BLOCKS] = counts[2]


@kernel
def report_values(s: i64p) -> None:
    """Reports the readonly values that kernels wrote."""
    for k in range(s[LoopWord.REPORTED_COUNT]):
        value = offset(address_i64(s[LoopWord.REPORTED]), k * REPORTED_SIZE)
        number = f64(0.0)
        if value[2] == _FLOAT32:
            single = address_f32(value[1])
            number = f64(single[0])
        else:
            double = address_f64(value[1])
            number = double[0]
        low = f64_bits(value[3])
        high = f64_bits(value[4])
        number = low if number < low else number
        number = high if number > high else number
        push_report(s, _REPORTED, value[0], number, 0)


@kernel
def report_beat(s: i64p, f: f64p, sample: i64) -> None:
    """Reports a beat within the block that began at `sample`."""
    after = math.floor(beat_at(s, f, sample + s[LoopWord.BLOCK]))
    if s[LoopWord.PLAYING] != 0 and after > math.floor(beat_at(s, f, sample)):
        push_report(s, _BEAT, _NO_NODE, 0.0, i64(after))


@kernel
def publish_block(s: i64p, sample: i64, beat: f64) -> i64:
    """Publishes counters and beat of a block that began at `sample`; 1 if meters were measured too, else 0."""
    header = address_i64(s[LoopWord.HEADER])
    pace = address_i64(s[LoopWord.PACE])
    missed = pace[PaceWord.MISSED]
    xruns = 0
    if s[LoopWord.DEVICE] != 0:
        device = address_i64(s[LoopWord.DEVICE])
        missed = device[CallbackWord.MISSED]
        xruns = device[CallbackWord.XRUNS]
    header[HeaderWord.BLOCKS] = header[HeaderWord.BLOCKS] + 1
    header[HeaderWord.MISSED_BLOCKS] = s[LoopWord.BASE_MISSED] + missed
    header[HeaderWord.LATE_BLOCKS] = s[LoopWord.BASE_LATE] + pace[PaceWord.LATE]
    header[HeaderWord.DEVICE_XRUNS] = s[LoopWord.BASE_XRUNS] + xruns
    store_release(header, HeaderWord.BEAT_SEQUENCE, header[HeaderWord.BEAT_SEQUENCE] | 1)
    header[HeaderWord.BEAT_SAMPLE] = sample
    header[HeaderWord.BEAT] = bits_f64(beat)
    header[HeaderWord.TEMPO] = s[LoopWord.TEMPO]
    header[HeaderWord.PLAYING] = s[LoopWord.PLAYING]
    store_release(header, HeaderWord.BEAT_SEQUENCE, header[HeaderWord.BEAT_SEQUENCE] + 1)
    s[LoopWord.METER_IN] = s[LoopWord.METER_IN] - 1
    if s[LoopWord.METER_IN] > 0:
        return 0
    s[LoopWord.METER_IN] = s[LoopWord.METER_EVERY]
    publish_meters(s)
    return 1


@kernel
def publish_load(s: i64p, f: f64p, spent: i64) -> None:
    """Publishes mean and peak load, the share of a block that its computation took."""
    header = address_i64(s[LoopWord.HEADER])
    share = f64(spent) / f[LoopWord.BLOCK_NS]
    mean = f[LoopWord.LOAD_MEAN] + MEAN_SHARE * (share - f[LoopWord.LOAD_MEAN])
    top = max(share, f[LoopWord.LOAD_PEAK] * PEAK_FALL)
    f[LoopWord.LOAD_MEAN] = mean
    f[LoopWord.LOAD_PEAK] = top
    header[HeaderWord.LOAD_MEAN] = bits_f64(mean)
    header[HeaderWord.LOAD_PEAK] = bits_f64(top)
