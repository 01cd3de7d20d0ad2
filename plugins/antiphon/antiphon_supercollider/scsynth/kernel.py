"""JACK process callback beside scsynth, in machine code: sends a sample counter, receives sound tagged with it.

The counter is sent on two ports into scsynth, in its voices' format (`n >> 24` and `n & 0xFFFFFF`), and a synth there
returns it beside the sound. So the returned sound carries its own frame numbers, independent of JACK's order of
clients, missed cycles or restarts. State is one array of 64-bit words (`BridgeSlot` names them).
"""

from __future__ import annotations

from enum import IntEnum

from antiphon.api.backends.intrinsics import call_c, store_release
from antiphon.api.kernels import address_f32, i64, i64p, kernel

DEPTH = 64
"""Blocks of sound in the ring."""
MAX_SHIFTED = 2
"""Maximum shift in blocks of stored sound after its frame."""
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
    LOST = 6  # cycles whose sound came back without a number
    CAME = 7  # frame after the newest that has come back
    OUT = 8  # and 9: ports
    LAST = 10  # first frame of the last block that came back, by its own number
    SHIFT = 11  # frames after their own at which blocks are stored
    SHIFTED = 12  # cycles since SHIFT is above 0
    IN = 16
    TAGS = 64  # DEPTH words: first frame of the block there, plus 1


WORDS = 64 + DEPTH


@kernel
def shifted(s: i64p, first: i64, count: i64) -> i64:
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
    came = 0
    if count == block:
        h = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN], count))
        w = address_f32(call_c(s[BridgeSlot.BUFFER], s[BridgeSlot.IN + 1], count))
        first = (i64(h[0]) << 24) + i64(w[0])
        last = (i64(h[block - 1]) << 24) + i64(w[block - 1])
        # a block in which the counter was not whole has another distance between its ends
        if first > 0 and first % block == 0 and last == first + block - 1 and first <= now:
            first = first + shifted(s, first, count)
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
            came = 1
    if came == 0:
        s[BridgeSlot.LOST] = s[BridgeSlot.LOST] + 1
    store_release(s, BridgeSlot.CALLS, s[BridgeSlot.CALLS] + 1)
    return 0
