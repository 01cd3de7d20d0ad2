"""The ring that keeps every node's sound: what is cut from it is what was put, to the sample, on the bar lines."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.kernel.engine.loop_words import LoopWord, LoopWords
from antiphon.kernel.engine.native.blocks import keep_for_capture
from antiphon.kernel.engine.taps import NodeCapture
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS, IN_NUMBER, OUT_NUMBER
from antiphon.kernel.graph.names import BUSES, CUE
from antiphon.kernel.io import capture_memory
from antiphon.kernel.io.capture_memory import CHANNELS, CaptureMemory, CaptureShape
from antiphon.kernel.runtime.platform import free_memory
from antiphon.native.compiling import compile_all
from antiphon.native.kernel import address

RATE, BLOCK = 48000, 64


class Engine:
    """Plays noise, at a tempo that may change from block to block."""

    def __init__(self, slots: int = 20_000) -> None:
        self.memory = CaptureMemory.create(CaptureShape(RATE, BLOCK, slots))
        self.capture, self.rng = NodeCapture(self.memory), np.random.default_rng(1)
        compile_all()
        self.words = LoopWords()
        self.beat, self.block = 0.0, 0
        self.lines: list[float] = []
        self.out = np.zeros((0, 2), np.float32)

    def put(self, x: np.ndarray, out: np.ndarray) -> None:
        """As the engine's loop keeps a block."""
        sources, owners = self.capture.sources(x, out, None, out)
        layouts = np.array([(sound.ctypes.data, sound.strides[0] // 4, len(sound)) for sound in sources], np.int64)
        tables = {LoopWord.BLOCK: BLOCK, LoopWord.SOURCES: address(layouts), LoopWord.SOURCES_COUNT: len(layouts)}
        tables |= {LoopWord.SOURCES_OWNERS: address(owners), LoopWord.SOURCES_ROWS: len(owners)}
        for word, value in {**self.capture.tables, **tables}.items():
            self.words.whole[word] = value
        keep_for_capture.call(self.words.address, self.block, self.beat)

    def play(self, blocks: int, bpm: float = 6000.0, level: float = 1.0) -> None:
        for _ in range(blocks):
            x, out = ((level * self.rng.standard_normal((2, BLOCK))).astype(np.float32) for _ in range(2))
            self.put(x[:1], out)
            step = bpm / 60 / RATE * BLOCK
            line = np.ceil(self.beat / 4) * 4
            if step and line < self.beat + step:
                self.lines.append(self.block * BLOCK + (line - self.beat) / step * BLOCK)
            self.beat, self.block = self.beat + step, self.block + 1
            self.out = np.concatenate([self.out, out.T])


@pytest.mark.parametrize("bars", [1, 3])
def test_the_last_whole_bars_are_cut_to_the_sample(bars: int) -> None:
    engine = Engine()
    engine.play(150, 6000.0)
    engine.play(77, 4321.0)
    first, last = (round(engine.lines[place]) for place in (-1 - bars, -1))
    found = engine.memory.cut(OUT_NUMBER, bars, 4)
    assert found.shape == (last - first, 2)
    np.testing.assert_array_equal(found, engine.out[first:last])
    assert engine.memory.cut(IN_NUMBER, bars, 4).shape == (last - first, 1)


def test_a_pair_that_the_plan_plays_is_kept() -> None:
    engine, channels = Engine(), np.arange(2 + 2 * len(BUSES), dtype=np.float32)[:, None].repeat(BLOCK, 1)
    plan: Any = SimpleNamespace(hosts={}, sounding=((BUSES.index(CUE), None),))
    sources, owners = engine.capture.sources(channels[:1], channels[:2], plan, channels)
    assert [sound[:, 0].tolist() for sound in sources] == [[0, 1], [0], channels[-2:, 0].tolist()]
    assert [number // CHANNELS for number in owners] == [OUT_NUMBER] * 2 + [IN_NUMBER] + [BUS_NUMBERS["out.cue"]] * 2


def test_a_stop_belongs_to_the_bar_and_a_jump_is_refused() -> None:
    engine = Engine()
    engine.play(100)
    engine.play(10, 0.0)
    engine.play(100)
    first, last = round(engine.lines[-4]), round(engine.lines[-1])
    np.testing.assert_array_equal(engine.memory.cut(OUT_NUMBER, 3, 4), engine.out[first:last])
    engine.beat += 400.0
    engine.play(60)
    with pytest.raises(RequestError, match="the beat jumped"):
        engine.memory.cut(OUT_NUMBER, 2, 4)
    engine.memory.cut(OUT_NUMBER, 1, 4)


def test_a_ring_that_is_full_keeps_the_last_bars_and_refuses_those_before() -> None:
    engine = Engine(slots=200)  # three channels: 66 blocks, which have two whole bars and a half
    engine.play(1000)
    first, last = round(engine.lines[-2]), round(engine.lines[-1])
    np.testing.assert_array_equal(engine.memory.cut(OUT_NUMBER, 1, 4), engine.out[first:last])
    with pytest.raises(RequestError, match=r"of 5 bars \d are kept"):
        engine.memory.cut(OUT_NUMBER, 5, 4)
    with pytest.raises(RequestError, match="made no sound"):
        engine.memory.cut(7, 1, 4)


def test_silence_is_cut_and_not_written() -> None:
    engine = Engine()
    engine.play(40)
    engine.memory.sound[120:] = 1.0
    engine.play(95, level=0.0)
    first, last = round(engine.lines[1]), round(engine.lines[-1])
    np.testing.assert_array_equal(engine.memory.cut(OUT_NUMBER, len(engine.lines) - 2, 4), engine.out[first:last])
    assert engine.memory.cut(OUT_NUMBER, 1, 4).shape[1] == 2
    assert np.all(engine.memory.sound[120:] == 1.0)


@pytest.mark.parametrize(("rows", "bars"), [(400, 58), (20_000, 73)])
def test_equal_channels_are_stored_once_and_cut_to_the_sample(rows: int, bars: int) -> None:
    """Of three channels in bars of four blocks, where 400 rows held 33 bars."""
    engine = Engine(rows)
    for n in range(300):
        out = engine.rng.standard_normal((2, BLOCK)).astype(np.float32)
        out[0, :-1] = out[1, :-1]  # all but the last sample, and in every third block that too
        out[0, -1] = out[1, -1] if n % 3 == 0 else -out[1, -1]
        engine.put(out[1:], out)
        engine.beat, engine.block, engine.out = n + 1.0, n + 1, np.concatenate([engine.out, out.T])
    assert engine.memory.place[1] == 100 + 2 * 200
    whole = engine.out[: 299 // 4 * 4 * BLOCK]
    np.testing.assert_array_equal(engine.memory.cut(OUT_NUMBER, bars, 4), whole[-4 * bars * BLOCK :])
    np.testing.assert_array_equal(engine.memory.cut(IN_NUMBER, bars, 4), whole[-4 * bars * BLOCK :, 1:])
    if rows == 400:
        with pytest.raises(RequestError, match=r"of 73 bars \d+ are kept"):
            engine.memory.cut(OUT_NUMBER, 73, 4)


def test_nothing_is_kept_yet_and_nothing_where_memory_is_short() -> None:
    with pytest.raises(RequestError, match="no whole bar is kept yet"):
        Engine().memory.cut(OUT_NUMBER, 1, 4)
    assert CaptureShape.of(RATE, BLOCK, 200 << 20) is None
    large = CaptureShape.of(RATE, BLOCK, 64 << 30)
    assert large is not None
    assert len(CaptureMemory.create(large).map) <= capture_memory.MAX_BYTES + (64 << 10)
    assert free_memory() > 0


def test_the_ring_keeps_as_many_rows_and_slots_as_it_has() -> None:
    """Three channels a block, none equal or silent: five blocks fill rows, ten fill slots, and one more goes round."""
    engine = Engine(slots=15)
    engine.play(5)
    assert np.count_nonzero(engine.memory.tags_of(slice(0, 15))) == 15
    engine.play(1)
    assert engine.memory.tags_of(slice(0, 18)).tolist() == [0] * 3 + [n for n in range(2, 7) for _ in range(3)]
    engine.play(4)
    assert np.count_nonzero(engine.memory.tags) == 30
    engine.play(1)
    assert engine.memory.tags[:3].tolist() == [11] * 3
    assert engine.memory.tags[3:].all()
