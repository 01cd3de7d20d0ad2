"""A browser's sound, from the message to the engine's input: whole, in order, and without a click at its ends."""

import os
import time

import numpy as np
import pytest

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.shared import MappingShape, Shared
from antiphon.kernel.engine.taps import BrowserInput
from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TapMemory, TapShape, TapWord
from antiphon.web.page.routes import BrowserSound

RATE, BLOCK = 48000, 64


def parts(channels: int = 2) -> tuple[TapMemory, BrowserSound, BrowserInput]:
    memory = TapMemory.create(TapShape(RATE, BLOCK, channels, 16))
    return memory, BrowserSound(memory), BrowserInput(memory)


def message(sound: np.ndarray) -> bytes:
    """A message of `[channels, frames]`."""
    return len(sound).to_bytes(4, "little") + np.ascontiguousarray(sound.T, np.float32).tobytes()


def test_the_sound_is_added_whole_and_in_order_over_the_end_of_the_ring() -> None:
    memory, web, engine = parts()
    total = 3 * INPUT_FRAMES // 384 * 384
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (2, total)).astype(np.float32)
    x = np.full((2, BLOCK), 0.25, np.float32)
    out, sent = [], 0
    while sent < total:
        assert web.put(message(sound[:, sent : sent + 384]))
        sent += 384
        while memory.words[TapWord.INPUT_WRITE] - memory.words[TapWord.INPUT_READ] > 4000:
            out.append(engine.add(x).copy())
    got = np.concatenate(out, axis=1) - 0.25
    begin = int(np.flatnonzero(got[0])[0] // BLOCK * BLOCK)
    offset = memory.words[TapWord.INPUT_READ] - (got.shape[1] - begin)
    expected = sound[:, offset : offset + got.shape[1] - begin]
    np.testing.assert_allclose(got[:, begin + BLOCK :], expected[:, BLOCK:], atol=1e-6)
    assert np.abs(got[:, begin]).max() < 0.02, "it fades in"
    assert web.gaps == 0


def test_it_rests_once_it_has_seen_that_no_browser_sends() -> None:
    memory, web, engine = parts()
    x = np.zeros((2, BLOCK), np.float32)
    assert engine.rests
    for _ in range(20):
        web.put(message(np.ones((1, 480), np.float32)))
    engine.add(x)
    assert not engine.rests
    memory.words[TapWord.INPUT_OPEN] = 0
    assert not engine.rests, "else the next browser's sound would begin where this one's ended"
    engine.add(x)
    assert engine.rests


def test_where_it_runs_out_it_fades_and_waits_to_be_full_again() -> None:
    _, web, engine = parts()
    ones = np.ones((1, 2880), np.float32)
    x = np.zeros((2, BLOCK), np.float32)
    for start in range(0, 2880, 480):
        web.put(message(ones[:, start : start + 480]))
    out = np.concatenate([engine.add(x).copy() for _ in range(60)], axis=1)
    np.testing.assert_array_equal(out[0], out[1], "mono goes to all channels")
    assert np.abs(np.diff(np.concatenate([[0.0], out[0], [0.0]]))).max() < 0.03
    assert out.max() == 1.0
    assert web.gaps == 1
    web.put(message(ones[:, :480]))
    assert engine.add(x) is x


def test_a_looping_file_is_silent_while_a_browser_sends_and_back_behind_it_without_a_click() -> None:
    _, web, engine = parts()
    web.put(message(np.zeros((1, 3840), np.float32)))
    file = np.full((2, BLOCK), 0.5, np.float32)
    out = np.concatenate([engine.replace(file.copy()).copy() for _ in range(70)], axis=1)
    level = out[0]
    assert level[0] > 0.49
    assert level[-1] == 0.5
    assert not level[BLOCK : 43 * BLOCK].any()
    assert np.abs(np.diff(level)).max() < 0.02


def test_what_is_no_sound_is_refused_and_a_full_ring_drops() -> None:
    memory, web, engine = parts()
    x = np.zeros((2, BLOCK), np.float32)
    for data in (b"", b"\1\0\0\0", b"\0\0\0\0aaaa", b"\3\0\0\0" + b"\0" * 12, b"\1\0\0\0abc", b"\2\0\0\0aaaa",
                 message(np.array([[np.nan, 0.0]])), message(np.array([[np.inf, 0.0]]))):  # fmt: skip
        assert not web.put(data)
    assert not memory.words[TapWord.INPUT_OPEN]
    assert engine.add(x) is x, "nothing is sent: the input is what the device gave"
    sent = 0
    while web.put(message(np.zeros((1, 480)))):
        sent += 480
    assert INPUT_FRAMES // 2 - 480 <= sent <= INPUT_FRAMES // 2
    engine.add(x)
    assert web.put(message(np.zeros((1, 480)))), "the engine went on near the end"


@pytest.mark.parametrize("channels", [1, 4])
def test_other_counts_of_channels(channels: int) -> None:
    _, web, engine = parts(channels)
    both = np.stack([np.full(384, 0.5), np.full(384, -0.5)])
    for _ in range(10):
        assert web.put(message(both))
    x = np.zeros((channels, BLOCK), np.float32)
    engine.add(x)
    got = engine.add(x)
    np.testing.assert_allclose(got[:, 0], [0.5, -0.5, 0.0, 0.0][:channels])


def test_a_second_browser_begins_with_a_full_buffer_again() -> None:
    memory, web, engine = parts()
    x, half = np.zeros((2, BLOCK), np.float32), message(np.full((1, 480), 0.5))
    for _ in range(8):
        web.put(half)
    assert engine.add(x) is not x
    memory.words[TapWord.INPUT_OPEN] = 0
    assert engine.add(x) is x
    memory.words[TapWord.INPUT_READ] = memory.words[TapWord.INPUT_WRITE]
    web.put(half)
    assert engine.add(x) is x
    for _ in range(6):
        web.put(half)
    assert engine.add(x)[0, 0] < 0.01, "it fades in again"
    assert engine.add(x)[0, 0] == 0.5


class HeardInput(GraphPlayer):
    """A player that keeps the input of its blocks."""

    def run(self, x: Samples) -> Samples:
        self.__dict__.setdefault("heard", []).append(x.copy())
        return super().run(x)


def test_beside_a_software_clock_each_block_has_the_browsers_sound_once() -> None:
    _, web, engine = parts()
    driver, shared = Headless(DriverOptions(RATE, BLOCK, 2)), Shared.create(MappingShape.of(RATE, BLOCK, 2))
    player, bell = HeardInput(StreamSpec(RATE, BLOCK, 2)), os.eventfd(0, os.EFD_NONBLOCK)
    loop = EngineLoop(player, driver, shared, bell, LoopParts(browser=engine))
    for _ in range(12):
        web.put(message(np.full((1, 480), 0.5)))
    driver.start(0, time.monotonic_ns())
    loop.begin(0, 0)
    for _ in range(140):
        assert loop.run_block()
    heard = np.concatenate(player.__dict__["heard"], axis=1)
    assert np.abs(heard).max() == 0.5
    assert not heard[:, -20 * BLOCK :].any(), "it has ended"
    for descriptor in (bell, shared.fd):
        os.close(descriptor)
