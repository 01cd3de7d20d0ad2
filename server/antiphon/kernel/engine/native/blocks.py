"""Machine-code loop of the engine.

Goal: a plan whose nodes are all at rest is played without the interpreter and its lock, so that parsing, compiling or
garbage collection in the loader delays no block.

Plan: `play_block` waits for each block, begins, delivers and publishes it. It calls the interpreter to compute the
block with the `GraphPlayer` where an action is due, a new plan, a starting recording, or a signal. Any other block is
machine code's: it calls the interpreter for each node that this has to run (its parameters move, it got a note, it has
no `step`, it output NaN, it overran). After a block in which it was called, it is called once more to publish.

Warning: all addresses are of arrays that `native.loop` keeps alive. The interpreter's thread is inside the call: no
other thread may take blocks from the driver meanwhile.
"""

from __future__ import annotations

from antiphon.kernel.engine.drivers.headless import SECOND
from antiphon.kernel.engine.levels import copy_rows, guard_buses, take_buses
from antiphon.kernel.engine.loop_words import NO_BLOCK, CallReason, LoopWord
from antiphon.kernel.engine.native.waiting import (
    beat_at,
    block_time,
    computed_ns,
    consume,
    deliver,
    now_ns,
    publish_block,
    publish_clock,
    publish_load,
    report_beat,
    report_values,
    signal_came,
    take_input,
    wait_device,
    wait_software,
)
from antiphon.kernel.engine.shared import COMMANDS, SESSION, HeaderWord
from antiphon.kernel.graph.io_nodes import CLIPPED
from antiphon.kernel.graph.native_rows import PlanWord, run_plan, set_cell
from antiphon.kernel.graph.node_host import Touch
from antiphon.kernel.io.tap_memory import TAPS, TapWord
from antiphon.kernel.session.actions import ACTIONS, NodeSet
from antiphon.kernel.session.records import SIZE
from antiphon.kernel.workers.hop_kernels import wake_workers
from antiphon.native.call_back import RAISED, call_python
from antiphon.native.compiling import kernel
from antiphon.native.dsp import check_input
from antiphon.native.intrinsics import (
    address_f32,
    address_f64,
    address_i64,
    as_u8p,
    bits_f64,
    call_c,
    load_acquire,
    offset,
    store_release,
)
from antiphon.native.kernel import f32, f32p, f64, f64p, i64, i64p

# ---- Machine-code copies of a block's sound: for the recorder, for listeners, and for `/capture`

_RECORDS_INPUT = SESSION
_COMPARED = 4
"""Number of rows at the beginning of a block, and just before a row, with which that row is compared."""


@kernel
def has_sound(x: f32p, count: i64) -> i64:
    """1 where one of these samples is not 0."""
    for n in range(count):
        if x[n] != f32(0.0):
            return 1
    return 0


@kernel
def row_of(x: f32p, sound: f32p, first: i64, end: i64, rows: i64, frames: i64) -> i64:
    """Returns the row with these samples among the first and the last from `first` to `end`; `end` if there is none."""
    for n in range(2 * _COMPARED):
        row = first + n if n < _COMPARED else end - 1 - (n - _COMPARED)
        if row >= first and row < end:
            y = offset(sound, row % rows * frames)
            equal = 1
            for at in range(frames):
                if x[at] != y[at]:
                    equal = 0
                    break
            if equal != 0:
                return row
    return end


@kernel
def keep_for_recorder(s: i64p, block: i64, played: i64) -> None:
    """Stores a block of output and input in the recorder's tap while a recording runs.

    A block that was not played is stored as the fade-out from the last frame before it, like the callback's.
    """
    header = address_i64(s[LoopWord.HEADER])
    frames = s[LoopWord.BLOCK]
    channels = s[LoopWord.CHANNELS]
    if s[LoopWord.TAPPING] != 0:
        slot = block % s[LoopWord.TAP_SLOTS]
        tags = address_i64(s[LoopWord.TAP_TAGS])
        store_release(tags, slot, 0)
        size = channels * frames
        into = offset(address_f32(s[LoopWord.TAP_OUT]), slot * size)
        if played != 0:
            copy_rows(address_f32(s[LoopWord.OUT]), frames, into, frames, channels, frames)
        else:
            before = (block - 1) % s[LoopWord.TAP_SLOTS]
            last = offset(address_f32(s[LoopWord.TAP_OUT]), before * size + frames - 1)
            fall = address_f32(s[LoopWord.FALL])
            falls = s[LoopWord.FALL_FRAMES] if tags[before] == block else 0
            for c in range(channels):
                for n in range(frames):
                    into[c * frames + n] = last[c * frames] * fall[n] if n < falls else f32(0.0)
        if s[LoopWord.TAPPING] >= _RECORDS_INPUT:
            heard = offset(address_f32(s[LoopWord.TAP_IN]), slot * size)
            copy_rows(address_f32(s[LoopWord.X]), frames, heard, frames, channels, frames)
        store_release(tags, slot, block + 1)
    store_release(header, HeaderWord.TAP_WRITE, block + 1)


@kernel
def keep_for_listeners(s: i64p, block: i64) -> None:
    """Copies the sound of the selected nodes; mono goes to all channels, and missing ones are silent."""
    listen = address_i64(s[LoopWord.LISTEN])
    tags = address_i64(s[LoopWord.LISTEN_TAGS])
    frames = s[LoopWord.BLOCK]
    channels = s[LoopWord.LISTEN_CHANNELS]
    for tap in range(TAPS):
        source = offset(s, LoopWord.SOUNDS + 3 * tap)
        if s[LoopWord.WANTED + tap] != 0 and source[0] != 0:
            slot = tap * s[LoopWord.LISTEN_SLOTS] + block % s[LoopWord.LISTEN_SLOTS]
            store_release(tags, slot, 0)
            x = address_f32(source[0])
            count = source[2]
            for c in range(channels):
                into = offset(address_f32(s[LoopWord.LISTEN_SOUND]), (slot * channels + c) * frames)
                row = 0 if count == 1 else c
                if row < count:
                    copy_rows(offset(x, row * source[1]), 0, into, 0, 1, frames)
                else:
                    for n in range(frames):
                        into[n] = f32(0.0)
            store_release(tags, slot, block + 1)
    store_release(listen, TapWord.WRITE, block + 1)


@kernel
def keep_for_capture(s: i64p, block: i64, beat: f64) -> None:
    """Stores the sound of all nodes in the ring of `/capture`, equal rows once; `beat`: at the block's first sample."""
    frames = s[LoopWord.BLOCK]
    slots = s[LoopWord.CAPTURE_SLOTS]
    tags = address_i64(s[LoopWord.CAPTURE_TAGS])
    owners = address_i64(s[LoopWord.CAPTURE_OWNERS])
    places = address_i64(s[LoopWord.CAPTURE_ROWS])
    sound = address_f32(s[LoopWord.CAPTURE_SOUND])
    held = s[LoopWord.CAPTURE_HELD]
    beat_tags = address_i64(s[LoopWord.CAPTURE_BEAT_TAGS])
    beats = address_f64(s[LoopWord.CAPTURE_BEATS])
    sources = address_i64(s[LoopWord.SOURCES])
    wanted = address_i64(s[LoopWord.SOURCES_OWNERS])
    at = block % slots
    store_release(beat_tags, at, 0)
    beats[at] = beat
    store_release(beat_tags, at, block + 1)
    place = address_i64(s[LoopWord.CAPTURE_PLACE])
    first = place[0]
    rows = s[LoopWord.SOURCES_ROWS]
    if first + rows > slots:
        for n in range(first, slots):
            store_release(tags, n, 0)
        first = 0
    # Warning: tags are 0 while owners and sound change, as of `NodeCapture.put`
    for n in range(rows):
        store_release(tags, first + n, 0)
    row = 0
    begun = place[1]
    for k in range(s[LoopWord.SOURCES_COUNT]):
        source = offset(sources, 3 * k)
        for c in range(source[2]):
            x = offset(address_f32(source[0]), c * source[1])
            owners[first + row] = wanted[row]
            places[first + row] = -1
            if has_sound(x, frames) != 0:
                end = place[1]
                found = row_of(x, sound, begun, end, held, frames)
                places[first + row] = found
                if found == end:
                    store_release(place, 1, end + 1)  # before the row changes, as readers ask
                    copy_rows(x, 0, offset(sound, end % held * frames), 0, 1, frames)
            row = row + 1
    for n in range(rows):
        store_release(tags, first + n, block + 1)
    store_release(place, 0, first + rows)


_REASONS = len(Touch)
COMMANDS_A_BLOCK = 2048
_RECORD_WORDS = SIZE // 8
_SET = ACTIONS.row(NodeSet).code
"""First word of a packed `NodeSet` at `NOW`."""
STALL_NS = SECOND // 10
"""Excess of a turn's wall time over the process's CPU time that counts as a stall of the machine."""


@kernel
def take_sets(s: i64p, sample: i64) -> None:
    """Sets parameters by the ring of commands, until a record is for the interpreter; none while a set is recorded."""
    header = address_i64(s[LoopWord.HEADER])
    at = header[HeaderWord.COMMANDS_READ]
    end = min(load_acquire(header, HeaderWord.COMMANDS_WRITE), at + COMMANDS_A_BLOCK)
    row = i64(0)
    while at < end and s[LoopWord.TAPPING] < SESSION:
        record = offset(address_i64(s[LoopWord.COMMANDS]), at % COMMANDS * _RECORD_WORDS)
        if record[0] == _SET:
            row = set_cell(address_i64(s[LoopWord.PLAN]), record, row, sample, s[LoopWord.RATE])
        if record[0] != _SET or row < 0:
            break
        at = at + 1
        store_release(header, HeaderWord.COMMANDS_READ, at)


@kernel
def needs_interpreter(s: i64p, block: i64) -> i64:
    """Why the interpreter has to play this block (`Touch`), or 0."""
    if s[LoopWord.RESTS] == 0:
        return Touch.OTHER
    header = address_i64(s[LoopWord.HEADER])
    sample = block * s[LoopWord.BLOCK]
    found = i64(0)
    found = found | Touch.OTHER if header[HeaderWord.TAPPING] != s[LoopWord.TAPPING] else found
    found = found | Touch.OTHER if header[HeaderWord.SESSIONS] != s[LoopWord.SESSIONS] else found
    found = found | Touch.OTHER if sample != s[LoopWord.SAMPLE] else found
    if s[LoopWord.LISTEN] != 0:
        listen = address_i64(s[LoopWord.LISTEN])
        found = found | Touch.OTHER if listen[TapWord.INPUT_OPEN] != 0 else found
        for tap in range(TAPS):
            found = found | Touch.OTHER if listen[tap] != s[LoopWord.WANTED + tap] else found
    if signal_came(s) != 0:
        s[LoopWord.WOKEN] = 1
        found = found | Touch.OTHER
    found = found | Touch.PLAN if s[LoopWord.ASKED] != 0 else found
    if found == 0:
        take_sets(s, sample)
    found = found | Touch.ACTION if header[HeaderWord.COMMANDS_WRITE] != header[HeaderWord.COMMANDS_READ] else found
    return found | Touch.ACTION if sample + s[LoopWord.BLOCK] > s[LoopWord.UNTIL] else found


@kernel
def note_lateness(s: i64p, block: i64) -> None:
    """Records how late a block was delivered; beyond a stall, lateness is no measure for `--ahead`."""
    behind = now_ns(s) - block_time(s, block)
    if behind > s[LoopWord.LATEST] and behind < STALL_NS:
        header = address_i64(s[LoopWord.HEADER])
        s[LoopWord.LATEST] = behind
        header[HeaderWord.LATEST_NS] = behind


@kernel
def play_plan(s: i64p, f: f64p, sample: i64) -> i64:
    """Runs the plan for a block. Returns 0, or `RAISED` where the interpreter raised in a row."""
    frames = s[LoopWord.BLOCK]
    channels = s[LoopWord.CHANNELS]
    x = address_f32(s[LoopWord.INPUT])
    copy_rows(address_f32(s[LoopWord.X]), frames, x, frames, channels, frames)
    check_input(x, frames, channels, frames, CLIPPED, address_i64(s[LoopWord.COUNTS]))
    if s[LoopWord.PLAYED] != 0:
        copy_rows(address_f32(s[LoopWord.OUT]), frames, address_f32(s[LoopWord.PLAYED]), frames, channels, frames)
    plan = address_i64(s[LoopWord.PLAN])
    plan[PlanWord.SAMPLE] = sample
    plan[PlanWord.BEAT] = bits_f64(beat_at(s, f, sample))
    if run_plan(plan) != 0:
        return RAISED
    take_buses(address_i64(s[LoopWord.OUTPUTS]), frames)
    guard_buses(address_i64(s[LoopWord.OUTPUTS]), frames)
    return 0


@kernel
def begin_block(s: i64p, block: i64) -> None:
    """Begins a block; counts a stall if the turn took much longer than this process computed."""
    header = address_i64(s[LoopWord.HEADER])
    now = now_ns(s)
    turn = now - s[LoopWord.TURNED]
    if turn > STALL_NS:
        idle = now - s[LoopWord.NOTED] - (computed_ns(s) - s[LoopWord.COMPUTED])
        if min(idle, turn) > STALL_NS:
            header[HeaderWord.STALLS] = header[HeaderWord.STALLS] + 1
            header[HeaderWord.STALLED_NS] = turn
    s[LoopWord.NUMBER] = block
    s[LoopWord.STARTED] = now
    s[LoopWord.TURNED] = now
    if s[LoopWord.METER_IN] <= 1:
        # before the block, so that a stall within a block counts between this turn and the next
        s[LoopWord.NOTED] = now
        s[LoopWord.COMPUTED] = computed_ns(s)
    header[HeaderWord.ALIVE_NS] = now
    header[HeaderWord.HEARTBEAT] = block


@kernel
def end_block(s: i64p, block: i64, beat: f64, played: i64) -> i64:
    """Copies a computed block for its listeners and publishes it; 1 if meters were measured too, else 0."""
    note_lateness(s, block)
    keep_for_recorder(s, block, played)
    if s[LoopWord.LISTEN] != 0:
        keep_for_listeners(s, block)
    if s[LoopWord.CAPTURE_SLOTS] != 0:
        keep_for_capture(s, block, beat)
    return publish_block(s, block * s[LoopWord.BLOCK], beat)


@kernel
def end_turn(s: i64p, f: f64p) -> None:
    """Publishes the load, then wakes workers and control: last in a turn, since a woken process may take this core."""
    publish_load(s, f, now_ns(s) - s[LoopWord.STARTED])
    if s[LoopWord.WAKING] != 0:
        wake_workers(address_i64(s[LoopWord.WAKING]))
    if s[LoopWord.WAKE] != 0:
        s[LoopWord.WAKE] = 0
        call_c(s[LoopWord.WRITE], s[LoopWord.BELL], as_u8p(offset(s, LoopWord.ONE)), 8)


@kernel
def wait_block(s: i64p) -> i64:
    """Waits for the next block. Returns its number, or what `CallReason.WAIT` returns in place of one."""
    block = wait_software(s) if s[LoopWord.DEVICE] == 0 else wait_device(s)
    if block < 0:
        return call_python(s[LoopWord.CALL_BACK], i64(CallReason.WAIT), i64(0))
    consume(s)
    return block


@kernel
def compute_block(s: i64p, f: f64p, block: i64) -> i64:
    """Computes a block, in machine code or by the interpreter. Returns 0, or `RAISED`."""
    if s[LoopWord.PLAN] != 0:
        plan = address_i64(s[LoopWord.PLAN])
        plan[PlanWord.TOUCHED] = 0
    s[LoopWord.DUE] = needs_interpreter(s, block)
    if s[LoopWord.DUE] != 0:
        return call_python(s[LoopWord.CALL_BACK], i64(CallReason.PLAY), block)
    sample = block * s[LoopWord.BLOCK]
    take_input(s, block)
    if play_plan(s, f, sample) != 0:
        return RAISED
    s[LoopWord.SAMPLE] = sample + s[LoopWord.BLOCK]
    f[LoopWord.BEAT] = beat_at(s, f, sample)
    report_beat(s, f, sample)
    return 0


@kernel
def was_called(s: i64p) -> i64:
    """1 if the interpreter has to publish the block, 0 if it took no part in it."""
    if s[LoopWord.DUE] != 0 or s[LoopWord.HEARD] == 0:
        return 1
    plan = address_i64(s[LoopWord.PLAN])
    return 1 if plan[PlanWord.TOUCHED] != 0 or (s[LoopWord.METERED] != 0 and s[LoopWord.WAITING] != 0) else 0


@kernel
def count_touched(s: i64p) -> None:
    """Counts a block in which the interpreter took part, and each reason."""
    touched = s[LoopWord.DUE]
    if s[LoopWord.PLAN] != 0:
        plan = address_i64(s[LoopWord.PLAN])
        touched = touched | plan[PlanWord.TOUCHED]
    touched = i64(Touch.OTHER) if touched == 0 else touched
    counts = offset(address_i64(s[LoopWord.HEADER]), HeaderWord.INTERPRETED_BLOCKS)
    counts[0] = counts[0] + 1
    for n in range(_REASONS):
        counts[n + 1] = counts[n + 1] + (touched >> n & 1)


@kernel
def play_block(s: i64p, f: f64p) -> i64:
    """Plays the next block. Returns 0, what `wait_block` returns in place of a block, or `RAISED`."""
    block = wait_block(s)
    if block < 0:
        return block
    begin_block(s, block)
    publish_clock(s, f, block * s[LoopWord.BLOCK], block)
    if compute_block(s, f, block) != 0:
        return RAISED
    header = address_i64(s[LoopWord.HEADER])
    header[HeaderWord.AT_WORK] = 0
    s[LoopWord.HEARD] = deliver(s, block)
    s[LoopWord.METERED] = end_block(s, block, f[LoopWord.BEAT], s[LoopWord.HEARD])
    called = was_called(s)
    if called == 0 and s[LoopWord.METERED] != 0:
        report_values(s)
    raised = i64(0)
    if called != 0:
        count_touched(s)
        raised = call_python(s[LoopWord.CALL_BACK], i64(CallReason.PUBLISH), block)
    end_turn(s, f)
    return raised


@kernel
def play_blocks(s: i64p, f: f64p) -> None:
    """Plays blocks until the interpreter ends the loop or raises, or the device is lost; `s`, `f`: `LoopWord`."""
    while True:
        wanted = s[LoopWord.RESTS] == 0 or s[LoopWord.ASKED] != 0
        ended = call_python(s[LoopWord.CALL_BACK], i64(CallReason.TURN), i64(0)) if wanted else 0
        if ended != 0:
            return
        played = play_block(s, f)
        if played < 0 and played != NO_BLOCK:
            return
