"""What the JACK callback beside scsynth stores, from blocks that come back with their numbers. No JACK here."""

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

from antiphon.api.backends.intrinsics import compile_all
from antiphon_supercollider.scsynth.jack_bridge import DEPTH, SHIFTED_CYCLES, WORDS, BridgeSlot, bridge_process

BLOCK = 32
ZERO = BLOCK * DEPTH


class Bridge:
    """One pair of sound: `cycle` has a block come back, whose frames are those from `first` on."""

    def __init__(self) -> None:
        compile_all()
        self.words = np.zeros(WORDS, np.int64)
        self.ring = np.zeros((DEPTH, 4, BLOCK), np.float32)
        self.ports = np.zeros((6, BLOCK), np.float32)
        # a port is the address of its buffer
        self._buffer = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)(lambda port, _frames: port)
        words = self.words
        words[BridgeSlot.BUFFER] = ctypes.cast(self._buffer, ctypes.c_void_p).value or 0
        words[BridgeSlot.BLOCK], words[BridgeSlot.PORTS] = BLOCK, 4
        words[BridgeSlot.COUNTER], words[BridgeSlot.DATA] = ZERO, self.ring.ctypes.data
        for n in range(2):
            words[BridgeSlot.OUT + n] = self.ports[n].ctypes.data
        for n in range(4):
            words[BridgeSlot.IN + n] = self.ports[2 + n].ctypes.data
        self.phase = 0

    def cycle(self, first: int, *, computed: bool = True) -> None:
        """computed: scsynth has gone on; else its last block is there once more."""
        self.ports[2], self.ports[3] = 0.0, np.arange(first, first + BLOCK)
        if computed:
            self.ports[4:] = np.sin((self.phase + np.arange(BLOCK)) * 0.03)
            self.phase += BLOCK
        bridge_process(BLOCK, self.words)

    def stored(self, first: int) -> np.ndarray:
        """The block that is kept as the one of these frames."""
        place = first // BLOCK % DEPTH
        assert self.words[BridgeSlot.TAGS + place] == first + 1, "it has come back"
        return self.ring[place, 2].copy()


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    return Bridge()


def numbers(*blocks: int) -> list[int]:
    return [ZERO + BLOCK * n for n in blocks]


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ((0, 1, 2, 3, 4, 5), 6),
        ((0, 1, 1, 2, 3, 5), 6),  # a client joins: one block of the counter twice, and later one not at all
        ((0, 1, 1, 1, 2, 5), 6),
    ],
)
def test_a_tone_is_whole_though_the_counter_came_a_block_late_for_a_while(
    bridge: Bridge, blocks: tuple[int, ...], kept: int
) -> None:
    for first in numbers(*range(-3, 0), *blocks):
        bridge.cycle(first)
    tone = np.concatenate([bridge.stored(first) for first in numbers(*range(-3, kept))])
    assert np.allclose(tone, np.sin(np.arange(tone.size) * 0.03), atol=1e-5)
    assert bridge.words[BridgeSlot.SHIFT] == 0, "what follows is where its frames are"


def test_a_block_that_was_not_computed_anew_is_no_other_one(bridge: Bridge) -> None:
    for first in numbers(-2, -1, 0):
        bridge.cycle(first)
    bridge.cycle(ZERO, computed=False)
    bridge.cycle(ZERO + BLOCK)
    tone = np.concatenate([bridge.stored(first) for first in numbers(-2, -1, 0, 1)])
    assert np.allclose(tone, np.sin(np.arange(tone.size) * 0.03), atol=1e-5)


def test_sound_that_stays_late_and_that_of_another_scsynth_are_stored_by_their_frames(bridge: Bridge) -> None:
    for first in numbers(0, 1, 1):
        bridge.cycle(first)
    for n in range(SHIFTED_CYCLES + 1):
        bridge.cycle(ZERO + BLOCK * (2 + n))
    assert bridge.words[BridgeSlot.SHIFT] == 0
    bridge.cycle(ZERO + BLOCK * (2 + SHIFTED_CYCLES))
    assert bridge.words[BridgeSlot.SHIFT] == BLOCK
    bridge.cycle(ZERO)
    assert bridge.words[BridgeSlot.SHIFT] == 0
