"""Machine-code copies of a block's sound: for the recorder, for listeners, and for `/capture`."""

from __future__ import annotations

from antiphon.kernel.engine.levels import copy_rows
from antiphon.kernel.engine.loop_words import LoopWord
from antiphon.kernel.engine.shared import SESSION, HeaderWord
from antiphon.kernel.io.tap_memory import TAPS, TapWord
from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.intrinsics import address_f32, address_f64, address_i64, offset, store_release
from antiphon.kernel.native.kernel import f32, f32p, f64, i64, i64p

_RECORDS_INPUT = SESSION
_COMPARED = 4
"""Rows at the begin of a block, input and output among them, and before a row, with which that is compared."""


@kernel
def has_sound(x: f32p, count: i64) -> i64:
    """1 where one of these samples is not 0."""
    for n in range(count):
        if x[n] != f32(0.0):
            return 1
    return 0


@kernel
def row_of(x: f32p, sound: f32p, first: i64, end: i64, rows: i64, frames: i64) -> i64:
    """The row, among the first and the last of those from `first` to `end`, that has these samples; else `end`."""
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
    """Stores a block of output and input in the recorder's tap while a recording runs."""
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
            for n in range(size):
                into[n] = f32(0.0)
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
    """Stores the sound of all nodes in the ring of `/capture`, equal once; `beat`: at the block's first sample."""
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
